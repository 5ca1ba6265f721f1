"""Totals of an import, to hold against the shop's own books, added up piece by piece."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final

import numpy as np

from contracts.guests import is_guest
from contracts.times import DAY
from online_model.lapse import usual_gap
from producer.cleaning import Ints, Mask
from producer.importing.spill import hash64
from producer.orders import Orders, months
from producer.summary import Month, NotSent, Place, ReplaySummary

_MOST_PURCHASES: Final = 4_000_000
"""For the gaps between purchase days: with more, every second customer is left out, and again."""


@dataclass(frozen=True, slots=True)
class Files:
    """Files that are read as one table."""

    names: Sequence[str]
    starts: Ints
    """(files,): the place of each file's first row in all of them."""

    def place(self, row: int) -> Place:
        """Where that row of all stands."""
        file = int(np.searchsorted(self.starts, row, side="right")) - 1
        return Place(self.names[file], row - int(self.starts[file]) + 1)


@dataclass(slots=True)
class Totals:
    """What was read so far."""

    zone: tzinfo
    rows: int = 0
    lines: int = 0
    orders: int = 0
    returns: int = 0
    guest_orders: int = 0
    first_at: int | None = None
    last_at: int | None = None
    skipped: Counter[str] = field(default_factory=Counter)
    not_sent: list[NotSent] = field(default_factory=list)
    refused: int = 0
    _months: dict[tuple[str, str], Month] = field(default_factory=dict)
    _guest_months: dict[tuple[str, str], Month] = field(default_factory=dict)
    _customers: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    _purchases: list[tuple[Ints, Ints]] = field(default_factory=list)
    """Customers' hashes and days of purchases."""
    _kept: int = 0
    _halved: int = 0
    _first: dict[str, tuple[int, Place]] = field(default_factory=dict)
    """By reason, the first row that was skipped: its place in all files of its kind, and where that is."""

    def skip(self, reason: str, count: int, first: int, files: Files) -> None:
        """So many rows are no lines; the place of the first of them in all `files`."""
        self.skipped[reason] += count
        if reason not in self._first or first < self._first[reason][0]:
            self._first[reason] = (first, files.place(first))

    def add(self, orders: Orders) -> Mask:
        """Take in orders that stand nowhere else; which of them are of guests, (events,)."""
        lines = orders.lines
        of_guest = np.array([is_guest(text) for text in lines.customers] + [False], bool)
        codes = lines.customer[orders.first]
        guests: Mask = of_guest[codes]
        returned = orders.returned
        self.orders += int((~returned).sum())
        self.returns += int(returned.sum())
        self.guest_orders += int((guests & ~returned).sum())
        if len(orders):
            first, last = int(orders.occurred_at[0]), int(orders.occurred_at[-1])
            self.first_at = first if self.first_at is None else min(first, self.first_at)
            self.last_at = last if self.last_at is None else max(last, self.last_at)
        _merge(self._months, months(orders, self.zone))
        _merge(self._guest_months, months(orders.select(guests), self.zone))
        hashes = np.array([hash64(text) for text in lines.customers], np.int64)
        if len(hashes):
            self._customers = np.union1d(self._customers, hashes[codes[~guests]])
            bought = ~returned & ~guests
            self._keep(hashes[codes[bought]], orders.occurred_at[bought] // DAY)
        return guests

    def _keep(self, customers: Ints, days: Ints) -> None:
        chosen = customers % (1 << self._halved) == 0
        self._purchases.append((customers[chosen], days[chosen]))
        self._kept += int(chosen.sum())
        while self._kept > _MOST_PURCHASES:
            self._halved += 1
            self._purchases = [
                (some[keep], when[keep]) for some, when in self._purchases for keep in [some % (1 << self._halved) == 0]
            ]
            self._kept = sum(len(some) for some, _ in self._purchases)

    @property
    def usual_gap(self) -> float | None:
        """Days within which most customers buy again; None where half a year or 200 gaps are not known."""
        if not self._purchases:
            return None
        customers = np.concatenate([some for some, _ in self._purchases])
        days = np.concatenate([when for _, when in self._purchases])
        order = np.lexsort((days, customers))
        return usual_gap(customers[order], days[order] * DAY)

    def summary(self, preset: str | None = None) -> ReplaySummary:
        """All totals."""
        return ReplaySummary(
            rows=self.rows,
            lines=self.lines,
            skipped=dict(self.skipped),
            first_skipped={reason: place for reason, (_, place) in self._first.items()},
            orders=self.orders,
            returns=self.returns,
            customers=len(self._customers),
            guests=self.guest_orders,
            months=tuple(self._months[key] for key in sorted(self._months)),
            guest_months=tuple(self._guest_months[key] for key in sorted(self._guest_months)),
            first_at=self.first_at,
            last_at=self.last_at,
            not_sent=tuple(self.not_sent),
            refused=self.refused,
            preset=preset,
        )


def _merge(into: dict[tuple[str, str], Month], more: Iterable[Month]) -> None:
    for one in more:
        key = (one.month, one.currency)
        had = into.get(key)
        into[key] = (
            one
            if had is None
            else Month(
                one.month,
                one.currency,
                had.orders + one.orders,
                had.returns + one.returns,
                had.spend + one.spend,
                had.refunds + one.refunds,
            )
        )
