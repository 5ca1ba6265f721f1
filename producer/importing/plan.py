"""Everything that is decided about an import: what stands in the settings, and is applied without asking again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.errors import LivesegmentsError
from producer.day_order import DayOrder
from producer.mapping import FIELDS, MappingError, compiled
from producer.numbers import SIGNS, DecimalSign

IMPORT_FIELDS: Final = {**FIELDS, "email": "who, where there is no customer_id: only its salted hash is kept"}
ORDER_LEVEL: Final = ("order_id", "customer_id", "email", "occurred_at", "currency")
"""What is the same for all lines of an order."""
CustomerFrom = Literal["id", "email", "nobody"]
GuestOrders = Literal["count", "leave-out"]
CUSTOMER_FROM: Final[tuple[CustomerFrom, ...]] = ("id", "email", "nobody")
GUEST_ORDERS: Final[tuple[GuestOrders, ...]] = ("count", "leave-out")
_CONSTANTS: Final = ("currency", "quantity", "unit_price", "item_id")


class PlanError(LivesegmentsError):
    """What the settings say of an import can not be used; the text says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShape:
    """How the files of one kind are read: those that have these columns."""

    columns: Mapping[str, str]
    """Field to column."""
    encoding: str | None = None
    """Of text files; looked for in each where it is not said. Likewise the others."""
    separator: str | None = None
    header: bool | None = None
    sheet: str | None = None
    decimal: DecimalSign = "."
    time_format: DayOrder | str | None = None

    def fits(self, columns: Sequence[str]) -> bool:
        """Whether a file with these columns is of this kind."""
        return set(self.columns.values()) <= set(columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """How a shop's files become events."""

    lines: TableShape
    """The table of order lines, or of orders where there are no lines."""
    orders: TableShape | None = None
    """A table of its own that says who ordered and when; lines are joined to it by `order_id`."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Field to the value that every row has."""
    zone: str = "UTC"
    """Of times that name none; months are counted in it."""
    cancelled: str = ""
    """Orders whose id begins so are returns."""
    customer_from: CustomerFrom = "id"
    guests: GuestOrders = "count"
    preset: str | None = None
    """The known table that it is."""
    salt_check: str | None = None
    """By what another salt than the one of the first import is noticed."""

    @property
    def shapes(self) -> tuple[TableShape, ...]:
        """Of one or two kinds of files."""
        return (self.lines,) if self.orders is None else (self.lines, self.orders)

    def as_table(self) -> dict[str, Any]:
        """The plan as it stands in the settings: without what is as by default."""
        table = _told(asdict(self.lines), TableShape)
        own = {name: value for name, value in asdict(self).items() if name not in {"lines", "orders"}}
        table |= _told(own, ImportPlan)
        if self.orders is not None:
            table["orders"] = _told(asdict(self.orders), TableShape)
        return table

    @classmethod
    def of_table(cls, table: Mapping[str, Any]) -> "ImportPlan":
        """The plan that a table of the settings is. Raises PlanError."""
        shape_names = {one.name for one in fields(TableShape)}
        own_names = {one.name for one in fields(cls)} - {"lines", "orders"}
        for name in table:
            if name not in shape_names | own_names | {"orders"}:
                raise PlanError(f"there is no {name!r}; there are {', '.join(sorted(shape_names | own_names))}, orders")
        orders = table.get("orders")
        plan = cls(
            lines=_shape({name: value for name, value in table.items() if name in shape_names}),
            orders=None if orders is None else _shape(_mapping("orders", orders)),
            **{name: value for name, value in table.items() if name in own_names},
        )
        _check(plan)
        return plan


def _told(values: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    defaults = {one.name: one.default for one in fields(kind)}
    told = {name: value for name, value in values.items() if value != defaults[name] and value is not None}
    return {name: value for name, value in told.items() if value != {}}


def _mapping(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PlanError(f"{name}: expected a table")
    return value


def _shape(table: Mapping[str, Any]) -> TableShape:
    known = {one.name for one in fields(TableShape)}
    unknown = [name for name in table if name not in known]
    if unknown:
        raise PlanError(f"there is no {unknown[0]!r}; there are {', '.join(sorted(known))}")
    columns = _mapping("columns", table.get("columns"))
    for name, column in columns.items():
        if name not in IMPORT_FIELDS:
            raise PlanError(f"columns.{name}: unknown field; there are {', '.join(IMPORT_FIELDS)}")
        if not isinstance(column, str) or not column:
            raise PlanError(f"columns.{name}: expected the name of a column")
    for name in ("encoding", "separator", "sheet", "time_format"):
        if not isinstance(table.get(name), str | None):
            raise PlanError(f"{name}: expected text")
    if table.get("decimal", ".") not in SIGNS:
        raise PlanError('decimal: expected "." or ","')
    if not isinstance(table.get("header"), bool | None):
        raise PlanError("header: expected true or false")
    return TableShape(**{**table, "columns": dict(columns)})


def _check(plan: ImportPlan) -> None:
    constants = _mapping("constants", plan.constants)
    for name, value in constants.items():
        if name not in _CONSTANTS or not isinstance(value, str):
            raise PlanError(f"constants.{name}: expected text for one of {', '.join(_CONSTANTS)}")
    for name, value, allowed in (
        ("customer_from", plan.customer_from, CUSTOMER_FROM),
        ("guests", plan.guests, GUEST_ORDERS),
    ):
        if value not in allowed:
            raise PlanError(f"{name}: expected one of {', '.join(allowed)}")
    if not isinstance(plan.preset, str | None) or not isinstance(plan.salt_check, str | None):
        raise PlanError("preset and salt_check: expected text")
    _check_texts(plan)
    if plan.orders is not None:
        for name, shape in (("lines", plan.lines), ("orders", plan.orders)):
            if "order_id" not in shape.columns:
                raise PlanError(f"{name}: two tables are joined by order_id, so both need its column")
    _check_fields(plan)


def _check_texts(plan: ImportPlan) -> None:
    try:
        ZoneInfo(plan.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        raise PlanError("zone: expected a time zone such as UTC or Europe/London") from None
    try:
        compiled(plan.cancelled)
    except (MappingError, TypeError) as error:
        raise PlanError(f"cancelled: {error}") from None


def _check_fields(plan: ImportPlan) -> None:
    named = {name for shape in plan.shapes for name in shape.columns}
    if "occurred_at" not in named:
        raise PlanError("columns.occurred_at is missing: which column says when?")
    if not {"unit_price", "amount"} & (named | plan.constants.keys()):
        raise PlanError("columns.unit_price or columns.amount is missing: which column is the price?")
    if {"unit_price", "amount"} <= named:
        raise PlanError("unit_price and amount are both mapped: leave the one out that does not count")
    if "currency" not in named | plan.constants.keys():
        raise PlanError('currency is missing: say constants = {currency = "EUR"}, or columns.currency')
    who = {"id": "customer_id", "email": "email"}.get(plan.customer_from)
    if who is not None and who not in named:
        raise PlanError(f"columns.{who} is missing: customer_from is {plan.customer_from!r}")
    if plan.customer_from == "nobody" and "order_id" not in named:
        raise PlanError("columns.order_id is missing: without customers only orders can be told apart")
