"""The fields that a condition may ask for: figures of a row in units that people know, attributes, the segment."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from online_model.arrays import Floats, Integers, Labels
from online_model.condition import ATTRIBUTES
from online_model.features import (
    FEATURES,
    RECENT_HALF_LIFE,
    YEAR_HALF_LIFE,
    RowColumns,
    days_since,
    decayed,
)
from online_model.rhythm import Rhythm

FEATURE: Final = "features."
"""What the names of fields begin with that are features, as the model sees them."""
SEGMENT: Final = "segment"
SEGMENT_ID: Final = "segment_id"

Kind = Literal["number", "days", "segment", "attribute"]


class ConditionColumns(RowColumns, Protocol):
    """What conditions read of customers, besides what features do."""

    @property
    def returns(self) -> npt.NDArray[np.uint32]:
        """Returns ever."""

    @property
    def segment(self) -> Labels:
        """The published segment's id; NO_SEGMENT where there is none."""

    def forecast(self, name: str, now: int) -> Floats:
        """One of online_model.forecasts.ahead_columns.FIGURES; NaN where it is not known."""

    def kept_purchases(self) -> tuple[Integers, Integers]:
        """Of each kept purchase, by customer and time: the customer's place among these rows, and when it was.

        Asked for by `overdue` alone.
        """


Figure = Callable[[ConditionColumns, int], Floats]
"""(rows, now) -> (customers,), NaN where it is not known."""


@dataclass(frozen=True, slots=True)
class Field:
    """One figure: what it is called, what it is, how it is made."""

    name: str
    kind: Literal["number", "days"]
    meaning: str
    figure: Figure


def _per_order(values: npt.NDArray[np.number], rows: ConditionColumns) -> Floats:
    orders = rows.orders
    return np.asarray(np.divide(values, orders, out=np.full(len(orders), np.nan), where=orders > 0))


def _floats(values: npt.NDArray[np.number]) -> Floats:
    return values.astype(np.float64)


def _overdue(rows: ConditionColumns, now: int) -> Floats:
    return Rhythm.of(*rows.kept_purchases(), len(rows.last_at)).overdue(now)


def _ahead(name: str, words: str) -> Field:
    """A figure of what lies ahead."""
    return Field(name, "number", f"forecast: {words}", lambda rows, now: rows.forecast(name, now))


_DECLARED: Final = (
    Field("orders", "number", "orders ever", lambda rows, _: _floats(rows.orders)),
    Field("returns", "number", "returns ever", lambda rows, _: _floats(rows.returns)),
    Field("spend", "number", "money spent ever", lambda rows, _: rows.spend),
    Field("refunds", "number", "money given back ever", lambda rows, _: rows.refunds),
    Field("net_spend", "number", "spend less refunds", lambda rows, _: rows.spend - rows.refunds),
    Field("units", "number", "units bought ever", lambda rows, _: _floats(rows.units)),
    Field("mean_order_value", "number", "spend per order", lambda rows, _: _per_order(rows.spend, rows)),
    Field("units_per_order", "number", "units per order", lambda rows, _: _per_order(rows.units, rows)),
    Field(
        "orders_decayed",
        "number",
        "orders, each halved every 365 days",
        lambda rows, now: decayed(rows.orders_decayed, rows.newest_at, now, YEAR_HALF_LIFE),
    ),
    Field(
        "recent_spend",
        "number",
        "net spend, halved every 90 days",
        lambda rows, now: decayed(rows.recent_net, rows.newest_at, now, RECENT_HALF_LIFE),
    ),
    Field("recency_days", "days", "days since the last order", lambda rows, now: days_since(rows.last_at, now)),
    Field("tenure_days", "days", "days since the first order", lambda rows, now: days_since(rows.first_at, now)),
    Field("purchase_days", "number", "days with an order", lambda rows, _: _floats(rows.purchase_days)),
    Field(
        "overdue",
        "number",
        "recency over the customer's own median gap between purchase days, from 4 such days on",
        _overdue,
    ),
    _ahead("p_active", "probability of still being a customer"),
    _ahead("expected_orders_90d", "days with an order within 90 days"),
    _ahead("expected_spend_90d", "net spend within 90 days"),
    _ahead("churn_90d", "probability of no order within 90 days, as learned"),
)
FIGURES: Final = {field.name: field for field in _DECLARED}
"""Every figure of a row that a condition may ask for."""


def kind_of(field: str) -> Kind | None:
    """What kind of field it is; None where there is no such field."""
    if field in FIGURES:
        return FIGURES[field].kind
    if field == SEGMENT:
        return "segment"
    if field == SEGMENT_ID or (field.startswith(FEATURE) and field.removeprefix(FEATURE) in FEATURES):
        return "number"
    return "attribute" if field.startswith(ATTRIBUTES) and field != ATTRIBUTES else None


def advice(field: str) -> str:
    """What could be meant by the name of a field that does not exist."""
    if field in FEATURES:
        return f"did you mean {FEATURE}{field}, the feature as the model sees it?"
    names = [*FIGURES, SEGMENT, SEGMENT_ID, *(FEATURE + name for name in FEATURES)]
    close = get_close_matches(field.lower(), names, n=1, cutoff=0.7)
    if close:
        return f"did you mean {close[0]}?"
    return f"choose among {', '.join((*FIGURES, SEGMENT, SEGMENT_ID))}, {FEATURE}<name> and {ATTRIBUTES}<name>"
