"""The record by which a joined id's partition tells the partition of the id that it is joined to what it knows.

It stands on the log of events, keyed by whom it is for, and is no part of the contract with producers. It is published
before the checkpoint that passes what caused it, and says as of which record of the joined id's partition it holds: so
it may be published again, by anybody who has read as far, and only a later one is news.
"""

import base64
import binascii
from typing import Annotated, Final

import msgspec

from consumer.bonds import Part, Since, id_key, pack_parts, read_parts
from contracts import events as contract
from contracts.times import from_micros, rfc3339

TYPE: Final = "hand-over"

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=contract.MAX_ID_LENGTH)]


class HandOver(msgspec.Struct, tag=TYPE, gc=False):
    """What an id that is joined to a customer hands over; no parts: it no longer is."""

    event_id: str
    customer_id: _Id
    """Whom it is for."""
    occurred_at: str
    """Of the event that caused it."""
    deployment: str
    """Key prefix of whoever says it: a rebuild on the same log has rows of its own."""
    joined_id: _Id
    since: Since
    cause: int
    """Type of the event that caused it."""
    packed: str
    """Of `parts`."""

    def parts(self) -> list[Part]:
        """Raises ValueError where a newer version has packed them otherwise, or somebody else; rows are unchecked."""
        try:
            parts = read_parts(base64.b64decode(self.packed, validate=True))
        except (msgspec.MsgspecError, binascii.Error) as error:
            raise ValueError(f"a hand-over that this version can not read: {error}") from error
        if parts and parts[0].id != self.joined_id:
            raise ValueError("a hand-over whose first part is not that of the joined id")
        return parts


_encode = msgspec.json.Encoder().encode


def hand_over(
    customer_id: str, joined_id: str, parts: list[Part], *, since: Since, cause: int, at: int, deployment: str
) -> bytes:
    """The record. `at`: microseconds UTC."""
    return _encode(
        HandOver(
            event_id=f"hand-over-{id_key(joined_id).hex()}-{'-'.join(map(str, since))}",
            customer_id=customer_id,
            occurred_at=rfc3339(at),
            deployment=deployment,
            joined_id=joined_id,
            since=since,
            cause=cause,
            packed=base64.b64encode(pack_parts(parts)).decode(),
        )
    )


def erasure_of(joined_id: str, customer_id: str, at: int, event: int) -> bytes:
    """The erasure of an id that is joined to a customer who was erased then, by an event with this hash.

    Always the same for the same erasure, so that it may be published again.
    """
    return contract.encode_event(
        contract.Erase(
            event_id=f"joined-{id_key(joined_id).hex()}-{event:016x}",
            customer_id=joined_id,
            occurred_at=from_micros(at),
            joined_to=customer_id,
        )
    )
