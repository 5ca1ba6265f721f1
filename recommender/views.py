"""Customer views as bytes, tens of thousands a second: JSON joined from pieces that are encoded once.

`contracts.documents.CustomerView` is the authority on what the bytes mean; tests hold this module equal to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

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
    JoinedView,
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
_SCORE_SIZES: Final = np.array([len(score) for score in _SCORES], np.int32)
_REASONS: Final = [f'"{reason.name.lower()}"]' for reason in Reason]
"""The end of an item's JSON, by reason; because of an item, that item tells it."""
_NO_FORECAST: Final = "null"
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
        self._sizes = np.zeros((0, 3), np.int32)
        self._tail_sizes = np.array([len(reason) for reason in _REASONS], np.int32)
        self.extend(item_ids)

    def extend(self, item_ids: Iterable[str]) -> None:
        """Append items."""
        new = list(item_ids)
        self.ids += new
        self.heads += [f"[{quoted(item_id)}," for item_id in new]
        self.tails += [f"{quoted(f'because:{item_id}')}]" for item_id in new]

    def __len__(self) -> int:
        return len(self.ids)

    def sizes(self) -> "ItemSizes":
        """How long the texts are."""
        known = len(self._sizes)
        if known < len(self):
            tails = self.tails[len(_REASONS) + known :]
            columns = zip(self.ids[known:], self.heads[known:], tails, strict=True)
            new = [(len(item_id), _bytes(head), _bytes(tail)) for item_id, head, tail in columns]
            self._sizes = np.concatenate((self._sizes, np.array(new, np.int32)))
            self._tail_sizes = np.concatenate((self._tail_sizes[: len(_REASONS)], self._sizes[:, 2]))
        return ItemSizes(self._sizes[:, 0], self._sizes[:, 1], self._tail_sizes)


@dataclass(frozen=True, slots=True)
class ItemSizes:
    """How long the texts of items are."""

    ids: NDArray[np.int32]
    """Characters, (items,)."""
    heads: NDArray[np.int32]
    """Bytes, (items,)."""
    tails: NDArray[np.int32]
    """Bytes: by reason, and after those because of each item."""


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


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
    members: Members,
    ranked: Ranked,
    items: ItemTexts,
    names: Mapping[int, str],
    stamps: Sequence[tuple[Stamp, int]],
    *,
    forecasts: Sequence[str] = (),
) -> list[bytes]:
    """The view of each customer, in order: JSON of contracts.documents.CustomerView.

    `stamps`: each for so many customers in turn. `forecasts`: JSON of each, or nothing where there are none.

    At most SHORT_VIEW_BYTES where no id has more than SHORT_ID_CHARACTERS characters, never above MAX_VIEW_BYTES: the
    last items say `because` only, and not because of what; where that is not enough, the least needed go. Raises
    KeyError where a segment has no name.
    """
    head = f'{{"v":{VERSION},"customer_id":'
    memberships, audiences = _memberships(members, names), _audience_lists(members)
    fronts = [
        f'{head}{quoted(customer_id)},"segment":{membership},{within}"items":['
        for customer_id, membership, within in zip(members.customer_ids, memberships, audiences, strict=True)
    ]
    backs = [back for stamp, customers in stamps for back in [_back(stamp)] * customers]
    ahead = forecasts or [_NO_FORECAST] * len(backs)
    backs = [f'],"forecast":{forecast}{back}' for forecast, back in zip(ahead, backs, strict=True)]
    ends = [_bytes(front) + _bytes(back) for front, back in zip(fronts, backs, strict=True)]
    everyday = [
        len(customer_id) <= SHORT_ID_CHARACTERS and len(within) <= _SHORT_LIST
        for customer_id, within in zip(members.customer_ids, audiences, strict=True)
    ]
    lists = _Lists.of(ranked, items, np.array(ends, np.int64), np.array(everyday, np.bool_))
    pieces, start = lists.pieces, 0
    views: list[bytes] = []
    for front, back, stop in zip(fronts, backs, lists.stops, strict=True):
        views.append(f"{front}{','.join(pieces[start:stop])}{back}".encode())
        start = stop
    return views


def _back(stamp: Stamp) -> str:
    return (
        f',"as_of":"{rfc3339(stamp.as_of)}","model_version":{stamp.model_version},'
        f'"written_by":[{stamp.sequence},{quoted(stamp.token)}]}}'
    )


@dataclass(frozen=True, slots=True)
class _Lists:
    """The items of all lists, one after another."""

    pieces: list[str]
    """The JSON of each, the last ones without the item that speaks for them where there is no room; where there is none
    even so, the items that are needed least are left out."""
    stops: list[int]
    """Where each customer's stop."""

    @classmethod
    def of(cls, ranked: Ranked, texts: ItemTexts, rest: NDArray[np.int64], everyday: NDArray[np.bool_]) -> "_Lists":
        """`rest`: bytes of each view beside its items; `everyday`: whose are to be short if their items' ids are."""
        there = ranked.items >= 0
        items, reasons, because = ranked.items[there], ranked.reasons[there].astype(np.int64), ranked.because[there]
        steps = np.rint(np.clip(ranked.scores[there], 0, 1) * SCORE_STEPS).astype(np.int32)
        whole = np.where(because >= 0, because + len(_REASONS), reasons)
        sizes = texts.sizes()
        counts = there.sum(axis=1)
        stops = np.cumsum(counts)
        owners = np.repeat(np.arange(len(counts)), counts)
        commas = np.maximum(counts - 1, 0)
        length = rest + commas + _sums(sizes.heads[items] + _SCORE_SIZES[steps] + sizes.tails[whole], stops)
        short = everyday & (_sums(sizes.ids[items] > SHORT_ID_CHARACTERS, stops) == 0)
        over = length - np.where(short, SHORT_VIEW_BYTES, MAX_VIEW_BYTES)
        # An item says less where what those after it save is not enough.
        savings = sizes.tails[whole] - sizes.tails[reasons]
        saved = np.cumsum(savings)
        says_less = over[owners] > np.append(0, saved)[stops][owners] - saved
        over -= _sums(np.where(says_less, savings, 0), stops)
        tails = np.where(says_less, reasons, whole)
        if (over > 0).any():
            kept = _kept(reasons, sizes.heads[items] + _SCORE_SIZES[steps] + sizes.tails[tails], stops, over)
            items, steps, tails = items[kept], steps[kept], tails[kept]
            stops = np.append(0, np.cumsum(kept))[stops]
        heads, ending = texts.heads, texts.tails
        pieces = [
            heads[item] + _SCORES[step] + ending[tail]
            for item, step, tail in zip(items.tolist(), steps.tolist(), tails.tolist(), strict=True)
        ]
        return cls(pieces, stops.tolist())


def _sums(values: NDArray[Any], stops: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of the values of each customer, which stop where the next one's begin."""
    reached = np.append(0, np.cumsum(values, dtype=np.int64))[stops]
    return np.diff(reached, prepend=0)


def _kept(
    reasons: NDArray[np.int64], sizes: NDArray[np.int64], stops: NDArray[np.int64], over: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which items, (items,), stay in lists of which some are too long by `over` bytes, (customers,).

    Those go that are needed least, the last one first: a page shows ten, and ten that are new to the customer. An item
    takes its size and a comma.
    """
    counts = np.diff(stops, prepend=0)
    owners = np.repeat(np.arange(len(counts)), counts)
    starts = stops - counts
    place = np.arange(len(reasons)) - starts[owners]
    new = np.append(0, np.cumsum(reasons != Reason.AGAIN))
    nth_new = new[1:] - new[starts][owners]
    shown_as_new = (reasons != Reason.AGAIN) & (nth_new <= _SHOWN)
    need = np.where(place < _SHOWN, 2, np.where(shown_as_new, 1, 0))
    order = np.lexsort((-place, need, owners))  # what goes first comes first
    gone = np.append(0, np.cumsum(sizes[order] + 1))
    before = gone[:-1] - gone[starts][owners]
    kept = np.empty(len(reasons), np.bool_)
    kept[order] = before >= over[owners]
    return kept


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


def joined_view(customer_id: str, to: str) -> bytes:
    """What stands in place of a view for an id that is joined to a customer."""
    return JoinedView(customer_id=customer_id, joined_to=to).model_dump_json().encode()


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
