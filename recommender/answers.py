"""What readers answer: documents decoded straight into small frozen structs.

They have the names and types of `contracts.documents`, the authority; tests hold them equal.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final, Literal, TypeVar

import msgspec

from contracts.documents import VERSION
from contracts.errors import LivesegmentsError

Shelf = Literal["recommendations", "discover", "buy_again"]
"""All of the list; only items never bought; only items bought before."""
AGAIN: Final = "again"
"""The reason that says that the customer bought the item before; with all others it is new to them."""


class DocumentError(LivesegmentsError):
    """A stored document can not be used."""


class BrokenDocumentError(DocumentError):
    """A stored document is not what livesegments writes."""


class NewerDocumentError(DocumentError):
    """A stored document was written by a newer livesegments."""


# Nothing here can be part of a cycle. Tens of thousands of cached answers would slow every collection down.
class Item(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One recommended item."""

    item_id: str
    score: float
    """Comparable within one list."""
    reason: str
    """`again`: bought before. All others were not: `because:<item id>` is bought together with that one (`because`
    alone where there was no room for the id), `popular` sells in the customer's segment, `trending` sells more than it
    used to, `new` is new in the catalogue."""


class Segment(msgspec.Struct, frozen=True, gc=False):
    """The segment a customer is in."""

    id: int
    name: str
    since: datetime
    cause: str
    """What made the customer move here: purchase, return, profile, time, model or alias."""
    previous: int | None = None
    """Segment id before this one."""
    by_rule: bool = False
    """Given by the naming table to this one customer, not learnt: there is little data yet."""


class Forecast(msgspec.Struct, frozen=True, gc=False):
    """What a customer will do within 30, 90 and 365 days, as of the beginning of a day (UTC).

    None where a figure is not known.
    """

    as_of: date
    p_active: float | None = None
    """Probability of still being a customer; None where the data do not tell silence from leaving."""
    orders: tuple[float, float, float] | None = None
    """Expected days with an order within 30, 90, 365 days."""
    spend: tuple[float, float, float] | None = None
    """Expected net spend within the same, in the deployment's currency."""
    orders_90d: tuple[int, int] | None = None
    """Between what the orders of 90 days lie with 90 %, both included."""
    spend_90d: tuple[float, float] | None = None
    """The same of the net spend."""
    churn: float | None = None
    """Probability of no order within 90 days, as learned from who stayed away."""


class Recommendations(msgspec.Struct, frozen=True, gc=False):
    """What there is for one customer."""

    customer_id: str
    items: tuple[Item, ...]
    """Best first."""
    segment: Segment | None = None
    audiences: tuple[str, ...] = ()
    """The rule segments that the customer is in."""
    forecast: Forecast | None = None
    """None: not enough data yet."""
    as_of: datetime | None = None
    """When this was computed; None where nothing has been computed yet."""
    model_version: int = 0
    known: bool = True
    """False: nothing is known of this customer, and the items are what everybody buys."""
    stale: bool = False
    """True: Redis does not answer, and this is the last that the reader had."""
    joined_to: str | None = None
    """The id asked for is another one of this customer's, of whom all this is."""
    v: int = VERSION

    def shelf(self, shelf: Shelf) -> tuple[Item, ...]:
        """The items of one shelf, best first."""
        if shelf == "recommendations":
            return self.items
        again = shelf == "buy_again"
        return tuple(item for item in self.items if (item.reason == AGAIN) is again)


class ItemList(msgspec.Struct, frozen=True, gc=False):
    """Items that hang on no customer: what is bought together with one, what is popular."""

    items: tuple[Item, ...]
    """Best first; empty where nothing is known."""
    as_of: datetime | None = None
    """When this was computed; None where nothing has been computed."""
    stale: bool = False
    """True: Redis does not answer, and this is the last that the reader had."""

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class ColdStart(msgspec.Struct, frozen=True, gc=False):
    """What somebody unknown gets."""

    items: tuple[Item, ...]
    as_of: datetime
    model_version: int
    v: int

    def answer(self, customer_id: str) -> Recommendations:
        """As the answer about one customer."""
        return Recommendations(
            customer_id=customer_id,
            items=self.items,
            as_of=self.as_of,
            model_version=self.model_version,
            known=False,
        )


class Withdrawn(msgspec.Struct, frozen=True, gc=False):
    """What may not be recommended now."""

    version: int
    items: frozenset[str]
    v: int = VERSION


class _Similar(msgspec.Struct, frozen=True, gc=False):
    item_id: str
    items: tuple[tuple[str, float], ...]
    as_of: datetime
    v: int


class _Popular(msgspec.Struct, frozen=True, gc=False):
    items: tuple[Item, ...]
    as_of: datetime
    v: int


class _CatalogueEntry(msgspec.Struct, frozen=True, gc=False):
    category: str | None = None


class _Version(msgspec.Struct, frozen=True, gc=False):
    v: int


_Document = TypeVar("_Document", Recommendations, ColdStart, Withdrawn, _Similar, _Popular)

_VIEW: Final = msgspec.json.Decoder(Recommendations)
_COLD_START: Final = msgspec.json.Decoder(ColdStart)
_WITHDRAWN: Final = msgspec.json.Decoder(Withdrawn)
_SIMILAR: Final = msgspec.json.Decoder(_Similar)
_POPULAR: Final = msgspec.json.Decoder(_Popular)
_ENTRY: Final = msgspec.json.Decoder(_CatalogueEntry)
_VERSION: Final = msgspec.json.Decoder(_Version)


def _decode(decoder: "msgspec.json.Decoder[_Document]", key: str, document: bytes) -> _Document:
    try:
        decoded = decoder.decode(document)
    except msgspec.DecodeError as error:
        raise unusable(key, document, error) from error
    if decoded.v > VERSION:
        raise unusable(key, document, None)
    return decoded


def decode_view(key: str, document: bytes) -> Recommendations:
    """The answer in a customer's view. Raises BrokenDocumentError, NewerDocumentError."""
    return _decode(_VIEW, key, document)


def decode_cold_start(key: str, document: bytes) -> ColdStart:
    """What somebody unknown gets. Raises BrokenDocumentError, NewerDocumentError."""
    return _decode(_COLD_START, key, document)


def decode_withdrawn(key: str, document: bytes) -> Withdrawn:
    """What may not be recommended. Raises BrokenDocumentError, NewerDocumentError."""
    return _decode(_WITHDRAWN, key, document)


def decode_similar(key: str, document: bytes) -> ItemList:
    """What is bought together with an item, each `because` of that one. Raises as `decode_view`."""
    decoded = _decode(_SIMILAR, key, document)
    reason = f"because:{decoded.item_id}"
    items = tuple(Item(item_id, score, reason) for item_id, score in decoded.items)
    return ItemList(items, decoded.as_of)


def decode_popular(key: str, document: bytes) -> ItemList:
    """What sells best. Raises as `decode_view`."""
    decoded = _decode(_POPULAR, key, document)
    return ItemList(decoded.items, decoded.as_of)


def decode_category(key: str, entry: bytes) -> str | None:
    """The category in one item's entry of the catalogue. Raises BrokenDocumentError."""
    try:
        return _ENTRY.decode(entry).category
    except msgspec.DecodeError as error:
        raise unusable(key, entry, error) from error


def unusable(key: str, document: bytes, cause: Exception | None) -> DocumentError:
    """The error that says why a document can not be used and what to do."""
    try:
        version = _VERSION.decode(document).v
    except msgspec.DecodeError:
        version = 0
    if version > VERSION:
        return NewerDocumentError(
            f"{key} is a version {version} document and this livesegments knows version {VERSION}: "
            "upgrade livesegments in this application"
        )
    return BrokenDocumentError(
        f"{key} is not a livesegments document ({cause}): check that the prefix is the worker's and that nothing else "
        "writes under it; the worker replaces it at its next refresh"
    )
