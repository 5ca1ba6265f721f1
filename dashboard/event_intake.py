"""Events on their way from a request to the log: judged as a worker would, appended, acknowledged."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from contracts.events import Erase, encode_event
from contracts.times import from_micros
from logs.base import LogError, LogUnavailableError, LogWriter, Placed, RecordTooLargeError

NO_ERASING: Final = "an erase event takes the scope customers:erase, too"
ACKNOWLEDGED_SECONDS: Final = 30.0
"""So long the log has to take a batch in."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a worker would make of some messages."""

    customer_ids: Mapping[int, str]
    """Of the valid ones, by place."""
    refused: Mapping[int, tuple[str, str]]
    """Reason and message of all others."""
    erasures: AbstractSet[int] = frozenset()
    """Those of the valid ones that have a customer forgotten."""


Judge = Callable[[Sequence[bytes], int], Judged]
"""Messages, and the time of the log in microseconds UTC."""


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one event."""

    place: int
    """In the request, from 0 on."""
    status: Literal["accepted", "refused", "failed"]
    """`accepted`: it stands on the log. `failed`: it may or may not; publishing it again is harmless."""
    event_id: str | None = None
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erase event that stands on the log."""

    event_id: str
    at: int


class _Named(msgspec.Struct):
    event_id: str | None = None


_name = msgspec.json.Decoder(_Named).decode


class EventIntake:
    """Appends to the log of events. Its methods block: they are for threads. Safe to use from several.

    Parameters:
        writer: stays open.
        log: the name of the log of events.
        judge: tells valid events from others.
    """

    def __init__(self, writer: LogWriter, log: str, judge: Judge) -> None:
        self._writer = writer
        self._log = log
        self._judge = judge

    def publish(
        self, messages: Sequence[bytes], now: int, erasing: Callable[[str], None] | None = None
    ) -> list[Verdict]:
        """Append what is valid, and wait for the acknowledgement of all; a verdict each, in order.

        `erasing` is told of each customer whom an event has forgotten, before that is appended; without it such events
        are refused.
        """
        judged = self._judge(messages, now)
        verdicts = {
            place: Verdict(place, "refused", _event_id(messages[place]), reason, message)
            for place, (reason, message) in judged.refused.items()
        }
        append, log = self._writer.append, self._log
        sent: dict[int, Future[Placed]] = {}
        for place, customer_id in judged.customer_ids.items():
            if place in judged.erasures:
                if erasing is None:
                    verdicts[place] = Verdict(place, "refused", _event_id(messages[place]), "scope", NO_ERASING)
                    continue
                erasing(customer_id)
            try:
                sent[place] = append(log, customer_id.encode(), messages[place])
            except LogError as error:
                verdicts[place] = self._failed(place, messages[place], error)
        deadline = time.monotonic() + ACKNOWLEDGED_SECONDS
        for place, future in sent.items():
            failure = _outcome(future, deadline)
            verdicts[place] = (
                Verdict(place, "accepted", _event_id(messages[place]))
                if failure is None
                else self._failed(place, messages[place], failure)
            )
        return [verdicts[place] for place in range(len(messages))]

    def erase(self, customer_id: str, now: int) -> Erasure:
        """Publish that the customer is to be forgotten. Raises LogError."""
        event_id = f"erase-{uuid.uuid4()}"
        event = Erase(event_id=event_id, customer_id=customer_id, occurred_at=from_micros(now))
        future = self._writer.append(self._log, customer_id.encode(), encode_event(event))
        error = _outcome(future, time.monotonic() + ACKNOWLEDGED_SECONDS)
        if error is not None:
            raise error
        return Erasure(event_id, now)

    def _failed(self, place: int, message: bytes, error: LogError) -> Verdict:
        if isinstance(error, RecordTooLargeError):
            return Verdict(place, "refused", _event_id(message), "too-large", str(error))
        return Verdict(place, "failed", _event_id(message), "log", str(error))


def _outcome(future: Future[Placed], deadline: float) -> LogError | None:
    try:
        error = future.exception(max(0.0, deadline - time.monotonic()))
    except FutureTimeoutError:
        return LogUnavailableError(f"the log has not acknowledged it within {ACKNOWLEDGED_SECONDS:.0f} s")
    if error is None or isinstance(error, LogError):
        return error
    raise error


def _event_id(message: bytes) -> str | None:
    try:
        return _name(message).event_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
