"""Events as they are written: JSON built straight from columns, where a pydantic model per event would be too slow.

The tests hold every message made here against contracts.events.
"""

from typing import Final, NamedTuple

import msgspec

from contracts.events import VERSION


class Message(NamedTuple):
    """One encoded event, ready for the log."""

    occurred_at: int
    """Microseconds UTC."""
    event_id: str
    key: bytes
    """The customer's id in UTF-8: the log places records by it."""
    value: bytes


class LineJson(msgspec.Struct, gc=False):
    """contracts.events.Line."""

    item_id: str
    quantity: int
    unit_price: float


class OrderJson(msgspec.Struct, gc=False, kw_only=True):
    """contracts.events.Purchase and Return, in the order in which pydantic writes their fields."""

    v: int = VERSION
    event_id: str
    customer_id: str
    occurred_at: str
    order_id: str
    lines: list[LineJson]
    currency: str
    type: str


class ProfileJson(msgspec.Struct, gc=False, kw_only=True):
    """contracts.events.Profile, likewise."""

    v: int = VERSION
    event_id: str
    customer_id: str
    occurred_at: str
    type: str = "profile"
    attributes: dict[str, bool | int | float | str]


PURCHASE: Final = "purchase"
RETURN: Final = "return"

encode: Final = msgspec.json.Encoder().encode
"""A struct of this module as JSON bytes."""
