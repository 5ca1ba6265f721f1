"""Events on their way from a request to the log: judged as a worker would, appended, acknowledged."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from contracts.events import Erase, encode_event
from contracts.times import from_micros
from logs.base import BatchLogWriter, LogError, RecordTooLargeError

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

    def __init__(self, writer: BatchLogWriter, log: str, judge: Judge) -> None:
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
        places: list[int] = []
        records: list[tuple[bytes, bytes]] = []
        for place, customer_id in judged.customer_ids.items():
            if place in judged.erasures:
                if erasing is None:
                    verdicts[place] = Verdict(place, "refused", _event_id(messages[place]), "scope", NO_ERASING)
                    continue
                erasing(customer_id)
            places.append(place)
            records.append((customer_id.encode(), messages[place]))
        failed = self._writer.append_all(self._log, records, ACKNOWLEDGED_SECONDS)
        for number, place in enumerate(places):
            error = failed.get(number)
            verdicts[place] = (
                Verdict(place, "accepted", _event_id(messages[place]))
                if error is None
                else self._failed(place, messages[place], error)
            )
        return [verdicts[place] for place in range(len(messages))]

    def erase(self, customer_id: str, now: int) -> Erasure:
        """Publish that the customer is to be forgotten. Raises LogError."""
        event_id = f"erase-{uuid.uuid4()}"
        event = Erase(event_id=event_id, customer_id=customer_id, occurred_at=from_micros(now))
        record = customer_id.encode(), encode_event(event)
        failed = self._writer.append_all(self._log, [record], ACKNOWLEDGED_SECONDS)
        if failed:
            raise failed[0]
        return Erasure(event_id, now)

    def _failed(self, place: int, message: bytes, error: LogError) -> Verdict:
        if isinstance(error, RecordTooLargeError):
            return Verdict(place, "refused", _event_id(message), "too-large", str(error))
        return Verdict(place, "failed", _event_id(message), "log", str(error))


def _event_id(message: bytes) -> str | None:
    try:
        return _name(message).event_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
