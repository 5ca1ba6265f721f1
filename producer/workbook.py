"""Sheets of a workbook (XLSX, XLSM) as typed columns, as if they had come from Parquet."""

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from contracts.errors import LivesegmentsError

SUFFIXES: Final = (".xlsx", ".xlsm")
_ERRORS: Final = frozenset({"#N/A", "#VALUE!", "#REF!", "#DIV/0!", "#NUM!", "#NAME?", "#NULL!"})
"""What a cell shows whose formula failed: no value."""
_EXACT: Final = 2.0**53
"""Up to here every whole number is a float, so a column of whole floats is one of integers."""
_MOST_CELLS: Final = 60_000_000
"""A workbook is read as a rectangle from its first cell to its last one, empty cells too."""
_MOST_BYTES: Final = 4 * 1024**3
"""Of all parts of a workbook, unpacked."""
_PIECE: Final = 4 * 1024 * 1024
_PLACE: Final = re.compile(rb'\sr="([A-Z]{1,3})(\d{1,7})"')
_LONGEST_PLACE: Final = 20


class WorkbookError(LivesegmentsError):
    """The workbook can not be read; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet whose first row that is not empty names its columns."""

    name: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    """Without the names, as the sheet has them; "" where a cell is empty."""

    def read(self, places: Sequence[int]) -> pa.Table:
        """These columns, each of one type, without rows in which all of the sheet is empty."""
        rows = [row for row in self.rows if any(cell != "" for cell in row)]
        return pa.table(
            [typed_column([row[place] for row in rows]) for place in places], [self.columns[p] for p in places]
        )


def open_sheet(path: Path, wanted: str | None = None) -> Sheet:
    """The sheet of that name, or number from 1; by default the first one that has cells. Raises WorkbookError."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise WorkbookError(f"{path}: to read workbooks, pip install 'livesegments[xlsx]'; or save it as CSV") from None
    try:
        _check_size(path)
        with CalamineWorkbook.from_path(path) as workbook:
            sheets = _chosen(path, workbook.sheet_names, wanted)
            found = next(
                ((name, rows) for name in sheets if (rows := workbook.get_sheet_by_name(name).to_python())), None
            )
    except (CalamineError, OSError, RuntimeError, zipfile.BadZipFile) as error:
        raise WorkbookError(f"{path}: cannot be read as a workbook: {error}") from error
    if found is None:
        raise WorkbookError(f"{path}: sheet {sheets[0]!r} is empty" if wanted else f"{path}: all sheets are empty")
    name, rows = found
    names = [_text(cell) or f"Unnamed: {place}" for place, cell in enumerate(rows[0])]
    return Sheet(name, tuple(names), rows[1:])


def _check_size(path: Path) -> None:
    """Refuse what would not fit into memory: the reader ends the process then. Raises WorkbookError, BadZipFile."""
    with zipfile.ZipFile(path) as packed:
        if sum(one.file_size for one in packed.infolist()) > _MOST_BYTES:
            raise WorkbookError(f"{path}: unpacked it has more than {_MOST_BYTES // 1024**3} GiB: save it as CSV")
        for one in packed.infolist():
            if one.filename.startswith("xl/worksheets/") and one.filename.endswith(".xml"):
                columns, rows = _extent(packed, one.filename)
                if columns * rows > _MOST_CELLS:
                    raise WorkbookError(
                        f"{path}: a sheet reaches over {rows:,} rows and {columns:,} columns, empty ones among them:"
                        " delete what stands far off in it, or save it as CSV"
                    )


def _extent(packed: zipfile.ZipFile, name: str) -> tuple[int, int]:
    """The number of the last column and of the last row in which a sheet has a cell."""
    letters: set[bytes] = set()
    last, rest = 0, b""
    with packed.open(name) as stream:
        while piece := stream.read(_PIECE):
            text = rest + piece
            found = _PLACE.findall(text)
            letters.update(column for column, _ in found)
            last = max(last, max((int(row) for _, row in found), default=0))
            rest = text[-_LONGEST_PLACE:]
    return max(map(_number, letters), default=0), last


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _chosen(path: Path, names: Sequence[str], wanted: str | None) -> Sequence[str]:
    if wanted is None:
        return names
    if wanted in names:
        return [wanted]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return [names[int(wanted) - 1]]
    raise WorkbookError(f"{path}: there is no sheet {wanted!r}; it has {', '.join(map(repr, names))}")


def typed_column(cells: Sequence[Any]) -> pa.Array:
    """Cells as times, numbers, truth values, or, where they are of several kinds, text as a CSV file would have it."""
    values = [
        None if cell is None or cell == "" or (isinstance(cell, str) and cell in _ERRORS) else cell for cell in cells
    ]
    kinds = {type(value) for value in values} - {type(None)}
    if not kinds:
        return pa.array(values, pa.string())
    if kinds <= {datetime, date}:
        return pa.array([_moment(value) for value in values], pa.timestamp("us"))
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds <= {int, float}:
        whole = all(float(value).is_integer() and abs(value) <= _EXACT for value in values if value is not None)
        return pa.array(_whole(values), pa.int64()) if whole else pa.array(values, pa.float64())
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _moment(value: date | datetime | None) -> datetime | None:
    return datetime.combine(value, time()) if value is not None and not isinstance(value, datetime) else value


def _whole(values: Sequence[Any]) -> Iterator[int | None]:
    return (None if value is None else int(value) for value in values)


def _text(value: Any) -> str:
    """A cell as CSV has it: 17850.0 is 17850, times are ISO 8601."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return str(int(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value) if isinstance(value, timedelta) else str(value).strip()
