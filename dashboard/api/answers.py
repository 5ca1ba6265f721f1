"""What the API answers, as its OpenAPI document says it; what is sent is encoded by faster code of the same shape."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.documents import Membership, RecommendedItem
from contracts.events import Identifier, Timestamp

EXAMPLE_CUSTOMER: dict[str, Any] = {
    "customer_id": "17850",
    "items": [["85123A", 0.82, "again"], ["71053", 0.41, "because:85123A"]],
    "segment": {
        "id": 3,
        "name": "Champions",
        "since": "2026-11-02T09:15:00Z",
        "cause": "purchase",
        "previous": 1,
        "by_rule": False,
    },
    "audiences": ["Bulk buyers"],
    "as_of": "2026-11-21T18:40:12.250000Z",
    "model_version": 12,
    "known": True,
    "stale": False,
    "v": 1,
}


class Answer(BaseModel):
    """Unknown fields may come with newer versions."""

    model_config = ConfigDict(extra="allow")


class CustomerAnswer(Answer):
    """Segment and recommendations of one customer."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_CUSTOMER]})

    customer_id: str
    items: list[RecommendedItem]
    """Item id, score, reason: again, because:<item>, popular, trending, new. Scores compare within one list."""
    segment: Membership | None
    audiences: list[str]
    as_of: Timestamp | None
    model_version: int
    known: bool
    """False: nothing is known of this customer, and the items are what everybody buys."""
    stale: bool
    """True: Redis does not answer, and this is the last there was."""
    joined_to: str | None = None
    """The id asked for is another one of this customer's, of whom all this is."""
    v: int


class CustomersAnswer(Answer):
    """Several customers, in the order in which they were asked for."""

    customers: list[CustomerAnswer]


class BatchGet(BaseModel):
    """Which customers, and which of their items."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"customer_ids": ["17850", "12346"]}]})

    customer_ids: Annotated[list[Identifier], Field(min_length=1, max_length=1000)]
    n: Annotated[int | None, Field(ge=1, le=20)] = None
    exclude: Annotated[list[Identifier], Field(max_length=1000)] = []
    shelf: Literal["recommendations", "discover", "buy_again"] = "recommendations"
    category: Annotated[str | None, Field(min_length=1, max_length=128)] = None


class ItemsAnswer(Answer):
    """Items that go with one."""

    item_id: str
    items: list[RecommendedItem]
    as_of: Timestamp | None
    stale: bool


class VerdictAnswer(Answer):
    """What became of one event."""

    place: int
    """In the request, from 0 on."""
    status: Literal["accepted", "refused", "failed"]
    """accepted: it stands on the log. failed: it may or may not; publishing it again is harmless."""
    event_id: str | None = None
    reason: str | None = None
    message: str | None = None


class EventsAnswer(Answer):
    """What became of every event, in order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "accepted": 1,
                    "refused": 1,
                    "failed": 0,
                    "verdicts": [
                        {"place": 0, "status": "accepted", "event_id": "o-1:purchase"},
                        {
                            "place": 1,
                            "status": "refused",
                            "event_id": "o-2:purchase",
                            "reason": "invalid",
                            "message": "lines.0.quantity: Input should be greater than or equal to 1",
                        },
                    ],
                }
            ]
        }
    )

    accepted: int
    refused: int
    failed: int
    verdicts: list[VerdictAnswer]


class ErasureAnswer(Answer):
    """The erase event that stands on the log."""

    event_id: str
    at: Timestamp


class MemberAnswer(Answer):
    """One customer of a segment: the columns of every table of customers (docs/http-api.md)."""

    customer_id: str
    segment_id: int
    segment_name: str | None
    segment_since: Timestamp | None
    previous_segment_id: int | None
    cause: str | None
    audiences: list[str]
    first_purchase_at: Timestamp | None
    last_purchase_at: Timestamp | None
    orders: int
    returns: int
    units: int
    spend: float
    refunds: float
    attributes: dict[str, Any]


class MembersAnswer(Answer):
    """A page of a segment's customers."""

    segment_id: int
    customers: list[MemberAnswer]
    next: str | None
    """The cursor of the next page; null: this was the last one. A page may be shorter than asked for, even empty."""
    masked: bool
    """Whether ids are masked."""
