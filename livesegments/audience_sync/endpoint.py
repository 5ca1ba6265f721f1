"""Deliveries as signed requests to an endpoint, some contacts in each, as webhooks are signed."""

import asyncio
import random
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Final

import msgspec

from contracts.errors import LivesegmentsError
from contracts.times import rfc3339
from livesegments.audience_sync.ledger import CHANGES, Delivery, Row, SyncLedger
from livesegments.audience_sync.targets import Known
from livesegments.webhooks.endpoints import Endpoint
from livesegments.webhooks.retrying import Meaning, Outcome, RetryPolicy
from livesegments.webhooks.sending import Sender

VERSION: Final = 1
TYPE: Final = "audience.sync"
TRIES: Final = 4
LONGEST_WAIT: Final = 60.0
"""Seconds that are waited between tries; an endpoint that asks for more is tried with the next sync."""
_encode: Final = msgspec.json.Encoder().encode


class NotTakenInError(LivesegmentsError):
    """The endpoint did not take a part in."""


@dataclass(frozen=True, slots=True)
class EndpointTarget:
    """See Target. A delivery goes out in parts, one after the other, each until it is taken in.

    Parameters:
        endpoint: where; its name is that of the sync.
        keys: that sign.
        context: whom to believe who they are.
        timeout: seconds that a request may take.
        about: what each part says besides.
        wait: seconds between tries.
    """

    endpoint: Endpoint
    keys: Sequence[bytes] = field(repr=False)
    context: ssl.SSLContext
    timeout: float
    about: dict[str, Any]
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    wait: Callable[[float], Any] = asyncio.sleep

    def known(self) -> Known | None:
        """See Target: nobody can look into a receiver."""
        return None

    def hand_on(self, delivery: Delivery, ledger: SyncLedger) -> dict[str, Any]:
        """See Target. What was taken in is noted part by part; after a crash one part may come again, with its id."""
        asyncio.run(self._send_all(delivery, ledger))
        return {
            "sequence": delivery.sequence,
            "kind": delivery.kind,
            "at": rfc3339(delivery.at),
            "members": delivery.members,
            "left_out": delivery.left_out,
            "counts": delivery.counts,
            "parts": _parts(delivery),
        }

    async def _send_all(self, delivery: Delivery, ledger: SyncLedger) -> None:
        sender = Sender(self.endpoint, self.keys, self.context, self.timeout)
        try:
            for number, rows in enumerate(_cut(delivery, ledger), start=1):
                if number > delivery.parts_done:
                    message_id = f"sync-{ledger.stream}-{delivery.sequence:06d}-{number:05d}"
                    await self._send(sender, message_id, self._body(delivery, ledger.stream, number, rows))
                    ledger.part_done(delivery, number)
        finally:
            await sender.close()

    async def _send(self, sender: Sender, message_id: str, body: bytes) -> None:
        draw = random.Random()
        for tries in range(1, TRIES + 1):
            outcome = (await sender.send(message_id, body)).outcome
            if outcome.meaning is Meaning.DELIVERED:
                return
            wait = max(outcome.retry_after, self.policy.delay(tries, draw))
            if outcome.meaning is not Meaning.FAILED or tries == TRIES or wait > LONGEST_WAIT:
                raise self._not_taken_in(outcome)
            await self.wait(wait)

    def _not_taken_in(self, outcome: Outcome) -> NotTakenInError:
        return NotTakenInError(
            f"{self.endpoint.shown_url} did not take the audience in: {outcome.error}; what is due stays, and goes on"
            " with the next sync"
        )

    def _body(self, delivery: Delivery, stream: str, number: int, rows: Sequence[Row]) -> bytes:
        contact, *columns = delivery.headers
        told: dict[str, list[dict[str, str]]] = {
            "members" if change == "full" else change: [
                {contact: row.contact, **dict(zip(columns, row.cells, strict=False))}
                for row in rows
                if row.change == change
            ]
            for change in CHANGES
            if (change == "full") == (delivery.kind == "full")
        }
        return _encode(
            {
                "type": TYPE,
                "timestamp": rfc3339(delivery.at),
                "data": {
                    "v": VERSION,
                    "sync": self.endpoint.name,
                    **self.about,
                    "stream": stream,
                    "sequence": delivery.sequence,
                    "kind": delivery.kind,
                    "part": number,
                    "parts": _parts(delivery),
                    **told,
                },
            }
        )


def _parts(delivery: Delivery) -> int:
    return max(1, -(-sum(delivery.counts.values()) // delivery.part_rows))


def _cut(delivery: Delivery, ledger: SyncLedger) -> Iterator[Sequence[Row]]:
    """The rows by parts; one without any where an empty full list is told."""
    rows = chain.from_iterable(ledger.rows(change) for change in CHANGES if change in delivery.counts)
    yield tuple(islice(rows, delivery.part_rows))
    while part := tuple(islice(rows, delivery.part_rows)):
        yield part
