"""Rows as the columns that features and names are made from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.money import MILLIONTHS

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Columns:
    """A `online_model.features.RowColumns` over packed row headers, of shape (rows,)."""

    header: npt.NDArray[Any]

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

    def _column(self, name: str) -> npt.NDArray[Any]:
        return np.ascontiguousarray(self.header[name])
