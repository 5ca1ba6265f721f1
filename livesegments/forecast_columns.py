"""Forecasts as a table: a row per customer, with orders and value ahead and their intervals."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from livesegments.forecasting import ShopForecast
from livesegments.table_file import BATCH_ROWS

_FIRST: Final = (
    pa.field("customer_id", pa.string(), nullable=False),
    pa.field("segment_id", pa.int32(), nullable=False),
    pa.field("segment_name", pa.string(), nullable=False),
    pa.field("p_active", pa.float64(), nullable=True),  # where the purchases do not tell silence from leaving
)
_AHEAD: Final = ("p_order", "orders", "orders_low", "orders_high", "value", "value_low", "value_high")
"""For each horizon: orders_30d and so on."""


def schema_of(shop: ShopForecast) -> pa.Schema:
    """The columns; value is in the deployment's currency."""
    ahead = [pa.field(f"{name}_{days}d", pa.float64(), nullable=False) for days in shop.ahead.ahead for name in _AHEAD]
    return pa.schema([*_FIRST, *ahead])


def batches(shop: ShopForecast, segment_name: Callable[[int], str]) -> Iterator[pa.RecordBatch]:
    """All customers, some at a time."""
    schema, buyers = schema_of(shop), shop.buyers
    names = {segment: segment_name(segment) for segment in np.unique(buyers.segments).tolist()}
    nobody_knows = pa.nulls(len(buyers.customers), pa.float64())
    numbers: list[Any] = [nobody_knows if shop.active is None else shop.active]
    for ahead in shop.ahead.ahead.values():
        orders, value = ahead.orders, ahead.value
        numbers += [orders.any, orders.expected, orders.low, orders.high, value.expected, value.low, value.high]
    for begin in range(0, len(buyers.customers), BATCH_ROWS):
        part = slice(begin, begin + BATCH_ROWS)
        segments = buyers.segments[part]
        arrays = [
            pa.array(buyers.customers[part], pa.string()),
            pa.array(segments),
            pa.array([names[one] for one in segments.tolist()], pa.string()),
            *(pa.array(column[part]) for column in numbers),
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
