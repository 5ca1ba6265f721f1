"""Features: pure functions of a customer's row and `now`, each declared once with name, unit and transform."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt

from contracts.errors import LivesegmentsError
from contracts.model import FeatureColumn
from contracts.times import DAY
from online_model.arrays import Booleans, Floats, Integers, Labels
from online_model.encoding import decode_numbers, encode_levels, encode_numbers
from online_model.metric import Scaling

MISSING_TIME: Final = int(np.iinfo(np.int64).min)
"""The time of something that never happened."""
YEAR_HALF_LIFE: Final = 365 * DAY
RECENT_HALF_LIFE: Final = 90 * DAY


class UnknownFeatureError(LivesegmentsError):
    """Settings name a feature that does not exist."""


class TextColumn(NamedTuple):
    """One attribute as text: truth values and numbers are written out."""

    codes: Labels
    """(customers,): places in `values`; -1 where the attribute is missing."""
    values: Sequence[str]

    def among(self, wanted: Sequence[str]) -> Booleans:
        """Which customers have one of these values, (customers,)."""
        chosen = [place for place, value in enumerate(self.values) if value in set(wanted)]
        return np.isin(self.codes, chosen)


class AttributeCount(NamedTuple):
    """How many customers have an attribute."""

    numbers: int
    """As a number that is no truth value."""
    texts: int
    """As text or truth value."""


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

    @property
    def spend(self) -> Floats:
        """Everything ever bought."""

    @property
    def refunds(self) -> Floats:
        """Everything ever given back."""

    @property
    def units(self) -> Integers:
        """Units ever bought."""

    @property
    def purchase_days(self) -> npt.NDArray[np.uint32]:
        """UTC days with a purchase."""

    def numbers(self, attribute: str) -> Floats:
        """A profile attribute as numbers; NaN where it is missing, or no number. Truth values are none."""

    def labels(self, attribute: str) -> TextColumn:
        """A profile attribute as text."""

    def attribute_counts(self) -> Mapping[str, AttributeCount]:
        """Which profile attributes there are. Slow: for samples."""

    def category_shares(self, categories: Sequence[str]) -> Floats:
        """Shares of categories in a customer's kept lines, (customers, categories).

        Purchase lines of items that have a category, halved every 365 days; NaN where there is none.
        """

    def category_counts(self) -> Mapping[str, int]:
        """Kept purchase lines by category. Slow: for samples."""


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


def _order_mean(rows: RowColumns, _now: int, order_value: float) -> Floats:
    return np.log1p(_per_order(rows.spend, rows) / order_value)


def _basket_units(rows: RowColumns, _now: int, _order_value: float) -> Floats:
    return np.log1p(_per_order(rows.units.astype(np.float64), rows))


def _per_order(values: Floats, rows: RowColumns) -> Floats:
    orders = rows.orders
    return np.asarray(np.divide(values, orders, out=np.full(len(orders), np.nan), where=orders > 0))


def _relative_recency(rows: RowColumns, now: int, _order_value: float) -> Floats:
    regular = rows.purchase_days >= 2
    lifetime = np.where(regular, rows.last_at, 0) - np.where(regular, rows.first_at, 0)
    gap = np.maximum(1, lifetime / DAY / np.maximum(1, rows.purchase_days.astype(np.float64) - 1))
    return np.log1p(np.where(regular, days_since(rows.last_at, now) / gap, np.nan))


def _purchase_days(rows: RowColumns, _now: int, _order_value: float) -> Floats:
    return np.log1p(rows.purchase_days.astype(np.float64))


def _recent_share(rows: RowColumns, now: int, _order_value: float) -> Floats:
    recent = decayed(rows.recent_net, rows.newest_at, now, RECENT_HALF_LIFE)
    net = decayed(rows.net_decayed, rows.newest_at, now, YEAR_HALF_LIFE)
    share = np.divide(recent, net, out=np.full(len(net), np.nan), where=net > 0)
    return np.asarray(np.clip(share, 0, 1))


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: what it is called, measured in, and how it is made."""

    name: str
    unit: str
    """Of what stands inside the transform."""
    transform: str
    function: Callable[[RowColumns, int, float], Floats]
    """(rows, now, order value) -> (customers,), before rows without a purchase are blanked."""
    scale: float = 1
    """What a person would say for 1 inside the transform: days for the 30 days that recency counts in."""
    money: bool = False
    """Whether it is measured in order values: a person would say currency."""
    logarithmic: bool = True

    def in_units(self, values: Floats, order_value: float) -> Floats:
        """Values in the units that a person would use."""
        inside = np.expm1(values) if self.logarithmic else values
        return inside * (self.scale * (order_value if self.money else 1))


_DECLARED: Final = (
    Feature("recency", "days since the last order", "log1p(days / 30)", _recency, scale=30),
    Feature("frequency", "orders, halved every 365 days", "log1p(orders)", _frequency),
    Feature(
        "monetary",
        "median order values of net spend, halved every 365 days",
        "log1p(max(0, net) / s)",
        _monetary,
        money=True,
    ),
    Feature(
        "recent",
        "median order values of net spend, halved every 90 days",
        "log1p(max(0, net) / s)",
        _recent,
        money=True,
    ),
    Feature("tenure", "days since the first order", "log1p(days / 30)", _tenure, scale=30),
    Feature("mean_order", "median order values of spend per order", "log1p(mean / s)", _order_mean, money=True),
    Feature("basket_units", "units per order", "log1p(units)", _basket_units),
    Feature(
        "relative_recency",
        "own mean gaps between purchase days (of a day at least) since the last order; missing before the second day",
        "log1p(gaps)",
        _relative_recency,
    ),
    Feature("purchase_days", "days with an order", "log1p(days)", _purchase_days),
    Feature(
        "recent_share",
        "net spend halved every 90 days over that halved every 365 days",
        "share",
        _recent_share,
        logarithmic=False,
    ),
)
FEATURES: Final = {feature.name: feature for feature in _DECLARED}
"""Every feature that is declared; settings may name attributes besides."""
RECENCY: Final = "recency"
DEFAULT_FEATURES: Final = (RECENCY, "frequency", "monetary")


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """The features of a model: how each column of X is made, in their order."""

    columns: tuple[FeatureColumn, ...]

    def __post_init__(self) -> None:
        for column in self.columns:
            if _is_declared(column) and column.name not in FEATURES:
                raise UnknownFeatureError(f"there is no feature {column.name!r}; choose among {', '.join(FEATURES)}")

    @classmethod
    def of(cls, names: Sequence[str] = DEFAULT_FEATURES) -> Self:
        """The set of these declared features. Raises UnknownFeatureError for an unknown, repeated or missing name."""
        if not names or len(set(names)) < len(names):
            raise UnknownFeatureError(f"features: name each once, at least one of {', '.join(FEATURES)}")
        return cls(tuple(FeatureColumn(name=name) for name in names))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns of X."""
        return tuple(column.name for column in self.columns)

    @property
    def described(self) -> tuple[FeatureColumn, ...]:
        """What a model document says of them; nothing where all are declared features whose names say everything."""
        return () if all(_is_declared(column) and column.span is None for column in self.columns) else self.columns

    @property
    def needs_purchases(self) -> bool:
        """Whether only customers who bought can be placed: something is made of purchases."""
        return any(column.attribute is None for column in self.columns)

    @property
    def needs_categories(self) -> bool:
        """Whether something is made of the categories that the catalogue puts items into."""
        return any(column.category is not None for column in self.columns)

    @property
    def scaling(self) -> Scaling:
        """How the metric is to weigh the columns."""
        spans = np.array([np.nan if column.span is None else column.span for column in self.columns])
        groups = np.full(len(self.columns), -1, np.int32)
        for group, places in enumerate(self._levels().values()):
            groups[places] = group
        return Scaling(spans, groups)

    def features(self, columns: RowColumns, now: int, order_value: float) -> Floats:
        """X of shape (customers, features); NaN where not observed.

        The whole row where nothing was ever bought, if any feature is made of purchases: such a customer is not placed
        by attributes alone. `order_value` is the model version's median order value, above 0.
        """
        X: Floats = np.empty((len(columns.last_at), len(self.columns)))
        for place, column in enumerate(self.columns):
            if _is_declared(column):
                X[:, place] = FEATURES[column.name].function(columns, now, order_value)
            elif column.attribute is not None and column.level is None:
                X[:, place] = encode_numbers(column, columns.numbers(column.attribute))
        for attribute, places in self._levels().items():
            levels = [self.columns[place].level or "" for place in places]
            X[:, places] = encode_levels(levels, *columns.labels(attribute))
        shares = [place for place, column in enumerate(self.columns) if column.category is not None]
        if shares:
            X[:, shares] = columns.category_shares([self.columns[place].category or "" for place in shares])
        if self.needs_purchases:
            X[columns.last_at == MISSING_TIME] = np.nan
        return X

    def in_units(self, X: Floats, order_value: float) -> Floats:
        """X, or centroids, in the units that a person would use: days, orders, currency, an attribute's own, shares."""
        told: Floats = np.empty_like(X)
        for place, column in enumerate(self.columns):
            if _is_declared(column):
                told[:, place] = FEATURES[column.name].in_units(X[:, place], order_value)
            else:
                told[:, place] = decode_numbers(column, X[:, place])
        return told

    def placeable(self, columns: RowColumns) -> Booleans:
        """Whom these features could place, if enough is known, (customers,): buyers, where purchases are needed."""
        return bought(columns) if self.needs_purchases else np.ones(len(columns.last_at), np.bool_)

    def _levels(self) -> dict[str, list[int]]:
        """The columns that are levels, by attribute."""
        levels: dict[str, list[int]] = {}
        for place, column in enumerate(self.columns):
            if column.attribute is not None and column.level is not None:
                levels.setdefault(column.attribute, []).append(place)
        return levels


def _is_declared(column: FeatureColumn) -> bool:
    return column.attribute is None and column.category is None


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
