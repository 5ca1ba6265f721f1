"""What a purchase model needs of each customer: repeat purchase days, when the last was, how long ago the first."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from contracts.times import DAY
from online_model.arrays import Booleans, Floats, Integers, ShapeError
from online_model.features import MISSING_TIME

DAYS_PER_WEEK: Final = 7.0
"""Models count in weeks, as the papers do, so that their tables and ours can be laid side by side."""


def first_was_seen(first_at: Integers, since: Integers, seen_from: int = MISSING_TIME) -> Booleans:
    """Whose first purchase is the first there was, (customers,), all in microseconds UTC.

    `since`: when they became customers by their profiles, MISSING_TIME where these say nothing. Nobody's is known whose
    first purchase lies before `seen_from`, when the history begins.
    """
    # A day's grace: whoever writes a date may live in another time zone.
    told = (since == MISSING_TIME) | (since >= first_at - DAY)
    return np.asarray(told & (first_at >= seen_from))


@dataclass(frozen=True, eq=False, slots=True)
class Purchases:
    """Sufficient statistics of the purchase models, columns of one length (customers,).

    Purchases on one UTC day are one, so an invoice that was split in two does not make anybody a frequent buyer.
    """

    repeats: Floats
    """x: purchase days after the first."""
    last: Floats
    """t_x: weeks from the first purchase day to the last; 0 where there is one only."""
    age: Floats
    """T: weeks from the first purchase day to today; never less than `last`."""

    @classmethod
    def of_rows(
        cls, first_at: Integers, last_at: Integers, purchase_days: npt.NDArray[np.integer], now: int
    ) -> tuple[Self, Booleans]:
        """Those of rows' columns, (customers,), as of `now` (microseconds UTC), and whose they are, (rows,).

        Rows without a purchase have no statistics. Raises ShapeError for columns of unequal length.
        """
        if not first_at.shape == last_at.shape == purchase_days.shape or first_at.ndim != 1:
            raise ShapeError(f"expected three columns of one length, got {first_at.shape}, {last_at.shape} and more")
        bought: Booleans = (purchase_days > 0) & (first_at != MISSING_TIME)
        first, last = first_at[bought] // DAY, last_at[bought] // DAY
        age = np.maximum(now // DAY, last) - first
        repeats = purchase_days[bought].astype(np.float64) - 1
        return cls(repeats, (last - first) / DAYS_PER_WEEK, age / DAYS_PER_WEEK), bought

    def __len__(self) -> int:
        return len(self.repeats)

    def select(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.integer]) -> "Purchases":
        """Some of the customers, by a mask or by places."""
        return Purchases(self.repeats[which], self.last[which], self.age[which])

    def distinct(self) -> tuple["Purchases", Floats]:
        """Every combination once, and how many customers have it: a likelihood needs no more."""
        table = np.stack([self.repeats, self.last, self.age], axis=1)
        found, counts = np.unique(table, axis=0, return_counts=True)
        return Purchases(found[:, 0], found[:, 1], found[:, 2]), counts.astype(np.float64)
