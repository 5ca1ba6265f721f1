"""A table of items as what it says of each: for the catalogue."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
from pydantic import ValidationError

from contracts.catalog import CatalogItem
from contracts.errors import LivesegmentsError
from producer.cleaning import clean_id
from producer.mapping import field_columns
from producer.table import open_table

ITEM_FIELDS: Final = {
    "item_id": "as in the events",
    "name": "what people know it by",
    "category": "one of your own",
    "in_stock": "yes or no, or how many there are",
    "recommendable": "no for what nobody can want, such as postage",
}
CONSTANTS: Final = ("category", "in_stock", "recommendable")
"""Fields that may be one value for all rows."""

_FLAGS: Final = ("in_stock", "recommendable")
_YES: Final = frozenset({"yes", "y", "true", "t", "in stock", "instock", "available"})
_NO: Final = frozenset({"no", "n", "false", "f", "out of stock", "outofstock", "unavailable", "sold out"})
_SHOWN: Final = 10


class ItemTableError(LivesegmentsError):
    """The table can not be read as one of items; the text says why, and in which rows."""


@dataclass(frozen=True, slots=True)
class ItemTable:
    """What a table says."""

    items: Sequence[CatalogItem]
    """In the order of the file; None is what a row does not say. One item may come several times."""
    unused: tuple[str, ...]
    """Columns that were not read."""
    bad: tuple[str, ...]
    """Rows that can not be used, each with the reason and its number: the first below the names of columns is 1."""


def read_items(
    path: Path,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
    *,
    sheet: str | None = None,
    skip_bad: bool = False,
) -> ItemTable:
    """Read a table of items.

    Args:
        path: CSV, TSV, JSONL, Parquet or XLSX.
        columns: Field to column; without any, columns that bear a field's name are taken.
        constants: Field to the value that every row has.
        sheet: Of a workbook.
        skip_bad: Use the other rows where some can not be used.

    Raises TableError, MappingError, and ItemTableError where rows can not be used and are not to be skipped.
    """
    table = open_table(path, sheet)
    chosen = _fields(path, table.columns, columns or {}, constants or {})
    frame = table.read(set(chosen.values()))
    items: list[CatalogItem] = []
    bad: list[str] = []
    for number, said in enumerate(_rows(frame, chosen), 1):
        try:
            items.append(_item({**said, **(constants or {})}))
        except ValueError as error:
            bad.append(f"row {number}: {error}")
    if bad and not skip_bad:
        listed = [*bad[:_SHOWN], f"and {len(bad) - _SHOWN:,} more"] if len(bad) > _SHOWN else bad
        raise ItemTableError(
            f"{path}: {len(bad):,} of {len(frame):,} rows can not be used, so nothing is loaded; correct them, or leave"
            " them out with --skip-bad:\n" + "\n".join(listed)
        )
    return ItemTable(items, tuple(name for name in table.columns if name not in chosen.values()), tuple(bad))


def _fields(
    path: Path, table: Sequence[str], columns: Mapping[str, str], constants: Mapping[str, str]
) -> dict[str, str]:
    """Field to column. Raises MappingError, ItemTableError."""
    chosen = field_columns(table, columns, constants, ITEM_FIELDS, CONSTANTS)
    there = f"The table has: {', '.join(table)}."
    if "item_id" not in chosen:
        raise ItemTableError(f"{path}: which column is item_id? Say --map item_id=COLUMN. {there}")
    others = [name for name in ITEM_FIELDS if name != "item_id"]
    if not constants and not chosen.keys() & set(others):
        raise ItemTableError(f"{path}: which columns are {', '.join(others)}? Say --map name=COLUMN. {there}")
    return chosen


def _rows(frame: pd.DataFrame, columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Each row's values by field; what is empty is left out."""
    values = [[None if _empty(cell) else cell for cell in frame[column].tolist()] for column in columns.values()]
    for cells in zip(*values, strict=True):
        yield {name: cell for name, cell in zip(columns, cells, strict=True) if cell is not None}


def _empty(cell: Any) -> bool:
    return cell is None or cell is pd.NA or cell != cell or (isinstance(cell, str) and not cell.strip())  # noqa: PLR0124


def _item(said: Mapping[str, Any]) -> CatalogItem:
    """Raises ValueError, whose text says what is wrong."""
    if "item_id" not in said:
        raise ValueError("no item_id")
    parsed: dict[str, Any] = {
        name: parse_flag(name, value) if name in _FLAGS else clean_id(value)  # 17850.0 is 17850, also as a name
        for name, value in said.items()
    }
    try:
        return CatalogItem(**parsed)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{first['loc'][0]}: {first['msg'].removeprefix('Value error, ')}") from None


def parse_flag(name: str, value: Any) -> bool:
    """Yes or no, as tables have it; stock may be a number of pieces. Raises ValueError.

    >>> parse_flag("in_stock", "Yes"), parse_flag("in_stock", 12), parse_flag("recommendable", "0")
    (True, True, False)
    """
    text = str(value).strip().lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if number in {0, 1} or (name == "in_stock" and number == number):  # noqa: PLR0124 - not NaN
        return number > 0
    pieces = ", or a number of pieces" if name == "in_stock" else ""
    raise ValueError(f"{name} is {text[:40]!r}: expected yes or no{pieces}")
