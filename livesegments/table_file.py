"""Writing a table batch by batch, so that it need not fit into memory: Parquet or CSV, whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from contracts.errors import LivesegmentsError

BATCH_ROWS: Final = 50_000
"""Rows of one Parquet row group: small ones read badly."""


class TableFileError(LivesegmentsError):
    """The table can not be written."""


class _Writer(Protocol):
    def write_batch(self, batch: Any) -> None: ...

    def close(self) -> None: ...


def check_name(path: Path) -> None:
    """Raises TableFileError where the file's name says neither Parquet nor CSV, or its folder is not there."""
    if path.suffix.lower() not in _WRITERS:
        raise TableFileError(f"{path}: expected a name that ends in {' or '.join(_WRITERS)}")
    if not path.parent.is_dir():
        raise TableFileError(f"{path}: there is no folder {path.parent}")


def write_table(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    """Write the batches to a .parquet or .csv file, which appears whole or not at all; returns how many rows it has.

    Raises TableFileError, and whatever the batches raise.
    """
    check_name(path)
    rows = 0
    with _appearing(path) as unfinished:
        writer = _WRITERS[path.suffix.lower()](unfinished, schema)
        try:
            for batch in _regrouped(schema, batches):
                writer.write_batch(batch)
                rows += batch.num_rows
        finally:
            writer.close()
    return rows


def _regrouped(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        if count >= BATCH_ROWS:
            yield from pa.Table.from_batches(waiting, schema).combine_chunks().to_batches()
            waiting, count = [], 0
    yield from pa.Table.from_batches(waiting, schema).combine_chunks().to_batches()


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A file beside the wanted one that takes its place at the end, and is gone after an error."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    except OSError as error:
        raise TableFileError(f"{path}: can not be written: {error.strerror}") from error
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        # mkstemp lets nobody else read; the file is to be what the user's umask says.
        mask = os.umask(0)
        os.umask(mask)
        unfinished.chmod(0o666 & ~mask)
        unfinished.replace(path)
    except OSError as error:
        raise TableFileError(f"{path}: can not be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _parquet(path: Path, schema: pa.Schema) -> _Writer:
    writer: _Writer = pyarrow.parquet.ParquetWriter(path, schema, compression="zstd")
    return writer


class _CsvWriter:
    """CSV with times as RFC 3339."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._times = [place for place, field in enumerate(schema) if pa.types.is_timestamp(field.type)]
        self._schema = schema
        for place in self._times:
            self._schema = self._schema.set(place, pa.field(schema.field(place).name, pa.string()))
        self._writer = pyarrow.csv.CSVWriter(path, self._schema)

    def write_batch(self, batch: Any) -> None:
        columns = list(batch.columns)
        for place in self._times:
            naive = columns[place].cast(pa.timestamp("us"))
            columns[place] = pc.strftime(naive, format="%Y-%m-%dT%H:%M:%SZ")
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


_WRITERS: Final[dict[str, Callable[[Path, pa.Schema], _Writer]]] = {".parquet": _parquet, ".csv": _CsvWriter}
