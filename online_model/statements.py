"""What sets a segment apart: its typical figures where they differ most from the shop's, in words."""

from typing import Final

import numpy as np

from online_model.arrays import Floats
from online_model.model import SegmentModel
from online_model.telling import number_of, tell

MOST: Final = 3
_LEAST_Z: Final = 0.25
"""How far, in standard deviations, a figure must lie from the shop's to be worth a statement."""


def sets_apart(model: SegmentModel, typical: Floats, currency: str) -> tuple[str, ...]:
    """Up to three statements about a segment whose typical customer has these features, (features,).

    Compared with the shop's median customer, as known when the model's bounds of outliers were measured; shares with
    the shop's mean.
    """
    columns = model.feature_set.columns
    shares = np.array([column.level is not None or column.category is not None for column in columns])
    usual = model.metric.means
    if model.outliers is not None:
        medians = model.outliers.medians
        usual = np.where(shares | np.isnan(medians), usual, medians)
    deviations = _deviations(model)
    z = np.nan_to_num(np.abs(typical - usual) / deviations)
    values, shop = model.feature_set.in_units(np.stack([typical, usual]), model.order_value).tolist()
    whose = "the shop's median customer" if model.outliers is not None else "the shop's mean"
    return tuple(
        f"{tell(columns[place], values[place], currency)};"
        f" {'the whole shop' if shares[place] else whose} {number_of(columns[place], shop[place], currency)}"
        for place in np.argsort(-z, kind="stable")[:MOST].tolist()
        if z[place] >= _LEAST_Z
    )


def _deviations(model: SegmentModel) -> Floats:
    """Standard deviations, (features,), as far as they are known; infinite where nothing varies."""
    deviations = model.metric.deviations
    if model.outliers is not None:
        # What distances divide by is the range of some: their spread is as a standard deviation.
        by_range = np.array([column.span is not None for column in model.feature_set.columns])
        deviations = np.where(by_range & (deviations > 0), model.outliers.spreads, deviations)
    return np.where(deviations > 0, deviations, np.inf)
