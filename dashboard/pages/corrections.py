"""What somebody may correct of what an import made out: in words, and as the answers that they are."""

from collections.abc import Mapping, Sequence
from typing import Final

from dashboard.imports import ImportRefusedError

_COLUMNS: Final = {
    "map.customer_id": "Column: customer",
    "map.email": "Column: customer's e-mail address",
    "map.order_id": "Column: order",
    "map.orders.order_id": "Column: order, in the table of orders",
    "map.occurred_at": "Column: when",
    "map.item_id": "Column: item",
    "map.name": "Column: item's name",
    "map.category": "Column: item's category",
    "map.quantity": "Column: how many",
    "map.unit_price": "Column: price of one",
    "map.amount": "Column: price of the line",
    "map.currency": "Column: currency",
}
_OTHERS: Final = {
    "set.currency": "Currency of all prices",
    "decimal": "Decimal sign",
    "time_format": "Dates",
    "zone": "Time zone",
    "customer_from": "Customers",
    "guests": "Orders of guests",
    "cancelled": "Returns, by how their number begins",
    "header": "First row",
    "encoding": "Encoding",
    "separator": "Between columns",
    "sheet": "Sheet of a workbook",
}
WHAT: Final = {**_COLUMNS, **_OTHERS}
"""What may be corrected, and how it is called."""
_MEANT: Final[Mapping[str, Mapping[str, str]]] = {
    "decimal": {"point": ".", "comma": ","},
    "time_format": {"day first": "dmy", "month first": "mdy", "year first": "ymd"},
    "customer_from": {"by their numbers": "id", "by e-mail address": "email", "all are guests": "nobody"},
    "guests": {"count": "count", "leave out": "leave-out"},
    "cancelled": {"C and digits": r"C\d", "none": ""},
    "header": {"names the columns": "yes", "is an order already": "no"},
    "separator": {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"},
}
_MUST: Final = frozenset({"decimal", "customer_from", "guests", "header"})
"""Of which there is nothing but what is proposed."""
_PROPOSED: Final[Mapping[str, Sequence[str]]] = {
    "set.currency": ("EUR", "GBP", "USD", "CHF", "PLN", "SEK"),
    "encoding": ("utf-8", "cp1252", "cp1250", "utf-16", "mac-roman"),
    "zone": ("Europe/London", "Europe/Berlin", "Europe/Paris", "Europe/Madrid", "America/New_York", "UTC"),
    "sheet": ("1", "2", "3"),
}


def choices_of(what: str, columns: Sequence[str]) -> Sequence[str]:
    """What is proposed as its value."""
    if what in _COLUMNS:
        return columns
    return tuple(_MEANT.get(what, ())) or _PROPOSED.get(what, ())


def answers_of(what: str, value: str) -> Mapping[str, str]:
    """The answer that it is. Raises ImportRefusedError.

    >>> answers_of("time_format", "Day first"), answers_of("map.quantity", " Menge ")
    ({'time_format': 'dmy'}, {'map.quantity': 'Menge'})
    """
    if what not in WHAT:
        raise ImportRefusedError("Choose what is not right.")
    text = value.strip()
    meant = _MEANT.get(what, {})
    found = meant.get(text if text in meant else text.lower())
    if found is None and (not text or what in _MUST):
        proposed = ", ".join(meant) or "a value"
        raise ImportRefusedError(f"{WHAT[what]}: enter {proposed}.")
    return {what: text if found is None else found}
