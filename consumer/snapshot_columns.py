"""Rows as record batches of a snapshot: named columns for whoever reads them, and the packed row, which counts."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from consumer.image import Rows
from consumer.layout import HEADER, MISSING_TIME
from consumer.ragged import attributes_of
from contracts.documents import NO_SEGMENT

_TIME: Final = pa.timestamp("us", tz="UTC")
_TIMES: Final = ("first_at", "last_at", "newest_at", "seen_at", "erase_floor", "closed_floor", "since")
_SEGMENTS: Final = ("segment", "previous")
_RAGGED: Final = ("heads", "lines", "ids", "attributes", "moves", "exposures")
_FIXED: Final = tuple(name for name in HEADER.names or () if name not in _RAGGED)


def _type(name: str) -> Any:
    return _TIME if name in _TIMES else pa.from_numpy_dtype(HEADER[name])


ROWS: Final = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        *(pa.field(name, _type(name)) for name in _FIXED),
        pa.field("attributes", pa.string()),  # JSON
        pa.field("packed", pa.binary(), nullable=False),
    ]
)
"""`spend`, `refunds` and `trial_spend` are millionths. Names are those of `consumer.layout.HEADER`."""


def rows_batch(rows: Rows) -> pa.RecordBatch:
    """Packed rows as columns."""
    ids, packed = rows
    size = HEADER.itemsize
    header = np.frombuffer(b"".join([row[:size] for row in packed]), HEADER)
    begin = size + header["heads"].astype(np.int64) + header["lines"] + header["ids"]
    ends = (begin + header["attributes"]).tolist()
    attributes = [
        msgspec.json.encode(attributes_of(row[a:b])).decode() if b > a else None
        for row, a, b in zip(packed, begin.tolist(), ends, strict=True)
    ]
    columns = [_column(name, header[name]) for name in _FIXED]
    arrays = [pa.array(ids, pa.string()), *columns, pa.array(attributes, pa.string()), pa.array(packed, pa.binary())]
    return pa.RecordBatch.from_arrays(arrays, schema=ROWS)


def packed_rows(batch: pa.RecordBatch) -> Rows:
    """The rows that `rows_batch` was given."""
    return batch.column("customer_id").to_pylist(), batch.column("packed").to_pylist()


def _column(name: str, values: npt.NDArray[Any]) -> pa.Array:
    values = np.ascontiguousarray(values)
    if name in _TIMES:
        return pa.array(values, pa.int64(), mask=values == MISSING_TIME).cast(_TIME)
    if name in _SEGMENTS:
        return pa.array(values, mask=values == NO_SEGMENT)
    return pa.array(values)


FIELDS: Final = pa.schema(
    [
        pa.field("of", pa.string(), nullable=False),
        pa.field("field", pa.binary(), nullable=False),
        pa.field("value", pa.binary(), nullable=False),
    ]
)
"""Of a hash (or a document, or a set): what it is called, a field, its value."""


def fields_batch(fields: Sequence[tuple[str, bytes, bytes]]) -> pa.RecordBatch:
    """Fields as columns."""
    columns = list(zip(*fields, strict=True)) or [(), (), ()]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, FIELDS, strict=True)], schema=FIELDS
    )


def fields_of(batch: pa.RecordBatch) -> list[tuple[str, bytes, bytes]]:
    """The fields that `fields_batch` was given."""
    return list(zip(*(batch.column(name).to_pylist() for name in FIELDS.names), strict=True))
