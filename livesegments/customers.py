"""Everything that is known of one customer: view, segment, the row's own numbers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from msgspec import to_builtins
from pydantic import TypeAdapter, ValidationError

from consumer.event_columns import Attributes
from consumer.layout import MISSING_TIME
from contracts.errors import LivesegmentsError
from contracts.events import Identifier
from contracts.money import from_millionths
from contracts.times import from_micros, rfc3339, to_micros
from livesegments.explaining import Explainer, Explanation
from livesegments.records import Records, count_partitions, read_record
from recommender.answers import Recommendations
from recommender.reader import CustomerReader

_ID: Final[TypeAdapter[str]] = TypeAdapter(Identifier)


class CustomerIdError(LivesegmentsError):
    """No event can have that customer id."""


@dataclass(frozen=True, slots=True)
class Totals:
    """A row in plain values; money in the deployment's currency."""

    first_purchase_at: datetime | None
    last_purchase_at: datetime | None
    orders: int
    returns: int
    spend: float
    refunds: float
    units: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer as of now."""

    customer_id: str
    answer: Recommendations
    """What applications get; its `known` is False where no view stands in Redis."""
    totals: Totals | None
    """None where there is no row."""
    previous: str | None
    """The name of the segment before."""
    explanation: Explanation | None = None
    """None where there is no row."""


def checked_id(text: str) -> str:
    """The customer id, if it can be one. Raises CustomerIdError."""
    try:
        return _ID.validate_python(text)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise CustomerIdError(f"{text!r} can not be a customer id: {reason}") from None


def look_up(customer_id: str, reader: CustomerReader, explainer: Explainer) -> Customer:
    """All that is known. Raises CustomerIdError, and where Redis does not answer."""
    checked_id(customer_id)
    partitions = count_partitions(explainer.state)
    answer = reader.get(customer_id)
    row_of = answer.joined_to or customer_id
    record = None if partitions is None else read_record(explainer.state, row_of, partitions)
    previous = answer.segment.previous if answer.segment else None
    return Customer(
        customer_id,
        answer,
        None if record is None else totals_of(record),
        None if previous is None else explainer.names.name(previous),
        None if record is None else explainer.explain(record),
    )


def as_json(customer: Customer) -> dict[str, Any]:
    """The customer as a JSON object: the view's names, and the row's under `row`."""
    answer, totals, segment = customer.answer, customer.totals, customer.answer.segment
    return {
        "customer_id": customer.customer_id,
        **({"joined_to": answer.joined_to} if answer.joined_to is not None else {}),
        "known": answer.known or totals is not None,
        "segment": segment
        and {
            "id": segment.id,
            "name": segment.name,
            "since": _text(segment.since),
            "previous": segment.previous,
            "cause": segment.cause,
            **({"by_rule": True} if segment.by_rule else {}),
        },
        "items": [[item.item_id, item.score, item.reason] for item in answer.items],
        "forecast": None if answer.forecast is None else to_builtins(answer.forecast),
        "as_of": _text(answer.as_of),
        **(_explained(customer.explanation) if customer.explanation else {}),
        "model_version": answer.model_version,
        "row": totals
        and {
            "first_purchase_at": _text(totals.first_purchase_at),
            "last_purchase_at": _text(totals.last_purchase_at),
            "orders": totals.orders,
            "returns": totals.returns,
            "spend": totals.spend,
            "refunds": totals.refunds,
            "units": totals.units,
            "attributes": dict(totals.attributes),
        },
    }


def _explained(explanation: Explanation) -> dict[str, Any]:
    told = explanation.reasons
    return {
        "reasons": list(told.sentences) if told else [],
        "moves": {
            kind: {"amount": move.amount, "segment_id": move.segment}
            for kind, move in (("days_without_order", told.silence), ("more_orders", told.orders))
            if move is not None
        }
        if told
        else {},
        "rhythm": {
            "usual_gap_days": explanation.usual_gap_days,
            "overdue": explanation.overdue,
            "next_expected_at": _text(explanation.next_expected_at),
            "seasonal": explanation.seasonal,
        },
        "expected": list(explanation.expected),
        "audiences": list(explanation.audiences),
        "outliers": list(explanation.outliers),
    }


def totals_of(record: Records) -> Totals:
    """One customer's row in plain values."""
    row = record.header[0]
    return Totals(
        first_purchase_at=_moment(int(row["first_at"])),
        last_purchase_at=_moment(int(row["last_at"])),
        orders=int(row["orders"]),
        returns=int(row["returns"]),
        spend=from_millionths(int(row["spend"])),
        refunds=from_millionths(int(row["refunds"])),
        units=int(row["units"]),
        attributes=record.attributes[0],
    )


def _moment(micros: int) -> datetime | None:
    return None if micros == MISSING_TIME else from_micros(micros)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(to_micros(moment))
