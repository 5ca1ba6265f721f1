"""What CustomerReader answers: documents decoded straight into small frozen structs.

They have the names and types of `contracts.documents`, the authority; tests hold them equal.
"""

from datetime import datetime
from typing import Literal

import msgspec

from contracts.documents import VERSION
from contracts.errors import LivesegmentsError

Shelf = Literal["recommendations", "discover", "buy_again"]
"""All of the list; only items never bought; only items bought before."""


class DocumentError(LivesegmentsError):
    """A stored document can not be used."""


class BrokenDocumentError(DocumentError):
    """A stored document is not what livesegments writes."""


class NewerDocumentError(DocumentError):
    """A stored document was written by a newer livesegments."""


class Item(msgspec.Struct, frozen=True, array_like=True):
    """One recommended item."""

    item_id: str
    score: float
    """Expected share of the customer's next purchases; comparable within one list."""
    reason: str
    """`again`: bought before. `popular`: sells in the customer's segment, never bought."""


class Segment(msgspec.Struct, frozen=True):
    """The segment a customer is in."""

    id: int
    name: str
    since: datetime
    cause: str
    """What made the customer move here: purchase, return, profile, time or model."""
    previous: int | None = None
    """Segment id before this one."""
    by_rule: bool = False
    """Given by the naming table to this one customer, not learnt: there is little data yet."""


class Recommendations(msgspec.Struct, frozen=True):
    """What there is for one customer."""

    customer_id: str
    items: tuple[Item, ...]
    """Best first."""
    segment: Segment | None = None
    audiences: tuple[str, ...] = ()
    """The rule segments that the customer is in."""
    as_of: datetime | None = None
    """When this was computed; None where nothing has been computed yet."""
    model_version: int = 0
    known: bool = True
    """False: nothing is known of this customer, and the items are what everybody buys."""
    v: int = VERSION

    def shelf(self, shelf: Shelf) -> tuple[Item, ...]:
        """The items of one shelf, best first."""
        if shelf == "recommendations":
            return self.items
        again = shelf == "buy_again"
        return tuple(item for item in self.items if (item.reason == "again") is again)


class _ColdStart(msgspec.Struct, frozen=True):
    items: tuple[Item, ...]
    as_of: datetime
    model_version: int
    v: int


class _Version(msgspec.Struct, frozen=True):
    v: int


_VIEW = msgspec.json.Decoder(Recommendations)
_COLD_START = msgspec.json.Decoder(_ColdStart)
_VERSION = msgspec.json.Decoder(_Version)


def decode_view(key: str, document: bytes) -> Recommendations:
    """The answer in a customer's view. Raises BrokenDocumentError, NewerDocumentError."""
    try:
        answer = _VIEW.decode(document)
    except msgspec.DecodeError as error:
        raise unusable(key, document, error) from error
    if answer.v > VERSION:
        raise unusable(key, document, None)
    return answer


def decode_cold_start(key: str, document: bytes | None, customer_id: str) -> Recommendations:
    """The answer for somebody unknown; an empty one before anything has been written.

    Raises BrokenDocumentError, NewerDocumentError.
    """
    if document is None:
        return Recommendations(customer_id=customer_id, items=(), known=False)
    try:
        cold = _COLD_START.decode(document)
    except msgspec.DecodeError as error:
        raise unusable(key, document, error) from error
    if cold.v > VERSION:
        raise unusable(key, document, None)
    return Recommendations(
        customer_id=customer_id, items=cold.items, as_of=cold.as_of, model_version=cold.model_version, known=False
    )


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
