"""Features: pure functions of a customer's row and `now`, each declared once with name, unit and transform."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from contracts.errors import LivesegmentsError
from contracts.times import DAY
from online_model.arrays import Booleans, Floats, Integers

MISSING_TIME: Final = int(np.iinfo(np.int64).min)
"""The time of something that never happened."""
YEAR_HALF_LIFE: Final = 365 * DAY
RECENT_HALF_LIFE: Final = 90 * DAY


class UnknownFeatureError(LivesegmentsError):
    """Settings name a feature that does not exist."""


class RowColumns(Protocol):
    """Columns of customers' rows, all of one length; times in microseconds UTC, money in currency units."""

    @property
    def first_at(self) -> Integers:
        """First purchase, or MISSING_TIME."""

    @property
    def last_at(self) -> Integers:
        """Last purchase, or MISSING_TIME."""

    @property
    def newest_at(self) -> Integers:
        """Newest purchase or return, or MISSING_TIME: what the decayed columns are as of."""

    @property
    def orders(self) -> npt.NDArray[np.uint32]:
        """Orders ever."""

    @property
    def orders_decayed(self) -> Floats:
        """Orders, each halved every 365 days, as of `newest_at`."""

    @property
    def net_decayed(self) -> Floats:
        """Spend less refunds, halved every 365 days, as of `newest_at`."""

    @property
    def recent_net(self) -> Floats:
        """Spend less refunds, halved every 90 days, as of `newest_at`."""


def days_since(moments: Integers, now: int) -> Floats:
    """Days from each moment to now, never below 0; NaN where the moment is MISSING_TIME."""
    missing = moments == MISSING_TIME
    # MISSING_TIME is the smallest int64: subtracting it would wrap.
    days: Floats = np.maximum(now - np.where(missing, now, moments), 0) / DAY
    days[missing] = np.nan
    return days


def decayed(values: Floats, as_of: Integers, now: int, half_life: int) -> Floats:
    """Values as of some moments, carried on to now: `value * 2 ** -(age / half_life)`, age never below 0."""
    age = np.maximum(now - np.where(as_of == MISSING_TIME, now, as_of), 0)
    carried: Floats = values * np.exp2(-age / half_life)
    return carried


def _recency(rows: RowColumns, now: int, _order_value: float) -> Floats:
    return np.log1p(days_since(rows.last_at, now) / 30)


def _frequency(rows: RowColumns, now: int, _order_value: float) -> Floats:
    return np.log1p(np.maximum(0, decayed(rows.orders_decayed, rows.newest_at, now, YEAR_HALF_LIFE)))


def _monetary(rows: RowColumns, now: int, order_value: float) -> Floats:
    net = decayed(rows.net_decayed, rows.newest_at, now, YEAR_HALF_LIFE)
    return np.log1p(np.maximum(0, net) / order_value)


def _recent(rows: RowColumns, now: int, order_value: float) -> Floats:
    net = decayed(rows.recent_net, rows.newest_at, now, RECENT_HALF_LIFE)
    return np.log1p(np.maximum(0, net) / order_value)


def _tenure(rows: RowColumns, now: int, _order_value: float) -> Floats:
    return np.log1p(days_since(rows.first_at, now) / 30)


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: what it is called, measured in, and how it is made."""

    name: str
    unit: str
    """Of what stands inside the transform."""
    transform: str
    function: Callable[[RowColumns, int, float], Floats]
    """(rows, now, order value) -> (customers,), before rows without a purchase are blanked."""


_DECLARED: Final = (
    Feature("recency", "days since the last order", "log1p(days / 30)", _recency),
    Feature("frequency", "orders, halved every 365 days", "log1p(orders)", _frequency),
    Feature("monetary", "median order values of net spend, halved every 365 days", "log1p(max(0, net) / s)", _monetary),
    Feature("recent", "median order values of net spend, halved every 90 days", "log1p(max(0, net) / s)", _recent),
    Feature("tenure", "days since the first order", "log1p(days / 30)", _tenure),
)
FEATURES: Final = {feature.name: feature for feature in _DECLARED}
"""Every feature that settings may name."""
DEFAULT_FEATURES: Final = ("recency", "frequency", "monetary")


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """The features of a model, in the order of its columns."""

    declared: tuple[Feature, ...]

    @classmethod
    def of(cls, names: Sequence[str] = DEFAULT_FEATURES) -> Self:
        """The set of these features. Raises UnknownFeatureError for an unknown, repeated or missing name."""
        unknown = [name for name in names if name not in FEATURES]
        if unknown:
            raise UnknownFeatureError(f"there is no feature {unknown[0]!r}; choose among {', '.join(FEATURES)}")
        if not names or len(set(names)) < len(names):
            raise UnknownFeatureError(f"features: name each once, at least one of {', '.join(FEATURES)}")
        return cls(tuple(FEATURES[name] for name in names))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns of X."""
        return tuple(feature.name for feature in self.declared)

    def features(self, columns: RowColumns, now: int, order_value: float) -> Floats:
        """X of shape (customers, features); NaN where not observed, the whole row where nothing was ever bought.

        `order_value` is the model version's median order value, above 0.
        """
        X: Floats = np.empty((len(columns.last_at), len(self.declared)))
        for column, feature in enumerate(self.declared):
            X[:, column] = feature.function(columns, now, order_value)
        X[columns.last_at == MISSING_TIME] = np.nan
        return X


def bought(columns: RowColumns) -> Booleans:
    """Which customers have ever bought something, shape (customers,)."""
    return np.asarray(columns.last_at != MISSING_TIME)


def median_order_value(spend: Floats, orders: npt.NDArray[np.integer]) -> float:
    """The median over customers with orders of their mean order value; always above 0.

    `spend` in currency units before refunds, `orders` a count, both (customers,). Where the median is 0 (a shop that
    gives most things away) the median of what is above 0 stands in, and 1 where there is none.
    """
    buyers = orders > 0
    means = spend[buyers] / orders[buyers]
    for candidates in (means, means[means > 0]):
        if candidates.size and (value := float(np.median(candidates))) > 0:
            return value
    return 1.0
