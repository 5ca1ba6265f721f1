"""Customers as rows of tables: which columns there are, and where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pyarrow as pa

_TIME: Final = pa.timestamp("us", tz="UTC")
COLUMNS: Final = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("segment_id", pa.int32()),
        pa.field("segment_name", pa.string()),
        pa.field("segment_since", _TIME),
        pa.field("previous_segment_id", pa.int32()),
        pa.field("cause", pa.string()),
        pa.field("audiences", pa.string(), nullable=False),
        pa.field("first_purchase_at", _TIME),
        pa.field("last_purchase_at", _TIME),
        pa.field("orders", pa.int64(), nullable=False),
        pa.field("returns", pa.int64(), nullable=False),
        pa.field("units", pa.int64(), nullable=False),
        pa.field("spend", pa.float64(), nullable=False),
        pa.field("refunds", pa.float64(), nullable=False),
        pa.field("p_active", pa.float64()),
        pa.field("expected_orders_90d", pa.float64()),
        pa.field("expected_spend_90d", pa.float64()),
        pa.field("churn_90d", pa.float64()),
        pa.field("attributes", pa.string(), nullable=False),
    ]
)
"""Of every table of customers, whatever the deployment: audiences are a JSON array, attributes a JSON object."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some buckets of one partition."""

    looked_at: int
    """Customers that were read."""
    buckets: Sequence[int]
    """Of each row of the batch."""
    batch: Any
    """Those that were asked for: a record batch of COLUMNS."""


class CustomerRows(Protocol):
    """Where rows are read; its methods block: they are for threads."""

    def partitions(self) -> int:
        """How many there are; 0 before the first customer."""

    def read(self, partition: int, buckets: Sequence[int], segment_id: int | None = None) -> Slice:
        """The customers of these buckets, of all segments or of one."""
