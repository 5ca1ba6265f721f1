"""What is looked at to tell who will not come back: columns of rows and `now`, all finite, none of them attributes."""

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from contracts.times import DAY
from online_model.arrays import Booleans, Floats, Integers
from online_model.features import MISSING_TIME

CHURN_FEATURES: Final = ("silence", "age", "repeats", "gap", "overdue", "lately", "value", "returned")
"""Names of the columns, in their order: see churn_features."""
_WEEK: Final = 7.0
_USUAL_GAP: Final = 8.0
"""Weeks: one gap so long is taken for granted beside a customer's own, or one purchase would say nothing."""


class PurchaseColumns(Protocol):
    """What forecasts are made of, columns of one length as in online_model.features.RowColumns."""

    @property
    def first_at(self) -> Integers:
        """First purchase, or MISSING_TIME."""

    @property
    def last_at(self) -> Integers:
        """Last purchase."""

    @property
    def newest_at(self) -> Integers:
        """Newest purchase or return."""

    @property
    def purchase_days(self) -> npt.NDArray[np.integer]:
        """UTC days with a purchase."""

    @property
    def orders_decayed(self) -> Floats:
        """Orders, each halved every 365 days, as of `newest_at`."""

    @property
    def spend(self) -> Floats:
        """Everything ever bought, in currency units."""

    @property
    def refunds(self) -> Floats:
        """Everything ever given back."""


def with_purchases(rows: PurchaseColumns) -> Integers:
    """Places of the rows that a forecast can be made of."""
    bought: Booleans = (rows.first_at != MISSING_TIME) & (rows.purchase_days > 0)
    return np.flatnonzero(bought)


def churn_features(rows: PurchaseColumns, now: int) -> Floats:
    """(customers, len(CHURN_FEATURES)) of rows with a purchase, as of `now` (microseconds UTC).

    Logarithms, since each of these differs by magnitudes: silence (weeks since the last purchase), age (since the
    first), repeats (purchase days after the first), gap (mean weeks between them, drawn towards the usual one), overdue
    (silence over gap), lately (orders with a half-life of a year), value (net spend per purchase day), and the share of
    the spend that was given back.
    """
    weeks = DAY * _WEEK
    silence = np.maximum(now - rows.last_at, 0) / weeks
    age = np.maximum(now - rows.first_at, 0) / weeks
    days = rows.purchase_days.astype(np.float64)
    gap = np.log(((rows.last_at - rows.first_at) / weeks + _USUAL_GAP) / days)
    decayed = rows.orders_decayed * 2.0 ** (-np.maximum(now - rows.newest_at, 0) / (365 * DAY))
    spend, refunds = rows.spend, rows.refunds
    return np.stack(
        [
            np.log1p(silence),
            np.log1p(age),
            np.log(days),
            gap,
            np.log(silence + 0.5) - gap,
            np.log1p(decayed),
            np.log1p(np.maximum(spend - refunds, 0.0) / days),
            np.minimum(refunds / np.maximum(spend, 1e-6), 1.0),
        ],
        axis=1,
    )
