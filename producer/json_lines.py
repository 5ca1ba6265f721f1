"""Lines of JSON, an object each, as typed columns, as if they had come from Parquet."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
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
    """Every object of a file."""

    columns: tuple[str, ...]
    """Every name that an object has, in the order in which they come up."""
    objects: Sequence[dict[str, Any]]

    def read(self, places: Sequence[int]) -> pa.Table:
        """These columns, each of one type; null where an object lacks it."""
        names = [self.columns[place] for place in places]
        return pa.table([typed_column([_cell(one.get(name)) for one in self.objects]) for name in names], names)


def open_json_lines(path: Path) -> JsonLines:
    """Read a file, also one with .gz, .bz2 or .zst. Raises JsonLinesError, OSError, pyarrow.ArrowException."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    objects: list[dict[str, Any]] = []
    with pa.input_stream(str(path), compression="detect") as stream:
        for number, line in enumerate(io.BufferedReader(stream), 1):
            if not line.strip():
                continue
            try:
                objects.append(decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise JsonLinesError(f"{path}: line {number} is no JSON object: {error}") from error
    columns = tuple(dict.fromkeys(name for one in objects for name in one))
    if not columns:
        raise JsonLinesError(f"{path}: is empty")
    return JsonLines(columns, objects)


def _cell(value: Any) -> Any:
    """What stands within another object or a list is text, and so are numbers that would lose digits."""
    if isinstance(value, int) and abs(value) > _EXACT:
        return str(value)
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value
