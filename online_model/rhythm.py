"""When customers buy: the gap between their purchase days, whether the next is overdue, and who buys in one season."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from contracts.times import DAY, SECOND
from online_model.arrays import Booleans, Floats, Integers, ShapeError
from online_model.features import MISSING_TIME

RHYTHM_DAYS: Final = 4
"""So many purchase days, three gaps, make a rhythm."""
YEAR: Final = 31_556_952 * SECOND
"""A mean Gregorian year, 365.2425 days, in microseconds."""
SEASON_DAYS: Final = 60
"""The longest stretch of the year that is called a season."""
SEASON_CHANCE: Final = 0.05
"""How likely purchase days at random times of the year may be to lie as close together."""
_SEASON_PURCHASE_DAYS: Final = 3
_NO_GAP: Final = 0xFFFFFFFF
_TICKS: Final = 10_000
"""In so many ticks a day the year is a whole number: no rounding where it begins and ends."""
_YEAR_TICKS: Final = 3_652_425


def _between_seasons() -> Booleans:
    """By days, up to a century: whether a gap so long fits neither within a season nor between those of two years."""
    off = np.arange(100 * 365) * _TICKS % _YEAR_TICKS
    between: Booleans = (off > SEASON_DAYS * _TICKS) & (off < _YEAR_TICKS - SEASON_DAYS * _TICKS)
    between[-1] = False  # and longer ones: not looked at here
    return between


_BETWEEN_SEASONS: Final = _between_seasons()


@dataclass(frozen=True, eq=False, slots=True)
class Rhythm:
    """What kept purchases say about when customers buy: decided by the purchases alone, whatever the time now."""

    last_at: Integers
    """Newest kept purchase, (customers,), microseconds UTC; MISSING_TIME where there is none."""
    purchase_days: Integers
    """UTC days with a kept purchase, (customers,)."""
    median_gap: Floats
    """Median days between consecutive purchase days, (customers,); NaN below two purchase days."""
    season_begins: Integers
    """When the season of the newest purchase began, (customers,), microseconds UTC; MISSING_TIME: no season."""

    @classmethod
    def of(cls, owners: npt.NDArray[np.integer], times: Integers, customers: int) -> Self:
        """The rhythm of customers 0 … customers - 1.

        `owners` says whose purchase each of `times` (microseconds UTC) is; both (purchases,), in any order, though
        fastest by customer and time. Purchases on one UTC day count once. Raises ShapeError for unequal lengths.
        """
        if owners.shape != times.shape or owners.ndim != 1:
            raise ShapeError(f"a purchase needs one owner and one time, not {owners.shape} and {times.shape}")
        whose, times = _ordered(owners, times)
        last_at: Integers = np.full(customers, MISSING_TIME)
        last_at[whose] = times  # of several the last one stays
        days = times // DAY
        first = np.flatnonzero((days[1:] != days[:-1]) | (whose[1:] != whose[:-1])) + 1
        if len(first) + 1 < len(days):
            first = np.concatenate([[0], first])
            whose, days = whose[first], days[first]
        kept = _Days(whose, days, np.bincount(whose, minlength=customers))
        return cls(last_at, kept.counts, kept.median_gaps(), kept.seasons())

    @property
    def seasonal(self) -> Booleans:
        """Who buys in one season of the year only, in two years or more, (customers,).

        At least three purchase days, in at least two years' seasons, lie within 60 days of the year (a stretch over New
        Year's Eve is one), so close that n days at random times would do so with a chance n·w**(n - 1) of at most 5 %,
        w being their stretch as a share of the year.

        Source of the chance: Stevens, Solution to a geometrical problem in probability (1939).
        """
        return np.asarray(self.season_begins != MISSING_TIME)

    def overdue(self, now: int) -> Floats:
        """Days since the newest purchase over the customer's own median gap, (customers,); NaN below 4 purchase days.

        Above 1 the customer is later than usual.
        """
        measured = self.purchase_days >= RHYTHM_DAYS
        since = np.maximum(now - np.where(measured, self.last_at, now), 0) / DAY
        return np.asarray(np.divide(since, self.median_gap, out=np.full(len(since), np.nan), where=measured))

    def next_expected(self) -> Integers:
        """When the next purchase is due, (customers,), microseconds UTC; MISSING_TIME where nothing tells.

        A seasonal customer's is the beginning of the next season, another's one median gap after the newest purchase,
        from 4 purchase days on.
        """
        measured = self.purchase_days >= RHYTHM_DAYS
        expected: Integers = np.full(len(self.last_at), MISSING_TIME)
        gaps = np.rint(self.median_gap[measured] * DAY).astype(np.int64)
        expected[measured] = self.last_at[measured] + gaps
        seasonal = self.seasonal
        expected[seasonal] = self.season_begins[seasonal] + YEAR
        return expected

    def out_of_season(self, now: int) -> Booleans:
        """Seasonal customers whose next season has not begun, (customers,): silence says nothing about them."""
        return season_to_come(self.season_begins, now)


def season_to_come(season_begins: Integers, now: int | Integers) -> Booleans:
    """Of whom the next season has not begun, by `Rhythm.season_begins`, (customers,)."""
    return np.asarray((season_begins != MISSING_TIME) & (now < season_begins + YEAR))


def may_be_seasonal(first_at: Integers, last_at: Integers, purchase_days: npt.NDArray[np.integer]) -> Booleans:
    """Who is worth a look at the kept purchases, (customers,); nobody else is seasonal."""
    return np.asarray((purchase_days >= _SEASON_PURCHASE_DAYS) & (last_at - first_at > (365 - SEASON_DAYS) * DAY))


def _ordered(owners: npt.NDArray[np.integer], times: Integers) -> tuple[Integers, Integers]:
    """Both as int64 by owner and time. Rows keep their purchases in order, so mostly there is nothing to do."""
    whose: Integers = owners.astype(np.int64, copy=False)
    rising = (whose[1:] > whose[:-1]) | ((whose[1:] == whose[:-1]) & (times[1:] >= times[:-1]))
    if rising.all():
        return whose, times
    order = np.lexsort((times, whose))
    return whose[order], times[order]


class _Days:
    """Purchase days of all customers, by customer and day, each once."""

    def __init__(self, owners: Integers, days: Integers, counts: Integers) -> None:
        self.owners = owners
        self.days = days
        """Since the epoch."""
        self.counts = counts
        """Of each customer, (customers,)."""
        self.starts = np.cumsum(counts) - counts
        """Where each customer's days begin, (customers,)."""
        self.gaps: Integers = np.empty_like(days)
        """Days from each purchase day to the next; _NO_GAP after a customer's last."""
        np.subtract(days[1:], days[:-1], out=self.gaps[:-1])
        self.gaps[(self.starts + counts - 1)[counts > 0]] = _NO_GAP

    def median_gaps(self) -> Floats:
        """Median gap of each customer in days, (customers,); NaN where there is none."""
        # One sort of (owner, gap) in a word is several times as fast as a sort by two keys; _NO_GAP comes last.
        packed = self.owners << 32
        packed |= self.gaps
        packed.sort()
        medians = np.full(len(self.counts), np.nan)
        some = np.flatnonzero(self.counts >= 2)
        first, n = self.starts[some], self.counts[some] - 1
        low, high = packed[first + (n - 1) // 2], packed[first + n // 2]
        medians[some] = ((low & _NO_GAP) + (high & _NO_GAP)) / 2
        return medians

    def seasons(self) -> Integers:
        """When the season of each seasonal customer's newest purchase begins, (customers,); MISSING_TIME for others."""
        begins: Integers = np.full(len(self.counts), MISSING_TIME)
        some = self._candidates()
        if not some.size:
            return begins
        n = self.counts[some]
        first, last = np.cumsum(n) - n, np.cumsum(n) - 1
        days = self.days[np.repeat(self.starts[some] - first, n) + np.arange(n.sum())] * _TICKS
        phases = np.repeat(np.arange(len(some)) << 32, n) | days % _YEAR_TICKS
        phases.sort()
        phases &= 0xFFFFFFFF
        # Around the circle of the year: after the longest pause the season begins.
        pauses = np.empty_like(phases)
        np.subtract(phases[1:], phases[:-1], out=pauses[:-1])
        pauses[last] = phases[first] + _YEAR_TICKS - phases[last]
        longest = np.maximum.reduceat(pauses, first)
        is_longest = np.flatnonzero(pauses == np.repeat(longest, n))
        before = is_longest[np.searchsorted(is_longest, first)]
        begin = phases[np.where(before == last, first, before + 1)]
        stretch = _YEAR_TICKS - longest
        likely = n * (stretch / _YEAR_TICKS) ** (n - 1.0)
        oldest, newest = ((days[place] - begin) // _YEAR_TICKS for place in (first, last))
        seasonal = (stretch <= SEASON_DAYS * _TICKS) & (likely <= SEASON_CHANCE) & (newest > oldest)
        begins[some[seasonal]] = (begin + newest * _YEAR_TICKS)[seasonal] * (DAY // _TICKS)
        return begins

    def _candidates(self) -> Integers:
        """Who may be seasonal: enough days, and every gap either within a season or about whole years long."""
        enough: Integers = np.flatnonzero(self.counts >= _SEASON_PURCHASE_DAYS)
        first, last = self.starts[enough], self.starts[enough] + self.counts[enough] - 1
        enough = enough[self.days[last] - self.days[first] > 365 - SEASON_DAYS]
        if not enough.size:
            return enough
        whose = self.owners[_BETWEEN_SEASONS[np.minimum(self.gaps, len(_BETWEEN_SEASONS) - 1)]]
        misfits = np.bincount(whose, minlength=len(self.counts))
        fitting: Integers = enough[misfits[enough] == 0]
        return fitting
