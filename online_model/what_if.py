"""One customer's futures as rows: what the columns would be after some days of silence, or after more orders now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from contracts.times import DAY
from online_model.arrays import Floats, Integers, ShapeError
from online_model.features import (
    MISSING_TIME,
    RECENT_HALF_LIFE,
    YEAR_HALF_LIFE,
    AttributeCount,
    RowColumns,
    TextColumn,
    decayed,
)


@dataclass(frozen=True, eq=False, slots=True)
class Futures:
    """A `RowColumns` of one customer in several futures, all columns (futures,), to be looked at as of `now`.

    Days of silence are days by which everything is longer ago. That is the same as a later `now`, since features know
    times by their distance from now only, and lets all futures be looked at in one go. Orders are placed now, each of
    the customer's own mean value and units.
    """

    row: RowColumns
    """Of this one customer."""
    now: int
    silence: Integers
    """Microseconds, (futures,)."""
    orders_more: Integers
    """Orders placed now, (futures,); where there are any, `silence` is 0."""

    def __post_init__(self) -> None:
        if len(self.row.last_at) != 1 or self.silence.shape != self.orders_more.shape:
            raise ShapeError("futures are of one customer, each with a silence and a number of orders")
        if np.any((self.silence > 0) & (self.orders_more > 0)):
            raise ValueError("a future has silence or orders, not both")

    @classmethod
    def of_silence(cls, row: RowColumns, now: int, days: Sequence[int]) -> Self:
        """Without an order for so many days from now."""
        silence = np.array(days, np.int64) * DAY
        return cls(row, now, silence, np.zeros_like(silence))

    @classmethod
    def of_orders(cls, row: RowColumns, now: int, orders: Sequence[int]) -> Self:
        """With so many more orders, placed now."""
        more = np.array(orders, np.int64)
        return cls(row, now, np.zeros_like(more), more)

    @property
    def order_value(self) -> float:
        """What the customer's orders are worth on average; 0 where there was none."""
        return float(self.row.spend[0]) / max(1, int(self.row.orders[0]))

    @property
    def first_at(self) -> Integers:
        """First purchase, or MISSING_TIME."""
        if self.row.first_at[0] == MISSING_TIME:
            return self._ordered_or(np.full(len(self.silence), MISSING_TIME))
        return np.asarray(self.row.first_at[0] - self.silence)

    @property
    def last_at(self) -> Integers:
        """Last purchase, or MISSING_TIME."""
        return self._ordered_or(self._shifted(self.row.last_at))

    @property
    def newest_at(self) -> Integers:
        """Newest purchase or return, or MISSING_TIME."""
        return self._ordered_or(self._shifted(self.row.newest_at))

    @property
    def orders(self) -> npt.NDArray[np.uint32]:
        """Orders ever."""
        return (int(self.row.orders[0]) + self.orders_more).astype(np.uint32)

    @property
    def orders_decayed(self) -> Floats:
        """Orders, halved every 365 days, as of `newest_at`."""
        return self._decayed(self.row.orders_decayed, YEAR_HALF_LIFE, 1.0)

    @property
    def net_decayed(self) -> Floats:
        """Spend less refunds, halved every 365 days, as of `newest_at`."""
        return self._decayed(self.row.net_decayed, YEAR_HALF_LIFE, self.order_value)

    @property
    def recent_net(self) -> Floats:
        """Spend less refunds, halved every 90 days, as of `newest_at`."""
        return self._decayed(self.row.recent_net, RECENT_HALF_LIFE, self.order_value)

    @property
    def spend(self) -> Floats:
        """Everything ever bought."""
        return np.asarray(self.row.spend[0] + self.orders_more * self.order_value)

    @property
    def refunds(self) -> Floats:
        """Everything ever given back."""
        return self._repeated(self.row.refunds)

    @property
    def units(self) -> Integers:
        """Units ever bought."""
        units = int(self.row.units[0])
        return np.rint(units + self.orders_more * units / max(1, int(self.row.orders[0]))).astype(np.int64)

    @property
    def purchase_days(self) -> npt.NDArray[np.uint32]:
        """UTC days with a purchase."""
        another = int(self.row.last_at[0]) // DAY != self.now // DAY
        return (int(self.row.purchase_days[0]) + (self.orders_more > 0) * another).astype(np.uint32)

    def numbers(self, attribute: str) -> Floats:
        """A profile attribute as numbers."""
        return self._repeated(self.row.numbers(attribute))

    def labels(self, attribute: str) -> TextColumn:
        """A profile attribute as text."""
        codes, values = self.row.labels(attribute)
        return TextColumn(np.repeat(codes, len(self.silence)), values)

    def attribute_counts(self) -> Mapping[str, AttributeCount]:
        """Which profile attributes the customer has."""
        return self.row.attribute_counts()

    def category_shares(self, categories: Sequence[str]) -> Floats:
        """Shares of categories: of the lines that there are, what is bought next is not known."""
        return np.repeat(self.row.category_shares(categories), len(self.silence), axis=0)

    def category_counts(self) -> Mapping[str, int]:
        """Kept purchase lines by category."""
        return self.row.category_counts()

    def _shifted(self, moments: Integers) -> Integers:
        if moments[0] == MISSING_TIME:
            return np.full(len(self.silence), MISSING_TIME)
        return np.asarray(moments[0] - self.silence)

    def _ordered_or(self, moments: Integers) -> Integers:
        return np.asarray(np.where(self.orders_more > 0, np.maximum(moments, self.now), moments))

    def _decayed(self, values: Floats, half_life: int, per_order: float) -> Floats:
        then = max(self.now, int(self.row.newest_at[0]))
        now_worth = float(decayed(values, self.row.newest_at, then, half_life)[0])
        return np.where(self.orders_more > 0, now_worth + self.orders_more * per_order, values[0])

    def _repeated(self, values: Floats) -> Floats:
        return np.repeat(values, len(self.silence))
