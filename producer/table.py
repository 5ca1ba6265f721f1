"""Reading a table file: only the columns asked for, whole, with text kept as text."""

import lzma
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from contracts.errors import LivesegmentsError
from producer.dialect import Dialect, DialectError, meant_in, open_bytes, sniff
from producer.json_lines import SUFFIXES as JSON_LINES
from producer.json_lines import JsonLines, JsonLinesError, open_json_lines
from producer.workbook import SUFFIXES, Sheet, WorkbookError, open_sheet

_COMPRESSION: Final = (".gz", ".bz2", ".zip", ".xz", ".zst")
_TEXT: Final = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": ","}
_BLANKS: Final = r"\s+"
_PARQUET: Final = {".parquet", ".pq"}
_BYTES: Final = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
"""Text, too, as databases write it that do not say what bytes are."""
UNREADABLE: Final = (
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
    header: bool = True
    """Whether the first line of a text file names the columns."""
    dialect: Dialect | None = None
    """How a text file is written, where it was looked at; otherwise it is tried as UTF-8, then as Windows writes."""

    @property
    def typed(self) -> bool:
        """Whether cells have types of their own: numbers are numbers, times are times."""
        return self.separator is None

    def pieces(self, wanted: Collection[str], rows: int = 100_000) -> Iterator[pd.DataFrame]:
        """The same as `read`, at most so many rows at a time and never none; a workbook is in memory anyway.

        What is no text becomes text, empty or not, as a CSV file would have it. Raises TableError.
        """
        places = sorted({self.columns.index(column) for column in wanted})
        names = pd.Index([self.columns[place] for place in places])
        empty = True
        try:
            for frame in self._pieces(places, rows):
                empty = empty and frame.empty
                frame.columns = names
                yield frame if self.separator is not None else _as_text(frame)
        except UNREADABLE as error:
            raise TableError(f"{self.path}: cannot be read: {_first_line(error)}") from error
        except JsonLinesError as error:
            raise TableError(str(error)) from error
        if empty:
            raise TableError(f"{self.path}: has names of columns but no rows")

    def _pieces(self, places: Sequence[int], rows: int) -> Iterator[pd.DataFrame]:
        if isinstance(self.cells, JsonLines):
            for table in self.cells.pieces(places, rows):
                yield _as_frame(table)
        elif self.cells is not None:
            frame = _as_frame(self.cells.read(places))
            for start in range(0, max(1, len(frame)), rows):
                yield frame.iloc[start : start + rows]
        elif self.separator is None:
            with pq.ParquetFile(self.path) as stored:
                names = [stored.schema_arrow.names[place] for place in places]
                for batch in stored.iter_batches(batch_size=rows, columns=names):
                    yield _as_frame(pa.Table.from_batches([batch]).select(names))
        else:
            with _source(self.path) as source, _read_text(self, source, places, chunksize=rows) as reader:
                yield from reader

    def read(self, wanted: Collection[str]) -> pd.DataFrame:
        """All rows of these columns, in the file's order of columns, named without outer blanks.

        Columns of a text file are text; those of Parquet keep their own types, those of a workbook and of lines of JSON
        get the one that their cells have. Raises TableError.
        """
        places = sorted({self.columns.index(column) for column in wanted})
        try:
            frame = self._read(places)
        except UNREADABLE as error:
            raise TableError(f"{self.path}: cannot be read: {_first_line(error)}") from error
        if frame.empty:
            raise TableError(f"{self.path}: has names of columns but no rows")
        frame.columns = pd.Index([self.columns[place] for place in places])
        return frame

    def _read(self, places: Sequence[int]) -> pd.DataFrame:
        if self.cells is not None:
            return _as_frame(self.cells.read(places))
        if self.separator is None:
            return _read_parquet(self.path, places)
        with _source(self.path) as source:
            frame: pd.DataFrame = _read_text(self, source, places)
            return frame


def look_at(
    path: Path,
    sheet: str | None = None,
    *,
    encoding: str | None = None,
    separator: str | None = None,
    header: bool | None = None,
) -> TableFile:
    """As open_table, but a text file is looked at for what is not given. Raises TableError."""
    kind = _kind_of(path, sheet, header=header is not False)
    if kind not in _TEXT:
        if encoding is not None or separator is not None:
            raise TableError(f"{path}: --encoding and --separator are for text tables ({', '.join(_TEXT)})")
        return open_table(path, sheet)
    try:
        return _opened(path, sniff(path, encoding=encoding, separator=separator, header=header))
    except DialectError as error:
        raise TableError(str(error)) from error
    except pd.errors.EmptyDataError as error:
        raise TableError(f"{path}: is empty") from error
    except UNREADABLE as error:
        raise TableError(f"{path}: cannot be read: {_first_line(error)}") from error


def _opened(path: Path, dialect: Dialect) -> TableFile:
    table = TableFile(path, (), dialect.separator, header=dialect.header, dialect=dialect)
    with _source(path) as source:
        first = _read_text(table, source, None, nrows=0 if dialect.header else 1)
    names = [str(name) for name in first.columns] if dialect.header else []
    columns = _names(path, names) if dialect.header else tuple(str(place + 1) for place in range(len(first.columns)))
    return TableFile(path, columns, dialect.separator, header=dialect.header, dialect=dialect)


def open_table(path: Path, sheet: str | None = None, *, header: bool = True) -> TableFile:
    """Look at a file's kind and column names: CSV, TSV, lines of JSON (also compressed), Parquet, or a workbook.

    `sheet` is for workbooks alone. Without a header the columns of a text file are called 1, 2, 3 and so on, and blanks
    may part them.

    Raises TableError.
    """
    kind = _kind_of(path, sheet, header=header)
    try:
        if kind in {*SUFFIXES, *JSON_LINES}:
            found = open_sheet(path, sheet) if kind in SUFFIXES else open_json_lines(path)
            return TableFile(path, _names(path, found.columns), None, found)
        if kind in _PARQUET:
            return TableFile(path, _names(path, pq.read_schema(path).names), None)
        if kind in _TEXT:
            return _open_text(path, _TEXT[kind]) if header else _open_bare(path, _TEXT[kind])
    except pd.errors.EmptyDataError as error:
        raise TableError(f"{path}: is empty") from error
    except (WorkbookError, JsonLinesError, DialectError) as error:
        raise TableError(str(error)) from error
    except UNREADABLE as error:
        raise TableError(f"{path}: cannot be read: {_first_line(error)}") from error
    endings = f".csv, .tsv or .txt (also with {', '.join(_COMPRESSION)}), .jsonl (.gz, .bz2, .zst), .parquet or .xlsx"
    raise TableError(f"{path}: expected {endings}")


def _kind_of(path: Path, sheet: str | None, *, header: bool) -> str:
    """The ending of the file's name that says its kind. Raises TableError for options that do not go with it."""
    if not path.is_file():
        raise TableError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'there is no such file'}")
    if path.stat().st_size == 0:
        raise TableError(f"{path}: is empty")
    kind = next((suffix for suffix in reversed(path.suffixes) if suffix.lower() not in _COMPRESSION), "").lower()
    if not kind and path.suffix.lower() == ".zip":
        kind = _kind_in(path)
    if sheet is not None and kind not in SUFFIXES:
        raise TableError(f"{path}: --sheet is for workbooks ({', '.join(SUFFIXES)})")
    if not header and kind not in _TEXT:
        raise TableError(f"{path}: --no-header is for text tables ({', '.join(_TEXT)}); this one names its columns")
    return kind


def _kind_in(path: Path) -> str:
    """The same of the file in a zip whose own name does not say, if it is a text table. Raises TableError."""
    try:
        with zipfile.ZipFile(path) as packed:
            kind = Path(meant_in(packed, path)).suffix.lower()
    except DialectError as error:
        raise TableError(str(error)) from error
    except UNREADABLE as error:
        raise TableError(f"{path}: cannot be read: {_first_line(error)}") from error
    return kind if kind in _TEXT else ""


def _open_text(path: Path, separator: str) -> TableFile:
    header = _begins(path, separator, nrows=0)
    if len(header.columns) == 1:
        # One name with another separator in it: a spreadsheet of a country that writes 1,50.
        other = max(";\t|,", key=str(header.columns[0]).count)
        if other in str(header.columns[0]):
            separator, header = other, _begins(path, other, nrows=0)
    return TableFile(path, _names(path, [str(name) for name in header.columns]), separator)


def _open_bare(path: Path, separator: str) -> TableFile:
    """A text file that begins with its first row."""
    first = _begins(path, separator, nrows=1, header=None)
    if len(first.columns) == 1:
        cell = str(first.iloc[0, 0])
        other = max(";\t|,", key=cell.count)
        separator = other if other in cell else _BLANKS
        first = _begins(path, separator, nrows=1, header=None)
    return TableFile(path, tuple(str(place + 1) for place in range(len(first.columns))), separator, header=False)


@contextmanager
def _source(path: Path) -> Iterator[Path | IO[bytes]]:
    """What pandas reads: of a zip the one file, since it takes what macOS packs beside it for another."""
    if path.suffix.lower() != ".zip":
        yield path
        return
    with open_bytes(path) as stream:
        yield stream


def _read_text(table: TableFile, source: Path | IO[bytes], places: Sequence[int] | None, **choice: Any) -> Any:
    """A frame; with `chunksize` a reader of frames."""
    choice |= {} if table.header else {"header": None}
    choice |= {} if places is None else {"usecols": list(places)}
    if table.dialect is None:
        return _text(source, table.separator or ",", **choice)
    return pd.read_csv(
        source,
        encoding=table.dialect.encoding,
        encoding_errors="replace",
        skiprows=table.dialect.skipped,
        sep=table.dialect.separator,
        dtype=str,
        index_col=False,
        **choice,
    )


def _begins(path: Path, separator: str, **choice: Any) -> pd.DataFrame:
    """How a text file begins."""
    with _source(path) as source:
        return _text(source, separator, **choice)


def _text(source: Path | IO[bytes], separator: str, **choice: Any) -> pd.DataFrame:
    """Read as UTF-8, else as what spreadsheets on Windows write: the public CSV of Online Retail is in that."""
    choice |= {"sep": separator, "dtype": str, "index_col": False}
    frame: pd.DataFrame
    try:
        frame = pd.read_csv(source, encoding="utf-8-sig", **choice)
    except UnicodeDecodeError:
        if not isinstance(source, Path):
            source.seek(0)
        frame = pd.read_csv(source, encoding="cp1252", encoding_errors="replace", **choice)
    return frame


def _read_parquet(path: Path, places: Sequence[int]) -> pd.DataFrame:
    names = pq.read_schema(path).names
    return _as_frame(pq.read_table(path, columns=[names[place] for place in places]))


def _as_frame(table: pa.Table) -> pd.DataFrame:
    """The same cells of types that pandas can work with. Raises ValueError for bytes that are no text."""
    columns = [_plain(name, column) for name, column in zip(table.column_names, table.columns, strict=True)]
    plain = pa.Table.from_arrays(columns, names=table.column_names)
    # pandas' own types would make floats of integers with gaps.
    frame: pd.DataFrame = plain.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    return frame


def _as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Cells as a CSV file would have them, missing ones as they are."""
    return pd.DataFrame({name: _texts(frame[name]) for name in frame.columns})


def _texts(column: "pd.Series[Any]") -> "pd.Series[Any]":
    there = column.notna()
    texts = pd.Series(pd.NA, index=column.index, dtype="str")
    texts[there] = [value.isoformat(sep=" ") if hasattr(value, "isoformat") else str(value) for value in column[there]]
    return texts


def _plain(name: str, column: Any) -> Any:
    """A Parquet column as one that pandas can work with: dates are midnights, decimals numbers, bytes text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(name, column.cast(kind.value_type))
    if kind == pa.uuid():
        return pa.chunked_array([[None if value is None else str(value) for value in column.to_pylist()]], pa.string())
    if any(one(kind) for one in _BYTES):
        try:
            return column.cast(pa.string())
        except pa.ArrowInvalid:
            raise ValueError(f"column {name!r} holds bytes that are no text in UTF-8") from None
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("us"))
    return _number(column) if pa.types.is_decimal(kind) else column


def _number(column: Any) -> Any:
    """Decimals as integers where they are whole: they may be ids, of which a float holds the first 15 digits."""
    for kind in (pa.int64(), pa.string()) if column.type.scale <= 0 else (pa.int64(), pa.float64()):
        with suppress(pa.ArrowInvalid):
            return column.cast(kind)
    raise AssertionError(f"{column.type} is always text or a float")


def _names(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    stripped = tuple(name.strip() for name in names)
    twice = [name for name in stripped if stripped.count(name) > 1]
    if twice:
        raise TableError(f"{path}: two columns are named {twice[0]!r}")
    return stripped


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
