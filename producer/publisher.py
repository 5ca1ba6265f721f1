"""EventPublisher: what an application imports to get its customers' events onto the log."""

import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Protocol, Self

from pydantic import BaseModel, ValidationError

from contracts.errors import LivesegmentsError
from contracts.events import MAX_MESSAGE_BYTES, AttributeValue, Event, Line, as_event, encode_event
from contracts.keys import LogNames
from contracts.money import MILLIONTHS
from logs.base import LogError, Logs, LogSpec, Placed
from logs.kafka_security import KafkaSecurity
from logs.open import open_logs
from producer.deliveries import Deliveries, FailedEvent, PublishError

_SHOWN = 5


class InvalidEventError(LivesegmentsError):
    """The event breaks the contract and was not sent; the text names it and every field that is wrong."""

    def __init__(self, event_id: str, reason: str) -> None:
        self.event_id = event_id
        self.reason = reason
        super().__init__(f"event {event_id!r} was not published: {reason}")


class Recommended(Protocol):
    """An item of a reader's answer, with the reason for which it was recommended."""

    @property
    def item_id(self) -> str:
        """Which item."""

    @property
    def reason(self) -> str:
        """The reason code, as in the answer."""


class PublisherClosedError(LivesegmentsError):
    """The publisher was closed before: open another one."""


class EventPublisher:
    """Checks events against the contract and appends them to the log of customer events. Thread-safe.

    Events of one customer go to one partition (murmur2 of the id) and keep their order. Delivery runs in the
    background; what fails is raised by the next `flush` or `close`, so use it as a context manager:

    >>> with EventPublisher("memory://") as publisher:
    ...     placed = publisher.purchase(
    ...         customer_id="17850",
    ...         order_id="536365",
    ...         lines=[{"item_id": "85123A", "quantity": 6, "unit_price": 2.55}],
    ...         currency="GBP",
    ...     )
    >>> placed.result().position
    0
    """

    def __init__(
        self,
        logs: Logs | str,
        *,
        security: KafkaSecurity | None = None,
        log: str = LogNames().events,
        partitions: int = 12,
        on_error: Callable[[FailedEvent], None] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Connect, and create the log where it is missing.

        Args:
            logs: An open log server, or the URL of one (kafka://host:port, redis://host:port/db), closed with this.
            security: How to log in to Kafka and whom to trust; only where `logs` is a URL.
            log: The log's name.
            partitions: How many the log gets if it has to be created.
            on_error: Called with every event that failed, on a background thread, as soon as it has.
            clock: Stamps events that are given no time.

        Raises LogUnavailableError where the server does not answer.
        """
        self._owned = open_logs(logs, security=security) if isinstance(logs, str) else None
        server = self._owned or logs
        assert not isinstance(server, str)
        self._log = log
        self._clock = clock
        self._deliveries = Deliveries(on_error)
        self._lock = threading.Lock()
        self._closed = False
        try:
            server.create(LogSpec(log, partitions=partitions))
            self._writer = server.writer()
        except BaseException:
            if self._owned is not None:
                self._owned.close()
            raise

    def publish(self, event: Event | Mapping[str, Any]) -> Future[Placed]:
        """Check an event and queue it; the future ends when every replica of the log has it.

        A mapping has the fields of contracts.events; times may be datetimes with a zone, prices Decimals.
        Raises InvalidEventError, PublisherClosedError, and PublishError where the log refuses the event at once.
        """
        checked = _checked(event)
        value = encode_event(checked)
        if len(value) > MAX_MESSAGE_BYTES:
            raise InvalidEventError(
                checked.event_id, f"it takes {len(value)} bytes; at most {MAX_MESSAGE_BYTES} may be"
            )
        if self._closed:
            raise PublisherClosedError(f"event {checked.event_id!r} was not published: this publisher is closed")
        try:
            future = self._writer.append(self._log, checked.customer_id.encode(), value)
        except LogError as error:
            raise PublishError([FailedEvent(checked.event_id, checked.customer_id, error)]) from error
        self._deliveries.track(checked.event_id, checked.customer_id, future)
        return future

    def purchase(
        self,
        *,
        customer_id: str,
        order_id: str,
        lines: Iterable[Line | Mapping[str, Any]],
        currency: str,
        occurred_at: datetime | str | None = None,
        event_id: str | None = None,
    ) -> Future[Placed]:
        """Publish an order. Its event id, unless given, follows from the order id: publishing it again is harmless."""
        return self.publish(
            {
                "type": "purchase",
                "event_id": event_id or f"{order_id}:purchase",
                "customer_id": customer_id,
                "occurred_at": occurred_at or self._clock(),
                "order_id": order_id,
                "lines": list(lines),
                "currency": currency,
            }
        )

    def returned(
        self,
        *,
        customer_id: str,
        order_id: str,
        lines: Iterable[Line | Mapping[str, Any]],
        currency: str,
        event_id: str,
        occurred_at: datetime | str | None = None,
    ) -> Future[Placed]:
        """Publish what came back, at what price. An order may come back in parts: each needs an event id of its own."""
        return self.publish(
            {
                "type": "return",
                "event_id": event_id,
                "customer_id": customer_id,
                "occurred_at": occurred_at or self._clock(),
                "order_id": order_id,
                "lines": list(lines),
                "currency": currency,
            }
        )

    def profile(
        self,
        *,
        customer_id: str,
        attributes: Mapping[str, AttributeValue],
        occurred_at: datetime | str | None = None,
        event_id: str | None = None,
    ) -> Future[Placed]:
        """Publish what is known of a customer besides purchases; attributes not named keep their values."""
        return self.publish(
            {
                "type": "profile",
                "event_id": event_id or str(uuid.uuid4()),
                "customer_id": customer_id,
                "occurred_at": occurred_at or self._clock(),
                "attributes": dict(attributes),
            }
        )

    def shown(
        self,
        *,
        customer_id: str,
        items: Iterable[str | Recommended],
        source: str = "recommendations",
        occurred_at: datetime | str | None = None,
        event_id: str | None = None,
    ) -> Future[Placed]:
        """Publish that a customer was shown these items: an answer's, `answer.items` or `answer.shelf("discover")`.

        `source` names the shelf. Items that are given as ids alone count without a reason.
        """
        what = {"kind": "shown", "customer_id": customer_id, "source": source}
        return self._interaction(what, items, occurred_at, event_id)

    def clicked(
        self,
        *,
        customer_id: str,
        items: Iterable[str | Recommended],
        source: str = "recommendations",
        occurred_at: datetime | str | None = None,
        event_id: str | None = None,
    ) -> Future[Placed]:
        """Publish that a customer clicked items; a click counts for the newest showing of the item on that shelf."""
        what = {"kind": "clicked", "customer_id": customer_id, "source": source}
        return self._interaction(what, items, occurred_at, event_id)

    def _interaction(
        self,
        what: Mapping[str, str],
        items: Iterable[str | Recommended],
        occurred_at: datetime | str | None,
        event_id: str | None,
    ) -> Future[Placed]:
        given = list(items)
        reasons = ["" if isinstance(item, str) else item.reason for item in given]
        return self.publish(
            {
                **what,
                "type": "interaction",
                "event_id": event_id or str(uuid.uuid4()),
                "occurred_at": occurred_at or self._clock(),
                "items": [item if isinstance(item, str) else item.item_id for item in given],
                "reasons": reasons if any(reasons) else [],
            }
        )

    def erase(
        self, *, customer_id: str, occurred_at: datetime | str | None = None, event_id: str | None = None
    ) -> Future[Placed]:
        """Publish that a customer is to be forgotten."""
        return self.publish(
            {
                "type": "erase",
                "event_id": event_id or str(uuid.uuid4()),
                "customer_id": customer_id,
                "occurred_at": occurred_at or self._clock(),
            }
        )

    def alias(
        self,
        *,
        customer_id: str,
        alias_of: str | None,
        occurred_at: datetime | str | None = None,
        event_id: str | None = None,
    ) -> Future[Placed]:
        """Publish that an id is another one of a customer's; `alias_of` None: that it is on its own again."""
        return self.publish(
            {
                "type": "alias",
                "event_id": event_id or str(uuid.uuid4()),
                "customer_id": customer_id,
                "occurred_at": occurred_at or self._clock(),
                "alias_of": alias_of,
            }
        )

    def flush(self, timeout: float | None = None) -> None:
        """Wait until every event published so far has ended.

        Raises PublishError with every event that failed since the last flush, and LogUnavailableError after `timeout`
        seconds.
        """
        self._writer.flush(timeout)
        self._deliveries.settle(timeout)

    def close(self, timeout: float | None = None) -> None:
        """Flush and let go of the connection. Raises as `flush` does. Closing twice is fine."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        try:
            self._writer.close(timeout)
            self._deliveries.settle(timeout)
        finally:
            if self._owned is not None:
                self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        # The block's own error is the news; what failed to arrive is told beside it.
        try:
            self.close()
        except LivesegmentsError as unpublished:
            error.add_note(str(unpublished))


def _checked(event: Event | Mapping[str, Any]) -> Event:
    try:
        return as_event(event if isinstance(event, BaseModel) else _plain_prices(event))
    except ValidationError as error:
        given = event.get("event_id") if isinstance(event, Mapping) else None
        raise InvalidEventError(str(given) if given is not None else "(no event_id)", _reasons(error)) from error


def _plain_prices(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with Decimal prices as floats; a Decimal that is not exact in millionths stays, to be refused."""
    fields = dict(event)
    lines = fields.get("lines")
    if isinstance(lines, list | tuple):
        fields["lines"] = [_plain_price(line) for line in lines]
    return fields


def _plain_price(line: Any) -> Any:
    if not isinstance(line, Mapping) or not isinstance(line.get("unit_price"), Decimal):
        return line
    price = line["unit_price"]
    exact = price.is_finite() and price * MILLIONTHS == (price * MILLIONTHS).to_integral_value()
    return {**line, "unit_price": float(price)} if exact else line


def _reasons(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    told = []
    for problem in problems[:_SHOWN]:
        # The first place is the tag of the union: the event's type, which the reader knows.
        place = ".".join(str(part) for part in problem["loc"][1:])
        message = problem["msg"].removeprefix("Value error, ")
        told.append(f"{place}: {message}" if place else message)
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return "; ".join(told) + more
