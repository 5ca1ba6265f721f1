"""The contract with event producers: one pydantic model per event type, with its limits.

These models are the authority on what is valid and on the message that says why something is not.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from contracts.money import MAX_LINE_MILLIONTHS, MAX_QUANTITY, MAX_TOTAL_MILLIONTHS, MAX_UNIT_PRICE, to_millionths
from contracts.times import parse_rfc3339, rfc3339, to_micros

VERSION: Final = 1
"""The newest event version that this code knows."""
MAX_MESSAGE_BYTES: Final = 1024 * 1024
MAX_LINES: Final = 10_000
MAX_ID_LENGTH: Final = 128
GUEST_PREFIX: Final = "guest:"
"""Ids that begin so are no customers, but orders of nobody known (`contracts/guests.py`)."""
MAX_ATTRIBUTES: Final = 64
MAX_ATTRIBUTE_BYTES: Final = 256
MAX_ATTRIBUTE_NUMBER: Final = 1e15

MAX_REASON_LENGTH: Final = 160
"""`because:` and an item id fit in."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def _no_control_characters(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("control characters are not allowed in an id")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("unpaired surrogates are not allowed in an id") from None
    return text


def _as_datetime(value: object) -> object:
    return parse_rfc3339(value) if isinstance(value, str) else value


def _no_bare_number(value: object) -> object:
    if not isinstance(value, str | datetime):
        raise ValueError("expected an RFC 3339 time with a zone, such as 2026-05-04T10:15:00Z")  # noqa: TRY004 - pydantic reports ValueError
    return value


def _with_zone(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("the time needs a zone, such as 2026-05-04T10:15:00Z")
    return moment


def _six_decimals(price: float) -> float:
    to_millionths(price)
    return price


Identifier = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH), AfterValidator(_no_control_characters)]
ReasonCode = Annotated[str, Field(max_length=MAX_REASON_LENGTH), AfterValidator(_no_control_characters)]
Timestamp = Annotated[
    datetime,
    BeforeValidator(_as_datetime),
    BeforeValidator(_no_bare_number),
    AfterValidator(_with_zone),
    PlainSerializer(lambda moment: rfc3339(to_micros(moment)), return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
UnitPrice = Annotated[float, Field(ge=0, le=MAX_UNIT_PRICE, allow_inf_nan=False), AfterValidator(_six_decimals)]
Quantity = Annotated[int, Field(ge=1, le=MAX_QUANTITY)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code")]
AttributeValue = bool | int | float | str


class _Contract(BaseModel):
    """Frozen and strict; unknown fields are ignored, so that producers may be newer than we are."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Line(_Contract):
    """One line of an order or of a return."""

    item_id: Identifier
    quantity: Quantity
    unit_price: UnitPrice


class _Event(_Contract):
    v: Annotated[int, Field(ge=1, le=VERSION)] = VERSION
    event_id: Identifier
    customer_id: Identifier
    occurred_at: Timestamp


class _Order(_Event):
    order_id: Identifier
    lines: Annotated[tuple[Line, ...], Field(min_length=1, max_length=MAX_LINES)]
    currency: Currency

    @field_validator("lines", mode="before")
    @classmethod
    def _list_is_fine(cls, lines: object) -> object:
        return tuple(lines) if isinstance(lines, list) else lines

    @model_validator(mode="after")
    def _amounts_fit(self) -> Self:
        total = 0
        for line in self.lines:
            amount = line.quantity * to_millionths(line.unit_price)
            if amount > MAX_LINE_MILLIONTHS:
                raise ValueError("a line may be worth at most 1e12")
            total += amount
        if total > MAX_TOTAL_MILLIONTHS:
            raise ValueError("an event may be worth at most 9e12")
        return self


class Purchase(_Order):
    """A customer bought something: one event is one order."""

    type: Literal["purchase"] = "purchase"


class Return(_Order):
    """A customer gave something back: what, and at what price."""

    type: Literal["return"] = "return"


class Profile(_Event):
    """What is known of a customer besides purchases: age, gender, customer_since, marketing_consent, ..."""

    type: Literal["profile"] = "profile"
    attributes: Annotated[dict[str, AttributeValue], Field(max_length=MAX_ATTRIBUTES)]

    @field_validator("attributes")
    @classmethod
    def _attributes_fit(cls, attributes: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
        for name, value in attributes.items():
            if not name or _CONTROL.search(name):
                raise ValueError("an attribute needs a name without control characters")
            if isinstance(value, float | int) and not abs(value) <= MAX_ATTRIBUTE_NUMBER:
                raise ValueError(f"attribute {name!r}: a number must lie within ±1e15")
            try:
                size = len(name.encode()) + len(str(value).encode())
            except UnicodeEncodeError:
                raise ValueError("unpaired surrogates are not allowed in attributes") from None
            if size > MAX_ATTRIBUTE_BYTES:
                raise ValueError(f"attribute {name[:40]!r}: name and value may take {MAX_ATTRIBUTE_BYTES} bytes")
        return attributes


class Erase(_Event):
    """Forget this customer: everything up to the later of this event's time and the newest event known."""

    type: Literal["erase"] = "erase"
    unless_newer: Annotated[bool, Field(exclude_if=lambda wanted: wanted is False)] = False
    """Void if anything newer than `occurred_at` is known of the customer: for those who have been silent for long."""
    joined_to: Annotated[Identifier | None, Field(exclude_if=lambda customer: customer is None)] = None
    """Void unless the id was joined to this customer at `occurred_at`: what follows when that customer is erased."""


class Alias(_Event):
    """The id is another one of a customer's, and everything of it counts for that customer; null: for itself again."""

    type: Literal["alias"] = "alias"
    alias_of: Identifier | None
    """The customer whose id it is. The newest alias of an id holds, by (`occurred_at`, hash of the event's id)."""

    @model_validator(mode="after")
    def _no_guests(self) -> Self:
        if self.customer_id.startswith(GUEST_PREFIX) or (self.alias_of or "").startswith(GUEST_PREFIX):
            raise ValueError(
                f"an id that begins with {GUEST_PREFIX!r} is of an order of nobody known, and joins nobody"
            )
        return self


class Interaction(_Event):
    """Items were shown to a customer, or clicked: what feedback on recommendations is counted from."""

    type: Literal["interaction"] = "interaction"
    kind: Literal["shown", "clicked"]
    items: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=MAX_LINES)]
    source: Annotated[str, Field(max_length=MAX_ID_LENGTH), AfterValidator(_no_control_characters)] = ""
    """The shelf: `recommendations`, `discover`, `buy_again`, or a name of the application's own."""
    reasons: Annotated[tuple[ReasonCode, ...], Field(max_length=MAX_LINES)] = ()
    """Why each item was recommended, as the view said, in the order of `items`; or none at all."""

    @field_validator("items", "reasons", mode="before")
    @classmethod
    def _list_is_fine(cls, texts: object) -> object:
        return tuple(texts) if isinstance(texts, list) else texts

    @model_validator(mode="after")
    def _a_reason_each(self) -> Self:
        if self.reasons and len(self.reasons) != len(self.items):
            raise ValueError("reasons must be as many as items, or none")
        return self


Event = Purchase | Return | Profile | Erase | Interaction | Alias
EVENT_TYPES: Final = ("purchase", "return", "profile", "erase", "interaction", "alias")

_ADAPTER: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


def parse_event(message: bytes) -> Event:
    """The event in a JSON message. Raises pydantic.ValidationError, whose text says what is wrong."""
    return _ADAPTER.validate_json(message)


def as_event(event: Event | Mapping[str, Any]) -> Event:
    """An event from a model or from a mapping of its fields. Raises pydantic.ValidationError."""
    if isinstance(event, BaseModel):
        return event
    return _ADAPTER.validate_python(dict(event))


def encode_event(event: Event) -> bytes:
    """The event as it stands on the log: compact JSON in UTF-8."""
    return event.model_dump_json().encode()


def json_schema() -> str:
    """The JSON Schema of all event types, for producers in other languages."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_ADAPTER.json_schema()}
    return json.dumps(schema, indent=2)
