"""What features are called on an axis, and the marks along it: in the units that people use."""

from typing import Any, Final

import numpy as np

from contracts.model import FeatureColumn
from online_model.arrays import Floats
from online_model.encoding import encode_numbers
from online_model.features import FEATURES, FeatureSet

MIXTURE: Final = "mix-"
"""What names of axes begin with that are mixtures of all features."""
_TITLES: Final = {
    "recency": "days since the last order",
    "frequency": "orders (halved every year)",
    "monetary": "net spend (halved every year)",
    "recent": "net spend (halved every 90 days)",
    "tenure": "days since the first order",
    "mean_order": "spend an order",
    "basket_units": "units an order",
    "relative_recency": "own gaps since the last order",
    "purchase_days": "days with an order",
    "recent_share": "share of the net spend that is recent",
}
_ROUND: Final = (0, *(digit * 10**power for power in range(-1, 8) for digit in (1, 2, 5)))
_MARKS: Final = 9


def title_of(column: FeatureColumn) -> str:
    """A feature as the title of an axis.

    >>> title_of(FeatureColumn(name="recency"))
    'days since the last order'
    """
    if column.attribute is not None:
        return column.attribute.replace("_", " ") if column.level is None else f"{column.attribute}: {column.level}"
    if column.category is not None:
        return f"share of {column.category}"
    return _TITLES.get(column.name, column.name.replace("_", " "))


def in_units(column: FeatureColumn, value: float, order_value: float) -> float:
    """A place along a feature in the unit that a person would use: days, orders, currency, the attribute's own."""
    return float(FeatureSet((column,)).in_units(np.array([[value]]), order_value)[0, 0])


def from_units(column: FeatureColumn, value: float, order_value: float) -> float:
    """The place along a feature that stands for a value in its unit.

    >>> round(from_units(FeatureColumn(name="recency"), 30, 1.0), 4)
    0.6931
    """
    if column.attribute is not None or column.category is not None:
        return float(encode_numbers(column, np.array([value]))[0])
    feature = FEATURES[column.name]
    inside = value / (feature.scale * (order_value if feature.money else 1))
    return float(np.log1p(max(0.0, inside))) if feature.logarithmic else inside


def axis_ticks(column: FeatureColumn | None, values: Floats, order_value: float) -> dict[str, Any]:
    """Marks at round values of what stands behind a logarithm; nothing where the axis is not logarithmic."""
    feature = None if column is None or column.attribute or column.category else FEATURES.get(column.name)
    if column is None or feature is None or not feature.logarithmic or not len(values):
        return {}
    features = FeatureSet((column,))
    low, high = features.in_units(np.array([[values.min()], [values.max()]]), order_value)[:, 0].tolist()
    marks = [one for one in _ROUND if low <= one <= high]
    scale = feature.scale * (order_value if feature.money else 1)
    places = np.log1p(np.array(marks) / scale)
    kept: list[int] = []
    room = (values.max() - values.min()) / _MARKS
    for place in range(len(marks)):
        if not kept or places[place] - places[kept[-1]] >= room:
            kept.append(place)
    return {"tickvals": places[kept].tolist(), "ticktext": [_written(marks[place]) for place in kept]}


def _written(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}"
