"""A condition in words that comes close to a lasso: what an audience of the settings can be made of.

Conditions know ranges of single figures, no polygons and no mixtures of features. A box between two features is told as
it is; of any other shape the nearest few boxes are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.model import FeatureColumn
from dashboard.box_fit import Box, fit_boxes
from dashboard.customer_sample import CustomerSample
from dashboard.figures.measures import in_units
from dashboard.lasso import Lasso
from online_model.condition import ATTRIBUTES, Among, And, Between, Compare, Condition, Leaf, Number, Or, leaves
from online_model.condition_fields import FEATURE, SEGMENT_ID
from online_model.features import FEATURES

_FIELDS: Final = {
    "recency": "recency_days",
    "tenure": "tenure_days",
    "frequency": "orders_decayed",
    "recent": "recent_spend",
    "mean_order": "mean_order_value",
    "basket_units": "units_per_order",
    "purchase_days": "purchase_days",
}
"""Figures that conditions know, by the feature that is the same behind a logarithm."""
_OF_EVERYBODY: Final = frozenset({"orders_decayed", "recent_spend", "purchase_days"})
"""Figures that are 0 of those who never bought; others are then not known."""
_DRAWN_DIGITS: Final = 6
"""Of the bounds of a box that somebody drew."""
_FITTED_DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class LassoRule:
    """A rule, and how close it comes, counted among all customers."""

    condition: str
    both: int
    """Inside the lasso, and meant by the rule."""
    lasso_only: int
    rule_only: int

    @property
    def f1(self) -> float:
        """1: the same customers; 0: other ones."""
        return 2 * self.both / max(1, 2 * self.both + self.lasso_only + self.rule_only)


def condition_of(lasso: Lasso, sample: CustomerSample) -> Condition | None:
    """The condition that comes closest among a sample of the lasso's model version; None where nobody of it is inside.

    Over the two axes where conditions can ask for both, else over everything they can ask for.
    """
    columns = sample.model.feature_set.columns
    axes = {lasso.x.feature, lasso.y.feature}
    of_axes = all(place >= 0 and _can_be_asked(columns[place]) for place in axes)
    places = [place for place, one in enumerate(columns) if (place in axes if of_axes else _can_be_asked(one))]
    if of_axes and lasso.box is not None:
        boxes, digits = [_drawn(lasso, places)], _DRAWN_DIGITS
    else:
        inside = lasso.holds(sample.X, sample.segments, sample.model)
        shown = np.isin(sample.segments, lasso.segments) if lasso.segments else np.ones(len(sample.X), np.bool_)
        boxes, digits = fit_boxes(sample.X[shown][:, places], inside[shown]), _FITTED_DIGITS
    if not boxes or not places:
        return None
    chosen, order_value = [columns[place] for place in places], sample.model.order_value
    ranges = [_ranges(one, chosen, order_value, digits) for one in boxes]
    if not all(ranges):
        # One of the boxes is open at all sides: everybody who is shown.
        ranges = [[]]
    parts: list[Condition] = list(ranges[0]) if len(ranges) == 1 else [Or(tuple(_every(one) for one in ranges))]
    if lasso.segments:
        parts.insert(0, Among(SEGMENT_ID, tuple(Number(one) for one in sorted(lasso.segments))))
    asked = {leaf.field for part in parts for leaf in leaves(part)}
    if sample.model.feature_set.needs_purchases and asked <= _OF_EVERYBODY | {SEGMENT_ID}:
        parts.insert(0, Compare("orders", ">=", Number(1)))
    return _every(parts) if parts else None


def _every(parts: Sequence[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _can_be_asked(column: FeatureColumn) -> bool:
    if column.attribute is not None:
        return column.level is None and not column.bins
    return column.category is None and column.name in FEATURES


def _drawn(lasso: Lasso, places: Sequence[int]) -> Box:
    assert lasso.box is not None
    (left, low), (right, high) = lasso.box
    edges = {lasso.x.feature: (left, right), lasso.y.feature: (low, high)}
    bounds = np.array([edges[place] for place in places])
    return Box(bounds[:, 0], bounds[:, 1])


def _ranges(box: Box, columns: Sequence[FeatureColumn], order_value: float, digits: int) -> list[Leaf]:
    bounds = zip(columns, box.low.tolist(), box.high.tolist(), strict=True)
    told = (_range(column, low, high, order_value, digits) for column, low, high in bounds)
    return [one for one in told if one is not None]


def _range(column: FeatureColumn, low: float, high: float, order_value: float, digits: int) -> Leaf | None:
    """What a condition says of a column's bounds; None where it is open at both sides."""
    if column.attribute is not None:
        field = f"{ATTRIBUTES}{column.attribute}"
    else:
        field = _FIELDS.get(column.name, f"{FEATURE}{column.name}")
        # No figure is below 0.
        low = low if low > 0 else -math.inf
    in_its_unit = not field.startswith(FEATURE)

    def number(bound: float, away: int) -> Number:
        told = in_units(column, bound, order_value) if in_its_unit else bound
        return Number(rounded_away(told, digits, away))

    if low > -math.inf and high < math.inf:
        return Between(field, number(low, -1), number(high, 1))
    if low > -math.inf:
        return Compare(field, ">=", number(low, -1))
    return Compare(field, "<=", number(high, 1)) if high < math.inf else None


def rounded_away(value: float, digits: int, away: int) -> float:
    """So many digits of a number, downwards (-1) or upwards (1): what lies within a bound stays within.

    >>> rounded_away(1234.5, 3, -1), rounded_away(1234.5, 3, 1), rounded_away(0.5, 3, 1)
    (1230.0, 1240.0, 0.5)
    """
    nearest = float(f"{value:.{digits - 1}e}")
    if not value or (nearest - value) * away >= 0:
        return nearest
    step = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
    return float(f"{nearest + away * step:.{digits - 1}e}")
