"""How calm segments are: who keeps a segment without having bought anything, and whether every move has its reason."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.in_time_order import Moves
from contracts.documents import CAUSES
from contracts.times import DAY
from online_model.arrays import Booleans
from online_model.model import FIRST_SEGMENT_ID, SegmentModel

FORTNIGHT: Final = 14


@dataclass(frozen=True, slots=True)
class Events:
    """Who did what when: columns of one length."""

    kinds: Sequence[str]
    """`purchase` and so on."""
    customers: Sequence[str]
    at: Sequence[int]
    """Microseconds UTC."""


@dataclass(frozen=True, slots=True)
class _Days:
    """By customer and stream day, (customers, days + 1): the last column is what lies behind the end."""

    learned: Booleans
    """In a learned segment when the day began."""
    bought: Booleans
    moved: Booleans
    """Left a learned segment on that day, not by an adoption."""


def kept(moves: Moves, events: Events, calendar: Sequence[int]) -> dict[str, float | None]:
    """Shares of customers who did not buy and kept their segment, outside recorded adoptions.

    A customer counts who is in a learned segment when a stream day (of `calendar`, days since 1970 with events) begins
    and buys nothing on it: kept is who leaves it for no other reason than a new version. In the same way over 14 days
    of the calendar from each stream day on, as long as there are so many. Without a suffix the shares are over the
    whole replay: of all customers on all days. None where there is nobody.
    """
    days = _by_day(moves, events, calendar)
    ends = np.searchsorted(calendar, np.asarray(calendar) + FORTNIGHT).tolist()
    whole = [(place, end) for place, end in enumerate(ends) if calendar[place] + FORTNIGHT <= calendar[-1] + 1]
    return {
        **_shares("kept_per_day", days, [(place, place + 1) for place in range(len(calendar))]),
        **_shares("kept_per_14_days", days, whole),
    }


def moves_between_segments(moves: Moves) -> int:
    """Moves from one learned segment to another: not those out of waiting."""
    return int(np.count_nonzero((moves.before >= FIRST_SEGMENT_ID) & (moves.after >= FIRST_SEGMENT_ID)))


def moves_by_cause(moves: Moves) -> dict[str, int]:
    """Moves from one learned segment to another, by cause."""
    between = (moves.before >= FIRST_SEGMENT_ID) & (moves.after >= FIRST_SEGMENT_ID)
    counted = Counter(cause for cause, learned in zip(moves.causes, between.tolist(), strict=True) if learned)
    return {cause: counted[cause] for cause in CAUSES}


def unexplained(moves: Moves, events: Events, models: Sequence[SegmentModel]) -> int:
    """Moves whose cause is not to be seen in what happened.

    A purchase, return or profile of the customer on that day; a version adopted at that moment; or time, which always
    passes. For events that come in the order of their times.
    """
    happened = {(kind, who, at // DAY) for kind, who, at in zip(events.kinds, events.customers, events.at, strict=True)}
    adopted = {model.adopted_at for model in models}
    return sum(
        not (cause == "time" or (cause == "model" and at in adopted) or (cause, who, at // DAY) in happened)
        for who, at, cause in zip(moves.customers, moves.at.tolist(), moves.causes, strict=True)
    )


def ids_reused(models: Sequence[SegmentModel]) -> int:
    """How often a segment id came back after it had been gone from a version: never, if all is well."""
    gone: set[int] = set()
    present: set[int] = set()
    reused = 0
    for model in models:
        ids = {segment.id for segment in model.segments}
        reused += len(ids & gone)
        gone |= present - ids
        present = ids
    return reused


def _by_day(moves: Moves, events: Events, calendar: Sequence[int]) -> _Days:
    customers = {who: place for place, who in enumerate(dict.fromkeys([*moves.customers, *events.customers]))}
    shape = (len(customers), len(calendar) + 1)
    learned, bought, moved = (np.zeros(shape, np.bool_) for _ in range(3))
    for kind, who, at in zip(events.kinds, events.customers, events.at, strict=True):
        if kind == "purchase":
            bought[customers[who], bisect_left(calendar, at // DAY)] = True
    on = np.searchsorted(calendar, moves.at // DAY)
    columns = (moves.customers, on.tolist(), moves.before.tolist(), moves.after.tolist(), moves.causes)
    for who, day, before, after, cause in zip(*columns, strict=True):
        place = customers[who]
        learned[place, day + 1 :] = after >= FIRST_SEGMENT_ID
        if before >= FIRST_SEGMENT_ID and cause != "model":
            moved[place, day] = True
    return _Days(learned, bought, moved)


def _shares(name: str, days: _Days, windows: Sequence[tuple[int, int]]) -> dict[str, float | None]:
    """Over all windows (from, to) together, and of the windows the worst and the median."""
    quiet, left = np.zeros(len(windows)), np.zeros(len(windows))
    for place, (start, end) in enumerate(windows):
        counted = days.learned[:, start] & ~days.bought[:, start:end].any(axis=1)
        quiet[place] = np.count_nonzero(counted)
        left[place] = np.count_nonzero(days.moved[counted, start:end].any(axis=1))
    if not quiet.any():
        return dict.fromkeys((name, f"{name}_worst", f"{name}_median"))
    shares = 1 - left[quiet > 0] / quiet[quiet > 0]
    return {
        name: float(1 - left.sum() / quiet.sum()),
        f"{name}_worst": float(shares.min()),
        f"{name}_median": float(np.median(shares)),
    }
