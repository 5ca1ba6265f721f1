"""Which column of a table is which field of an event: known tables, and `--map` and `--set` for any other."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from contracts.errors import LivesegmentsError
from producer.numbers import DecimalSign
from producer.presets import PRESETS, Preset

FIELDS: Final = {
    "customer_id": "who",
    "occurred_at": "when",
    "order_id": "invoice or basket; its lines make one event",
    "item_id": "what",
    "quantity": "how many; negative came back; 1 unless mapped",
    "unit_price": "price of one",
    "amount": "price of the line, where there is no unit price",
    "currency": "ISO 4217 code",
    "name": "of the item",
    "category": "of the item",
}
REQUIRED: Final = ("customer_id", "occurred_at")
SETTABLE: Final = ("currency", "quantity", "unit_price", "item_id")
"""Fields that may be one constant for the whole table."""
AMOUNT_ITEM: Final = "(amount)"
"""The item of a line whose table names none: orders need lines. Never a product, never recommended."""


class MappingError(LivesegmentsError):
    """The table's columns do not say what an event needs; the text names those there are."""


@dataclass(frozen=True, slots=True)
class MappingRequest:
    """What a user says about a table. Nothing at all is enough for a known one."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Field to column. In a table of profiles any other name is an attribute."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Field to the value that every row has."""
    currency: str | None = None
    """The deployment's currency, for a table that says none."""
    cancelled: str = r"C\d"
    """Orders whose id begins so are returns, whatever the signs of their lines; empty for none."""
    time_format: str | None = None
    """As for strptime, or `s`, `ms`, `us` since 1970, or `dmy`, `mdy`, `ymd`; guessed from the table otherwise."""
    sheet: str | None = None
    """Of a workbook: a name, or a number from 1; the first that has cells otherwise."""
    header: bool = True
    """Whether the first line of a text file names its columns; otherwise they are called 1, 2, 3 and so on."""


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Which columns to read, and as what."""

    kind: Literal["orders", "profiles"]
    columns: Mapping[str, str]
    constants: Mapping[str, str] = field(default_factory=dict)
    cancelled: re.Pattern[str] | None = None
    time_format: str | None = None
    preset: str | None = None
    non_products: tuple[str, ...] = ()
    decimal: DecimalSign | None = None
    """How numbers are written; None: as programs write them."""
    guests: bool = False
    """Orders without a customer are of guests; otherwise they are left out."""


def parse_assignments(texts: Iterable[str], option: str) -> dict[str, str]:
    """`customer_id=CustomerID` and the like, as given on a command line. Raises MappingError.

    >>> parse_assignments(["customer_id=Customer ID", "item_id=Item"], "--map")
    {'customer_id': 'Customer ID', 'item_id': 'Item'}
    """
    assigned: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value:
            raise MappingError(f"{option} {text}: expected FIELD=VALUE, such as {option} customer_id=CustomerID")
        if name.strip() in assigned:
            raise MappingError(f"{option} {text}: {name.strip()} was given before")
        assigned[name.strip()] = value
    return assigned


def field_columns(
    table: Sequence[str],
    asked: Mapping[str, str],
    constants: Mapping[str, str],
    fields: Collection[str],
    settable: Collection[str],
) -> dict[str, str]:
    """Field to column: what was asked for; if nothing was, columns that bear a field's name. Raises MappingError."""
    columns = dict(asked) or {_snake(column): column for column in reversed(table) if _snake(column) in fields}
    for option, names, allowed in (("--map", columns, fields), ("--set", constants, settable)):
        for name in names:
            if name not in allowed:
                raise MappingError(f"{option} {name}: unknown field; there are {', '.join(allowed)}")
    for name, column in columns.items():
        if column not in table:
            raise MappingError(f"no column {column!r} (for {name}). {_there_is(table, column)}")
    return {name: column for name, column in columns.items() if name not in constants}


def resolve(table: Sequence[str], request: MappingRequest) -> ColumnMapping:
    """Decide which of a table's columns are read as what.

    A known table starts from its preset, which the request overrides. Where nothing is requested, a column that bears a
    field's name is that field (CustomerID, customer id). A table with neither unit price nor amount is one of profiles.
    Raises MappingError.
    """
    preset = preset_of(table)
    columns = _columns(table, preset, request)
    if not {"unit_price", "amount"} & (columns.keys() | request.constants.keys()):
        return _profiles(table, columns, request)
    _check_orders(table, columns)
    constants = dict(request.constants)
    if "currency" not in columns:
        currency = constants.get("currency") or (preset.currency if preset else None) or request.currency
        if currency is None:
            raise MappingError("which currency are the prices in? Say --set currency=EUR, or --map currency=COLUMN")
        constants["currency"] = currency
    return ColumnMapping(
        kind="orders",
        columns=columns,
        constants=constants,
        cancelled=compiled(request.cancelled),
        time_format=request.time_format,
        preset=preset.name if preset else None,
        non_products=preset.non_products if preset else (),
    )


def _columns(table: Sequence[str], preset: Preset | None, request: MappingRequest) -> dict[str, str]:
    """Field to column: above all what was asked for, then the preset's, then, if nothing was, a field's own name."""
    columns: dict[str, str] = {}
    if not request.columns:
        # Whoever maps columns means those alone.
        columns |= {_snake(column): column for column in reversed(table) if _snake(column) in FIELDS}
    if preset is not None:
        columns |= {name: column for name, column in preset.columns.items() if column in table}
    columns |= request.columns
    for name in request.constants:
        if name not in SETTABLE:
            raise MappingError(f"--set {name}: only {', '.join(SETTABLE)} can be set for a whole table")
        columns.pop(name, None)
    for name, column in columns.items():
        if column not in table:
            raise MappingError(f"no column {column!r} (for {name}). {_there_is(table, column)}")
    if "unit_price" in columns and "amount" in columns:
        if {"unit_price", "amount"} <= request.columns.keys():
            raise MappingError("unit_price and amount are both mapped: leave the one out that does not count")
        del columns["unit_price" if "amount" in request.columns else "amount"]
    return columns


def _check_orders(table: Sequence[str], columns: Mapping[str, str]) -> None:
    unknown = [name for name in columns if name not in FIELDS]
    if unknown:
        raise MappingError(f"--map {unknown[0]}: unknown field; a table of orders has {', '.join(FIELDS)}")
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise MappingError(f"which column is {missing[0]}? Say --map {missing[0]}=COLUMN. {_there_is(table)}")


def _profiles(table: Sequence[str], columns: Mapping[str, str], request: MappingRequest) -> ColumnMapping:
    """The mapping of a table that says who somebody is and nothing of purchases: all other columns are attributes."""
    bought = [name for name in ("order_id", "item_id", "quantity") if name in columns or name in request.constants]
    if bought:
        raise MappingError(
            f"{bought[0]} is mapped, so these are orders: which column is the price? Say --map unit_price=COLUMN, "
            f"or --map amount=COLUMN for the price of a whole line. {_there_is(table)}"
        )
    if "customer_id" not in columns:
        raise MappingError(
            f"not a known table: which columns are customer_id, occurred_at, order_id, item_id, quantity, unit_price? "
            f"Say --map customer_id=COLUMN and so on. {_there_is(table)}"
        )
    named = {column: name for name, column in columns.items() if name not in {"customer_id", "occurred_at"}}
    keys = {columns["customer_id"], columns.get("occurred_at")}
    attributes = attribute_names([column for column in table if column not in keys], named)
    chosen = {name: column for name, column in columns.items() if name in {"customer_id", "occurred_at"}}
    clash = chosen.keys() & set(attributes.values())
    if clash:
        raise MappingError(f"the attribute {clash.pop()!r} needs another name: say --map OTHER_NAME=COLUMN")
    return ColumnMapping(
        kind="profiles",
        columns=chosen | {name: column for column, name in attributes.items()},
        time_format=request.time_format,
    )


def attribute_names(columns: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
    """Column to attribute name: the one given, else the words before any bracket, in lower case, joined by `_`.

    Columns that would share a name keep the words in their brackets too.

    >>> attribute_names(["Age", "Annual Income (k$)"], {})
    {'Age': 'age', 'Annual Income (k$)': 'annual_income'}
    """
    short = {column: named.get(column) or _snake(re.split(r"[(\[{]", column)[0]) for column in columns}
    names = list(short.values())
    full = {column: name if name and names.count(name) == 1 else _snake(column) for column, name in short.items()}
    seen: set[str] = set()
    for column, name in full.items():
        if not name or name in seen:
            raise MappingError(f"column {column!r} has no attribute name of its own: say --map NAME={column!r}")
        seen.add(name)
    return full


def _snake(text: str) -> str:
    parted = re.sub(r"([a-z\d])([A-Z])", r"\1_\2", text)
    return "_".join(re.findall(r"\w+", parted.lower().replace("_", " ")))


def preset_of(table: Sequence[str]) -> Preset | None:
    """The known table that has these columns."""
    for preset in PRESETS:
        if {column for name, column in preset.columns.items() if name not in {"name", "category"}} <= set(table):
            return preset
    return None


def compiled(pattern: str) -> re.Pattern[str] | None:
    """The pattern of cancelled orders; None for none. Raises MappingError."""
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise MappingError(f"the pattern of cancelled orders {pattern!r} is no regular expression: {error}") from error


def _there_is(table: Sequence[str], wanted: str = "") -> str:
    there = f"The table has: {', '.join(table)}."
    lower = {column.lower(): column for column in reversed(table)}
    close = difflib.get_close_matches(wanted.lower(), lower, n=1, cutoff=0.6) if wanted else []
    return f"{there} Did you mean {lower[close[0]]!r}?" if close else there
