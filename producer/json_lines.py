"""Lines of JSON, an object each, as typed columns, as if they had come from Parquet."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa

from contracts.errors import LivesegmentsError
from producer.workbook import typed_column

SUFFIXES: Final = (".jsonl", ".ndjson")
_EXACT: Final = 2**53
"""Beyond, not every whole number is a float."""


class JsonLinesError(LivesegmentsError):
    """A line is no JSON object; the text says which."""


@dataclass(frozen=True, slots=True)
class JsonLines:
    """The objects of a file, of which none stays in memory."""

    path: Path
    columns: tuple[str, ...]
    """Every name that an object has, in the order in which they come up."""

    def read(self, places: Sequence[int]) -> pa.Table:
        """These columns, each of one type; null where an object lacks it. Raises JsonLinesError, OSError."""
        return self._table(list(_objects(self.path)), places)

    def pieces(self, places: Sequence[int], rows: int) -> Iterator[pa.Table]:
        """The same, so many objects at a time: a column may be of another type in each."""
        objects = _objects(self.path)
        while some := list(islice(objects, rows)):
            yield self._table(some, places)

    def _table(self, objects: Sequence[dict[str, Any]], places: Sequence[int]) -> pa.Table:
        names = [self.columns[place] for place in places]
        return pa.table([typed_column([_cell(one.get(name)) for one in objects]) for name in names], names)


def open_json_lines(path: Path) -> JsonLines:
    """Look through a file, also one with .gz, .bz2 or .zst, for names.

    Raises JsonLinesError, OSError, pyarrow.ArrowException.
    """
    columns: dict[str, None] = {}
    for one in _objects(path):
        columns.update(dict.fromkeys(one))
    if not columns:
        raise JsonLinesError(f"{path}: is empty")
    return JsonLines(path, tuple(columns))


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with pa.input_stream(str(path), compression="detect") as stream:
        for number, line in enumerate(io.BufferedReader(stream), 1):
            if not line.strip():
                continue
            try:
                yield decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise JsonLinesError(f"{path}: line {number} is no JSON object: {error}") from error


def _cell(value: Any) -> Any:
    """What stands within another object or a list is text, and so are numbers that would lose digits."""
    if isinstance(value, int) and abs(value) > _EXACT:
        return str(value)
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value
