"""Rows as the columns that features and names are made from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from consumer.ragged_columns import DecodedColumns, RaggedColumns
from consumer.row_columns import CachedColumns
from consumer.row_store import Rows, RowStore
from contracts.money import MILLIONTHS
from online_model.features import AttributeCount, TextColumn
from online_model.forecasts.ahead_columns import Ahead, figure

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Columns:
    """A `online_model.features.RowColumns` over packed row headers, of shape (rows,)."""

    header: npt.NDArray[Any]
    ragged: RaggedColumns | None = None
    """Attributes and kept lines of the same rows; None: nothing is known of them."""
    ahead: Callable[[int], Ahead] | None = None
    """Gives the forecasts of the same rows as of a moment; None: there are none."""

    @classmethod
    def of_store(cls, store: RowStore, rows: Rows) -> Self:
        """Rows in memory. What is asked for twice is decoded once."""
        partitions = store.partition[rows]
        items = {number: part.items.names for number, part in store.partitions.items()}
        ahead = partial(store.ahead, rows) if store.ahead is not None else None
        return cls(store.header[rows], CachedColumns(store.cache, rows, partitions, items), ahead)

    @property
    def first_at(self) -> Integers:
        """First purchase, or MISSING_TIME."""
        return self._column("first_at")

    @property
    def last_at(self) -> Integers:
        """Last purchase, or MISSING_TIME."""
        return self._column("last_at")

    @property
    def newest_at(self) -> Integers:
        """Newest purchase or return, or MISSING_TIME."""
        return self._column("newest_at")

    @property
    def orders(self) -> npt.NDArray[np.uint32]:
        """Orders ever."""
        return self._column("orders")

    @property
    def orders_decayed(self) -> Floats:
        """Orders, each halved every 365 days, as of `newest_at`."""
        return self._column("orders_decayed")

    @property
    def net_decayed(self) -> Floats:
        """Spend less refunds, halved every 365 days, as of `newest_at`, in currency units."""
        return self._column("net_decayed")

    @property
    def recent_net(self) -> Floats:
        """Spend less refunds, halved every 90 days, as of `newest_at`, in currency units."""
        return self._column("recent_net")

    @property
    def spend(self) -> Floats:
        """Everything ever bought, in currency units."""
        spend: Floats = self._column("spend") / MILLIONTHS
        return spend

    @property
    def refunds(self) -> Floats:
        """Everything ever given back, in currency units."""
        refunds: Floats = self._column("refunds") / MILLIONTHS
        return refunds

    @property
    def units(self) -> Integers:
        """Units ever bought."""
        return self._column("units")

    @property
    def returns(self) -> npt.NDArray[np.uint32]:
        """Returns ever."""
        return self._column("returns")

    @property
    def segment(self) -> npt.NDArray[np.int32]:
        """The published segment's id; NO_SEGMENT where there is none."""
        return self._column("segment")

    def kept_purchases(self) -> tuple[Integers, Integers]:
        """Of each kept purchase, in the order of rows and times: the row's place, and when it was."""
        return self._parts.kept_purchases()

    def season_begins(self, places: Integers) -> Integers:
        """When the season of the newest purchase of rows at these places began, microseconds; MISSING_TIME: none."""
        return self._parts.season_begins(places)

    @property
    def purchase_days(self) -> npt.NDArray[np.uint32]:
        """UTC days with a purchase."""
        return self._column("purchase_days")

    def numbers(self, attribute: str) -> Floats:
        """A profile attribute as numbers; NaN where it is missing, or no number."""
        return self._parts.numbers(attribute)

    def labels(self, attribute: str) -> TextColumn:
        """A profile attribute as text."""
        return self._parts.labels(attribute)

    def attribute_counts(self) -> Mapping[str, AttributeCount]:
        """Which profile attributes there are."""
        return self._parts.attribute_counts()

    def category_shares(self, categories: Sequence[str]) -> Floats:
        """Shares of categories in the kept lines, (rows, categories); NaN where there is none."""
        return self._parts.category_shares(categories)

    def category_counts(self) -> Mapping[str, int]:
        """Kept purchase lines by category."""
        return self._parts.category_counts()

    def forecast(self, name: str, now: int) -> Floats:
        """One of ahead_columns.FIGURES as of now (microseconds UTC); NaN where it is not known."""
        return np.full(len(self.header), np.nan) if self.ahead is None else figure(self.ahead(now), name)

    @property
    def _parts(self) -> RaggedColumns:
        return self.ragged if self.ragged is not None else DecodedColumns.nothing(len(self.header))

    def _column(self, name: str) -> npt.NDArray[Any]:
        return np.ascontiguousarray(self.header[name])
