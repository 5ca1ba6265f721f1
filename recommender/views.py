"""Customer views as bytes, tens of thousands a second: JSON joined from pieces that are encoded once.

`contracts.documents.CustomerView` is the authority on what the bytes mean; tests hold this module equal to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

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
from contracts.times import from_micros, rfc3339, rfc3339_each
from recommender.distinct import sorted_order
from recommender.popularity import Popular
from recommender.ranking import Ranked, Reason

_SHORT_LIST: Final = 100
"""Bytes of the names of audiences for which no item has to go."""
SCORE_STEPS: Final = 1_000
"""Scores are written with three decimals."""

_BY_RULE: Final = '"by_rule":true,'
_FIXED: Final = (
    *(f"{step / SCORE_STEPS},".encode() for step in range(SCORE_STEPS + 1)),
    *(f'"{reason.name.lower()}"]'.encode() for reason in Reason),
)
"""Pieces of lists that all shops have: scores, then ends of items by reason; because of an item, that item tells it."""
_REASONS: Final = SCORE_STEPS + 1
"""Where the ends begin."""
_NO_FORECAST: Final = "null"
_SHOWN: Final = 10
"""So many items of a shelf are shown on a page."""


def quoted(text: str) -> str:
    """The text as a JSON string, quotation marks included."""
    return msgspec.json.encode(text).decode()


def _each_quoted(texts: Sequence[str]) -> list[str]:
    """Texts as JSON strings without the quotation marks around them: encoded in one go where nothing is escaped."""
    together = msgspec.json.encode(texts).decode()
    if "\\" in together:
        return [quoted(text)[1:-1] for text in texts]
    return together[2:-2].split('","') if texts else []


class ItemTexts:
    """Item ids by number, with their pieces of JSON. Grows as items appear; the first one ever gets number 0."""

    def __init__(self, item_ids: Iterable[str] = ()) -> None:
        self.ids: list[str] = []
        self._new: list[bytes] = []
        self._pieces = _Pieces.of(_FIXED)
        self._characters = np.empty(0, np.int32)
        self.extend(item_ids)

    def extend(self, item_ids: Iterable[str]) -> None:
        """Append items."""
        for item_id in item_ids:
            self.ids.append(item_id)
            self._new += (f",[{quoted(item_id)},".encode(), f"{quoted(f'because:{item_id}')}]".encode())

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def pieces(self) -> "_Pieces":
        """What lists are joined from: scores, reasons, and two of each item.

        How its JSON begins, with the comma before it, and how that of an item ends that is listed because of it.
        """
        if self._new:
            self._pieces = self._pieces.and_more(_Pieces.of(self._new))
            self._new = []
        return self._pieces

    @property
    def characters(self) -> NDArray[np.int32]:
        """Of each id, (items,)."""
        if len(self._characters) < len(self.ids):
            new = np.fromiter(map(len, self.ids[len(self._characters) :]), np.int32)
            self._characters = np.concatenate((self._characters, new))
        return self._characters


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Pieces of JSON by number."""

    texts: NDArray[np.object_]
    """`bytes`: numpy looks them up in a third of the time that a list takes."""
    sizes: NDArray[np.int32]

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> Self:
        """With their sizes."""
        table = np.empty(len(texts), np.object_)
        table[:] = texts
        return cls(table, np.fromiter(map(len, texts), np.int32, len(texts)))

    def and_more(self, other: "_Pieces") -> "_Pieces":
        """Those after these."""
        return _Pieces(np.concatenate((self.texts, other.texts)), np.concatenate((self.sizes, other.sizes)))


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
    head = f'{{"v":{VERSION},"customer_id":"'
    ids, memberships, audiences = members.customer_ids, _memberships(members, names), _audience_lists(members)
    fronts = [
        f'{head}{customer_id}","segment":{membership},{within}"items":['.encode()
        for customer_id, membership, within in zip(_each_quoted(ids), memberships, audiences, strict=True)
    ]
    ends = [end for stamp, customers in stamps for end in [_back(stamp)] * customers]
    ahead = forecasts or [_NO_FORECAST] * len(ends)
    backs = [f'],"forecast":{forecast}{end}'.encode() for forecast, end in zip(ahead, ends, strict=True)]
    sizes = np.fromiter(map(len, fronts), np.int64) + np.fromiter(map(len, backs), np.int64)
    everyday = np.fromiter(map(len, ids), np.int64) <= SHORT_ID_CHARACTERS
    if members.audiences:
        everyday &= np.fromiter(map(len, audiences), np.int64) <= _SHORT_LIST
    lists = _Lists.of(ranked, items, sizes, everyday)
    # An item's JSON begins with a comma, which the first one of a list must not have.
    return [
        b"".join((front, lists.joined[start + 1 : stop], back))
        for front, start, stop, back in zip(fronts, [0, *lists.stops], lists.stops, backs, strict=False)
    ]


def _back(stamp: Stamp) -> str:
    return (
        f',"as_of":"{rfc3339(stamp.as_of)}","model_version":{stamp.model_version},'
        f'"written_by":[{stamp.sequence},{quoted(stamp.token)}]}}'
    )


@dataclass(frozen=True, slots=True)
class _Lists:
    """The items of all lists, one after another."""

    joined: bytes
    """The JSON of all, the last ones of a list without the item that speaks for them where there is no room; where
    there is none even so, the items that are needed least are left out."""
    stops: list[int]
    """The byte where each customer's list stops."""

    @classmethod
    def of(cls, ranked: Ranked, texts: ItemTexts, rest: NDArray[np.int64], everyday: NDArray[np.bool_]) -> "_Lists":
        """`rest`: bytes of each view beside its items; `everyday`: whose are to be short if their items' ids are."""
        there = ranked.items >= 0
        counts = there.sum(axis=1)
        cells = np.flatnonzero(there)
        items, because = ranked.items.take(cells), ranked.because.take(cells)
        reasons = ranked.reasons.take(cells).astype(np.int64)
        texts_of, sizes_of, first = texts.pieces.texts, texts.pieces.sizes, len(_FIXED)
        pieces = np.empty((len(items), 3), np.int64)
        pieces[:, 0] = first + 2 * items
        pieces[:, 1] = np.rint(np.clip(ranked.scores.take(cells), 0, 1) * SCORE_STEPS)
        pieces[:, 2] = np.where(because >= 0, first + 1 + 2 * because, _REASONS + reasons)
        ends = _reached(sizes_of.take(pieces).sum(axis=1), counts)
        long = _reached(texts.characters.take(items) > SHORT_ID_CHARACTERS, counts)
        short = everyday & (long[1:] == long[:-1])
        over = rest + np.diff(ends) - (counts > 0) - np.where(short, SHORT_VIEW_BYTES, MAX_VIEW_BYTES)
        if (over > 0).any():
            kept = _shortened(pieces, reasons, sizes_of, counts, over)
            counts = np.diff(_reached(kept, counts))
            pieces = pieces[kept]
            ends = _reached(sizes_of.take(pieces).sum(axis=1), counts)
        return cls(b"".join(texts_of.take(pieces.ravel()).tolist()), ends[1:].tolist())


def _shortened(
    pieces: NDArray[np.int64],
    reasons: NDArray[np.int64],
    sizes: NDArray[np.int32],
    counts: NDArray[np.int64],
    over: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Let items of the lists that are too long by `over` bytes, (customers,), say less, in place: (items, 3) `pieces`.

    Returns which items, (items,), stay where that is not enough.
    """
    kept = np.ones(len(pieces), np.bool_)
    too_long = over > 0
    there = np.flatnonzero(np.repeat(too_long, counts))
    reasons, counts, over = reasons[there], counts[too_long], over[too_long]
    less = _REASONS + reasons
    # An item says less where what those after it save is not enough.
    savings = (sizes[pieces[there, 2]] - sizes[less]).astype(np.int64)
    saved = savings.cumsum()
    ends = _reached(savings, counts)
    says_less = np.repeat(over - ends[1:], counts) > -saved
    some = there[says_less]
    pieces[some, 2] = less[says_less]
    over = over - np.diff(_reached(np.where(says_less, savings, 0), counts))
    if (over > 0).any():
        kept[there] = _kept(reasons, sizes.take(pieces[there]).sum(axis=1), counts, over)
    return kept


def _reached(values: NDArray[np.generic], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """What the values of all customers before come to, and in the end those of all, (customers + 1,)."""
    sums = np.zeros(len(values) + 1, np.int64)
    values.cumsum(dtype=np.int64, out=sums[1:])
    places = np.zeros(len(counts) + 1, np.int64)
    counts.cumsum(out=places[1:])
    return sums[places]


def _kept(
    reasons: NDArray[np.int64], sizes: NDArray[np.int64], counts: NDArray[np.int64], over: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which items, (items,), stay in lists of which some are too long by `over` bytes, (customers,).

    Those go that are needed least, the last one first: a page shows ten, and ten that are new to the customer. `sizes`
    are with the comma.
    """
    owners = np.repeat(np.arange(len(counts)), counts)
    starts = counts.cumsum() - counts
    place = np.arange(len(reasons)) - starts[owners]
    is_new = reasons != Reason.AGAIN
    new = np.append(0, is_new.cumsum())
    nth_new = new[1:] - new[starts][owners]
    need = np.where(place < _SHOWN, 2, np.where(is_new & (nth_new <= _SHOWN), 1, 0))
    order = sorted_order((owners * 3 + need) * (len(place) + 1) - place)  # what goes first comes first
    gone = np.append(0, sizes[order].cumsum())
    before = gone[:-1] - gone[starts][owners]
    kept = np.empty(len(reasons), np.bool_)
    kept[order] = before >= over[owners]
    return kept


def _memberships(members: Members, names: Mapping[int, str]) -> list[str]:
    """The JSON of each customer's segment."""
    segments = members.segments.tolist()
    heads = {
        segment: f'{{"id":{segment},"name":{quoted(names[segment])},{_BY_RULE if segment in RULE_IDS else ""}"since":"'
        for segment in set(segments)
        if segment != NO_SEGMENT or segment in names
    }
    causes = [f',"cause":"{cause}"}}' for cause in CAUSES]
    previous = ["null" if one == NO_SEGMENT else one for one in members.previous.tolist()]
    columns = zip(segments, rfc3339_each(members.since.tolist()), previous, members.causes.tolist(), strict=True)
    return [
        f'{heads[segment]}{since}","previous":{before}{causes[cause]}' if segment in heads else "null"
        for segment, since, before, cause in columns
    ]


def _audience_lists(members: Members) -> Sequence[str]:
    """The JSON of each customer's audiences, with its key, or nothing: few different ones, so each is encoded once."""
    if not members.audiences:
        return [""] * len(members.customer_ids)
    lists = [tuple(names) for names in members.audiences]
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
