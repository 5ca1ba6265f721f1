"""Forecasts of the rows in memory: worked out when asked for, anew where row, day or document have changed.

A pass over all rows adds them up by segment, and finds out whose view is to say something else.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from consumer.columns import Columns
from consumer.row_store import Rows, RowStore
from contracts.times import DAY
from online_model.arrays import Floats, Integers
from online_model.forecasts.ahead_columns import AHEAD, Ahead, Blind, LooksAhead, at_risk, figure

SLICE_ROWS: Final = 2_048
"""Rows that one slice of a pass looks at: up to some 10 ms where all are to be worked out."""
MOVED_ORDERS: Final = 0.1
"""A view is to say something else when it is off by this share of the orders of 90 days ..."""
LEAST_ORDERS: Final = 0.02
"""... and by so many orders ..."""
MOVED_CHANCE: Final = 0.05
"""... or by so much of a probability."""
SUMS: Final = ("customers", "active", "told", "orders", "spend_30", "spend_90", "spend_365", "at_risk")
"""What is added up by segment: customers with a forecast; P(active) and of how many it is known; orders of 90 days;
net spend of 30, 90 and 365 days; and what of 90 days is `at_risk`."""

_NUMBERS: Final = AHEAD.itemsize // 4
_NEVER: Final = -1
_VERSIONS: Final = 1 << 24
"""Days fit in below a version."""

Totals = dict[int, tuple[float, ...]]
"""SUMS by segment id."""


@dataclass(slots=True)
class _Pass:
    """One pass over all rows."""

    version: int
    day: int
    place: int = 0
    sums: dict[tuple[int, int], Floats] = field(default_factory=dict)
    """By partition and segment."""
    again: bool = False
    """Whether customers have changed segment meanwhile: some of them may be counted where they were."""


class RowForecasts:
    """Columns beside those of the store, by row number."""

    def __init__(self, store: RowStore) -> None:
        self.version = 0
        """Of the forecast document; 0 before there is one."""
        self.forecaster: LooksAhead = Blind()
        self.sums: dict[int, Totals] = {}
        """By partition, as of the last pass; one that came since is not in it."""
        self._store = store
        self._ahead = _plain(np.zeros(0, AHEAD))
        """What `of` gives, as numbers side by side: rows of fields are copied field by field."""
        self._made: Integers = np.zeros(0, np.int64)
        """Version and day that a row's forecast is of."""
        self._shown = np.zeros((0, 3), np.float32)
        """Orders of 90 days, P(active) and churn as a view said them last: NaN where that is not known, below 0 where
        the view said that it is not known."""
        self._pass: _Pass | None = None
        self._passed: tuple[int, int] | None = None
        """Version and day of the last pass; None: one is due."""

    def adopt(self, forecaster: LooksAhead, version: int) -> None:
        """Take over a forecast document."""
        self.forecaster, self.version = forecaster, version
        self._pass = self._passed = None

    def forget(self, rows: Rows) -> None:
        """These rows have changed, are new, or are gone."""
        self._fit_in()
        self._made[rows] = _NEVER

    def forget_shown(self, rows: Rows) -> None:
        """It is not known what views of these rows say."""
        self.forget(rows)
        self._shown[rows] = np.nan

    def note_shown(self, rows: Rows) -> None:
        """Views of these rows say what `of` gave last, or that nothing is known where there is no document."""
        self._fit_in()
        self._shown[rows] = _told(self._of(rows)) if self.version else -1

    def of(self, rows: Rows, now: int) -> Ahead:
        """Forecasts of rows as of today, (rows,) of dtype AHEAD."""
        self._fit_in()
        wanted = self.version * _VERSIONS + now // DAY
        stale = rows[self._made[rows] != wanted]
        if len(stale):
            self._ahead[stale] = _plain(self.forecaster.ahead(Columns.of_store(self._store, stale), now))
            self._made[stale] = wanted
        return self._of(rows)

    def _of(self, rows: Rows) -> Ahead:
        return self._ahead.take(rows, axis=0).view(AHEAD)[:, 0]

    # ---- the pass ----

    def begin_again(self) -> None:
        """Customers have changed segment: add up anew, after the pass that may be under way."""
        if self._pass is None:
            self._passed = None
        else:
            self._pass.again = True

    def take_in(self, rows: Rows) -> None:
        """These rows of another partition have come: what is added up without them is half a sum."""
        self.forget_shown(rows)
        self._pass = self._passed = None

    def drop(self, partition: int) -> None:
        """A partition has gone."""
        self.sums.pop(partition, None)
        if self._pass is not None:
            self._pass.sums = {key: totals for key, totals in self._pass.sums.items() if key[0] != partition}

    def behind(self, now: int) -> bool:
        """Whether a pass is under way or due."""
        return self.version > 0 and (self._pass is not None or self._passed != (self.version, now // DAY))

    def go_on(self, now: int) -> Rows:
        """The next slice of a pass. Returns the rows whose views say something that is no longer so."""
        if self._pass is None:
            self._pass = _Pass(self.version, now // DAY)
        present, store = self._pass, self._store
        end = min(present.place + SLICE_ROWS, store.used)
        rows = store.customers_of(present.place + np.flatnonzero(store.partition[present.place : end] >= 0))
        present.place = end
        ahead = self.of(rows, now)
        self._add_up(present, rows, ahead)
        moved: Rows = rows[_moved(self._shown[rows], _told(ahead))]
        if end >= store.used:
            self.sums = {partition: {} for partition in store.partitions}
            for (partition, segment), totals in present.sums.items():
                self.sums[partition][segment] = tuple(totals.tolist())
            self._pass, self._passed = None, None if present.again else (present.version, present.day)
        return moved

    def _add_up(self, present: _Pass, rows: Rows, ahead: Ahead) -> None:
        known = ~np.isnan(ahead["orders"][:, 0])
        if not known.any():
            return
        rows, ahead = rows[known], ahead[known]
        columns = _columns(ahead)
        own = np.stack([self._store.partition[rows], self._store.header["segment"][rows]], axis=1)
        groups, places = np.unique(own, axis=0, return_inverse=True)
        sums = np.stack([np.bincount(places.ravel(), column, len(groups)) for column in columns], axis=1)
        for (partition, segment), totals in zip(groups.tolist(), sums, strict=True):
            present.sums[partition, segment] = present.sums.get((partition, segment), 0.0) + totals

    def _fit_in(self) -> None:
        """Grow with the rows."""
        capacity, had = len(self._store.header), len(self._made)
        if capacity <= had:
            return
        more = capacity - had
        self._ahead = np.concatenate([self._ahead, _plain(np.zeros(more, AHEAD))])
        self._made = np.concatenate([self._made, np.full(more, _NEVER, np.int64)])
        self._shown = np.concatenate([self._shown, np.full((more, 3), np.nan, np.float32)])


def _plain(ahead: Ahead) -> npt.NDArray[np.float32]:
    """Forecasts as rows of numbers."""
    return np.ascontiguousarray(ahead).view(np.float32).reshape(len(ahead), _NUMBERS)


def _columns(ahead: Ahead) -> list[Floats]:
    """What SUMS are made of, (customers,) each."""
    active = np.asarray(ahead["active"], np.float64)
    told = ~np.isnan(active)
    chance = np.where(told, active, 1.0)
    spend = [np.asarray(ahead["spend"][:, place], np.float64) for place in range(3)]
    counted = [np.ones(len(ahead)), np.where(told, active, 0.0), told.astype(np.float64)]
    return [*counted, figure(ahead, "expected_orders_90d"), *spend, at_risk(spend[1], chance)]


def _told(ahead: Ahead) -> npt.NDArray[np.float32]:
    """What a view says, (rows, 3), as it is remembered: -1 for what is not known."""
    told = np.stack([ahead["orders"][:, 1], ahead["active"], ahead["churn"]], axis=1)
    return np.where(np.isnan(told), np.float32(-1), told)


def _moved(shown: npt.NDArray[np.float32], told: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Whose view is off by more than is put up with, (rows,); of whom it is not known what it says, nobody's."""
    off = np.abs(told - shown)
    orders = (off[:, 0] > MOVED_ORDERS * np.abs(shown[:, 0])) & (off[:, 0] > LEAST_ORDERS)
    return np.asarray(orders | (off[:, 1:] > MOVED_CHANCE).any(axis=1))
