"""Tables as bytes, piece by piece while they are made: CSV (RFC 4180, UTF-8) and Parquet."""

import io
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

TableFormat = Literal["csv", "parquet"]
MEDIA_TYPES: Final[dict[TableFormat, str]] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
GROUP_ROWS: Final = 50_000
"""Rows of a Parquet row group: small ones read badly."""


def encoded(kind: TableFormat, schema: Any, batches: Iterable[Any]) -> Iterator[bytes]:
    """A table of one schema in the format."""
    return _csv(schema, batches) if kind == "csv" else _parquet(schema, batches)


def with_constants(batch: Any, constants: dict[str, Any]) -> Any:
    """The batch with a column more for each constant, an Arrow scalar."""
    columns = [pa.repeat(value, batch.num_rows) for value in constants.values()]
    return pa.RecordBatch.from_arrays([*batch.columns, *columns], schema=schema_with_constants(batch.schema, constants))


def schema_with_constants(schema: Any, constants: dict[str, Any]) -> Any:
    """The schema of `with_constants`."""
    for name, value in constants.items():
        schema = schema.append(pa.field(name, value.type))
    return schema


def _csv(schema: Any, batches: Iterable[Any]) -> Iterator[bytes]:
    times = [place for place, field in enumerate(schema) if pa.types.is_timestamp(field.type)]
    told = schema
    for place in times:
        told = told.set(place, pa.field(schema.field(place).name, pa.string()))
    sink = io.BytesIO()
    with pyarrow.csv.CSVWriter(sink, told) as writer:
        yield _taken(sink)
        for batch in batches:
            if not batch.num_rows:
                continue
            columns = list(batch.columns)
            for place in times:
                columns[place] = pc.strftime(columns[place].cast(pa.timestamp("us")), format="%Y-%m-%dT%H:%M:%SZ")
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=told))
            yield _taken(sink)


def _parquet(schema: Any, batches: Iterable[Any]) -> Iterator[bytes]:
    sink = _Sink()
    writer = pyarrow.parquet.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd")
    waiting: list[Any] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= GROUP_ROWS:
            writer.write_table(pa.Table.from_batches(waiting, schema))
            waiting, rows = [], 0
            yield sink.take()
    if waiting:
        writer.write_table(pa.Table.from_batches(waiting, schema))
    writer.close()
    yield sink.take()


def _taken(sink: io.BytesIO) -> bytes:
    piece = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return piece


class _Sink(io.RawIOBase):
    """What is written until it is taken; the position goes on rising, as Parquet's footer needs it."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._written += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._written

    def take(self) -> bytes:
        """Everything since the last call."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
