"""Customer views as bytes, tens of thousands a second: JSON joined from pieces that are encoded once.

`contracts.documents.CustomerView` is the authority on what the bytes mean; tests hold this module equal to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.documents import (
    CAUSES,
    MAX_VIEW_BYTES,
    NO_SEGMENT,
    RULE_IDS,
    SHORT_ID_CHARACTERS,
    SHORT_VIEW_BYTES,
    VERSION,
    ColdStart,
)
from contracts.times import from_micros, rfc3339
from recommender.popularity import Popular
from recommender.ranking import Ranked, Reason

_SHORT_LIST: Final = 100
"""Bytes of the names of audiences for which no item has to go."""
SCORE_STEPS: Final = 1_000
"""Scores are written with three decimals."""

_BY_RULE: Final = '"by_rule":true,'
_SCORES: Final = [f"{step / SCORE_STEPS}," for step in range(SCORE_STEPS + 1)]
_REASONS: Final = [f'"{reason.name.lower()}"]' for reason in Reason]
"""The end of an item's JSON, by reason; because of an item, that item tells it."""
_SHOWN: Final = 10
"""So many items of a shelf are shown on a page."""


def quoted(text: str) -> str:
    """The text as a JSON string, quotation marks included."""
    return msgspec.json.encode(text).decode()


class ItemTexts:
    """Item ids by number, with the beginning of their JSON. Grows as items appear; the first one ever gets number 0."""

    def __init__(self, item_ids: Iterable[str] = ()) -> None:
        self.ids: list[str] = []
        self.heads: list[str] = []
        self.tails: list[str] = list(_REASONS)
        """How an item's JSON ends: by reason, and after those because of each item."""
        self.extend(item_ids)

    def extend(self, item_ids: Iterable[str]) -> None:
        """Append items."""
        for item_id in item_ids:
            self.ids.append(item_id)
            self.heads.append(f"[{quoted(item_id)},")
            self.tails.append(f"{quoted(f'because:{item_id}')}]")

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Members:
    """Customers and their segments: columns of shape (customers,)."""

    customer_ids: Sequence[str]
    segments: NDArray[np.int32]
    """Segment ids; NO_SEGMENT where there is none (the view says null, unless that id has a name)."""
    since: NDArray[np.int64]
    """In the segment since, microseconds UTC."""
    previous: NDArray[np.int32]
    """Segment id before; NO_SEGMENT where there was none."""
    causes: NDArray[np.uint8]
    """Places in contracts.documents.CAUSES."""
    audiences: Sequence[Sequence[str]] = ()
    """Names of the audiences that each is in; empty where nobody is in any."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is written into every view of one batch."""

    as_of: int
    """Microseconds UTC."""
    model_version: int
    sequence: int
    """Of the checkpoint after which the views were computed."""
    token: str
    """Of the partition's owner."""


def customer_views(
    members: Members, ranked: Ranked, items: ItemTexts, names: Mapping[int, str], stamp: Stamp
) -> list[bytes]:
    """The view of each customer, in order: JSON of contracts.documents.CustomerView.

    At most SHORT_VIEW_BYTES where no id has more than SHORT_ID_CHARACTERS characters, never above MAX_VIEW_BYTES.
    Raises KeyError where a segment has no name.
    """
    lists = _Lists.of(ranked, items)
    memberships = _memberships(members, names)
    audiences = _audience_lists(members)
    head = f'{{"v":{VERSION},"customer_id":'
    tail = (
        f'],"forecast":null,"as_of":"{rfc3339(stamp.as_of)}","model_version":{stamp.model_version},'
        f'"written_by":[{stamp.sequence},{quoted(stamp.token)}]}}'
    )
    views: list[bytes] = []
    start = 0
    for customer_id, membership, within, end in zip(
        members.customer_ids, memberships, audiences, lists.ends, strict=True
    ):
        front = f'{head}{quoted(customer_id)},"segment":{membership},{within}"items":['
        view = f"{front}{','.join(lists.pieces[start:end])}{tail}".encode()
        if len(view) > SHORT_VIEW_BYTES:
            ids = [customer_id, *(items.ids[item] for item in lists.items[start:end])]
            is_short = max(map(len, ids)) <= SHORT_ID_CHARACTERS and len(within) <= _SHORT_LIST
            limit = SHORT_VIEW_BYTES if is_short else MAX_VIEW_BYTES
            if len(view) > limit:
                view = _cut((front, tail), lists, slice(start, end), len(view) - limit)
        views.append(view)
        start = end
    return views


@dataclass(frozen=True, slots=True)
class _Lists:
    """The items of all lists, one after another."""

    items: list[int]
    reasons: list[int]
    pieces: list[str]
    """The JSON of each."""
    plain: list[str]
    """The same without the item that speaks for it."""
    ends: list[int]
    """Where each customer's end."""

    @classmethod
    def of(cls, ranked: Ranked, texts: ItemTexts) -> "_Lists":
        there = ranked.items >= 0
        steps = np.rint(np.clip(ranked.scores[there], 0, 1) * SCORE_STEPS).astype(np.int32).tolist()
        items, reasons = ranked.items[there].tolist(), ranked.reasons[there].tolist()
        because = ranked.because[there]
        ends = np.where(because >= 0, because + len(_REASONS), ranked.reasons[there]).tolist()
        heads, tails = texts.heads, texts.tails
        begun = [heads[item] + _SCORES[step] for item, step in zip(items, steps, strict=True)]
        pieces = [piece + tails[end] for piece, end in zip(begun, ends, strict=True)]
        plain = [piece + tails[reason] for piece, reason in zip(begun, reasons, strict=True)]
        return cls(items, reasons, pieces, plain, np.cumsum(there.sum(axis=1)).tolist())


def _memberships(members: Members, names: Mapping[int, str]) -> Iterable[str]:
    """The JSON of each customer's segment."""
    heads = {
        segment: f'{{"id":{segment},"name":{quoted(name)},{_BY_RULE if segment in RULE_IDS else ""}"since":"'
        for segment, name in names.items()
    }
    causes = [f'"cause":"{cause}"}}' for cause in CAUSES]
    columns = (members.segments, members.since, members.previous, members.causes)
    for segment, since, previous, cause in zip(*(column.tolist() for column in columns), strict=True):
        if segment == NO_SEGMENT and segment not in heads:
            yield "null"
        else:
            before = "null" if previous == NO_SEGMENT else previous
            yield f'{heads[segment]}{rfc3339(since)}","previous":{before},{causes[cause]}'


def _audience_lists(members: Members) -> Sequence[str]:
    """The JSON of each customer's audiences, with its key, or nothing: few different ones, so each is encoded once."""
    lists = [tuple(names) for names in members.audiences] or [()] * len(members.customer_ids)
    encoded = {names: f'"audiences":[{",".join(map(quoted, names))}],' if names else "" for names in set(lists)}
    return [encoded[names] for names in lists]


def _cut(ends: tuple[str, str], lists: _Lists, one: slice, over: int) -> bytes:
    """The view of one list, between its two ends, shorter by at least so many bytes.

    The last items say `because` only, and not because of what; where that is not enough, the least needed go.
    """
    pieces, plain = lists.pieces[one], lists.plain[one]
    for place in reversed(range(len(pieces))):
        if over <= 0:
            break
        over -= len(pieces[place].encode()) - len(plain[place].encode())
        pieces[place] = plain[place]
    if over > 0:
        kept = set(range(len(pieces)))
        for place in reversed(_most_needed(lists.reasons[one])):
            if over <= 0:
                break
            kept.discard(place)
            over -= len(pieces[place].encode()) + 1
        pieces = [pieces[place] for place in sorted(kept)]
    return f"{ends[0]}{','.join(pieces)}{ends[1]}".encode()


def _most_needed(reasons: list[int]) -> list[int]:
    """Places in a list by how much they are needed: a page shows ten, and ten that are new to the customer."""
    places = range(len(reasons))
    new = [place for place in places if reasons[place] != Reason.AGAIN]
    return list(dict.fromkeys((*places[:_SHOWN], *new[:_SHOWN], *places)))


def cold_start(popular: Popular, items: ItemTexts, stamp: Stamp, n: int) -> ColdStart:
    """What to recommend to somebody unknown: what everybody buys."""
    numbers, shares = popular.top(-1, n)
    reason = Reason.POPULAR.name.lower()
    return ColdStart(
        items=tuple(
            (items.ids[number], round(share, 4), reason)
            for number, share in zip(numbers.tolist(), shares.tolist(), strict=True)
        ),
        as_of=from_micros(stamp.as_of),
        model_version=stamp.model_version,
    )


def lifted_items(
    popular: Popular, slot: int, items: ItemTexts, n: int, among: NDArray[np.bool_] | None = None
) -> tuple[tuple[str, float], ...]:
    """The items of a segment card: those a segment buys more than others do, with their lift.

    Only items of `among`, (items,), where it is given; an item beyond its end is not among them.
    """
    numbers, lifts = popular.lift(slot, n, among)
    return tuple(
        (items.ids[number], round(lift, 2)) for number, lift in zip(numbers.tolist(), lifts.tolist(), strict=True)
    )
