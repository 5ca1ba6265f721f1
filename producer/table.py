"""Reading a table file: only the columns asked for, whole, with text kept as text."""

import lzma
import zipfile
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from contracts.errors import LivesegmentsError
from producer.json_lines import SUFFIXES as JSON_LINES
from producer.json_lines import JsonLines, JsonLinesError, open_json_lines
from producer.workbook import SUFFIXES, Sheet, WorkbookError, open_sheet

_COMPRESSION: Final = (".gz", ".bz2", ".zip", ".xz", ".zst")
_TEXT: Final = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": ","}
_PARQUET: Final = {".parquet", ".pq"}
_UNREADABLE: Final = (
    OSError,
    ValueError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    pa.ArrowException,
)


class TableError(LivesegmentsError):
    """The file cannot be read as a table; the text names the file and says why."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table on disk whose column names are known."""

    path: Path
    columns: tuple[str, ...]
    """Names as the file has them, without outer blanks."""
    separator: str | None
    """None for what is no text with separators."""
    cells: Sheet | JsonLines | None = None
    """Of a workbook, or of lines of JSON: what was read to know the columns."""

    def read(self, wanted: Collection[str]) -> pd.DataFrame:
        """All rows of these columns, in the file's order of columns, named without outer blanks.

        Columns of a text file are text; those of Parquet keep their own types, those of a workbook and of lines of JSON
        get the one that their cells have. Raises TableError.
        """
        places = sorted({self.columns.index(column) for column in wanted})
        try:
            frame = self._read(places)
        except _UNREADABLE as error:
            raise TableError(f"{self.path}: cannot be read: {_first_line(error)}") from error
        if frame.empty:
            raise TableError(f"{self.path}: has names of columns but no rows")
        frame.columns = pd.Index([self.columns[place] for place in places])
        return frame

    def _read(self, places: Sequence[int]) -> pd.DataFrame:
        if self.cells is not None:
            return _as_frame(self.cells.read(places))
        return _read_parquet(self.path, places) if self.separator is None else _read_text(self, places)


def open_table(path: Path, sheet: str | None = None) -> TableFile:
    """Look at a file's kind and column names: CSV, TSV, lines of JSON (also compressed), Parquet, or a workbook.

    `sheet` is for workbooks alone.

    Raises TableError.
    """
    if not path.is_file():
        raise TableError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'there is no such file'}")
    if path.stat().st_size == 0:
        raise TableError(f"{path}: is empty")
    kind = next((suffix for suffix in reversed(path.suffixes) if suffix.lower() not in _COMPRESSION), "").lower()
    if sheet is not None and kind not in SUFFIXES:
        raise TableError(f"{path}: --sheet is for workbooks ({', '.join(SUFFIXES)})")
    try:
        if kind in {*SUFFIXES, *JSON_LINES}:
            found = open_sheet(path, sheet) if kind in SUFFIXES else open_json_lines(path)
            return TableFile(path, _names(path, found.columns), None, found)
        if kind in _PARQUET:
            return TableFile(path, _names(path, pq.read_schema(path).names), None)
        if kind in _TEXT:
            return _open_text(path, _TEXT[kind])
    except pd.errors.EmptyDataError as error:
        raise TableError(f"{path}: is empty") from error
    except (WorkbookError, JsonLinesError) as error:
        raise TableError(str(error)) from error
    except _UNREADABLE as error:
        raise TableError(f"{path}: cannot be read: {_first_line(error)}") from error
    endings = f".csv, .tsv or .txt (also with {', '.join(_COMPRESSION)}), .jsonl (.gz, .bz2, .zst), .parquet or .xlsx"
    raise TableError(f"{path}: expected {endings}")


def _open_text(path: Path, separator: str) -> TableFile:
    header = _text(path, separator, nrows=0)
    if len(header.columns) == 1:
        # One name with another separator in it: a spreadsheet of a country that writes 1,50.
        other = max(";\t|,", key=str(header.columns[0]).count)
        if other in str(header.columns[0]):
            separator, header = other, _text(path, other, nrows=0)
    return TableFile(path, _names(path, [str(name) for name in header.columns]), separator)


def _read_text(table: TableFile, places: Sequence[int]) -> pd.DataFrame:
    return _text(table.path, table.separator or ",", usecols=list(places))


def _text(path: Path, separator: str, **choice: Any) -> pd.DataFrame:
    """Read as UTF-8, else as what spreadsheets on Windows write: the public CSV of Online Retail is in that."""
    choice |= {"sep": separator, "dtype": str, "index_col": False}
    frame: pd.DataFrame
    try:
        frame = pd.read_csv(path, encoding="utf-8-sig", **choice)
    except UnicodeDecodeError:
        frame = pd.read_csv(path, encoding="cp1252", encoding_errors="replace", **choice)
    return frame


def _read_parquet(path: Path, places: Sequence[int]) -> pd.DataFrame:
    names = pq.read_schema(path).names
    return _as_frame(pq.read_table(path, columns=[names[place] for place in places]))


def _as_frame(table: pa.Table) -> pd.DataFrame:
    schema = pa.schema([field.with_type(_plain(field.type)) for field in table.schema])
    # pandas' own types would make floats of integers with gaps.
    frame: pd.DataFrame = table.cast(schema).to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    return frame


def _plain(kind: Any) -> Any:
    """A Parquet type as one that pandas can work with: dates are midnights, decimals numbers."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_date(kind):
        return pa.timestamp("us")
    return pa.float64() if pa.types.is_decimal(kind) else kind


def _names(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    stripped = tuple(name.strip() for name in names)
    twice = [name for name in stripped if stripped.count(name) > 1]
    if twice:
        raise TableError(f"{path}: two columns are named {twice[0]!r}")
    return stripped


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
