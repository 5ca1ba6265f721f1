"""What is sent: a record of the log of changes as a message of Standard Webhooks.

A message has an id by which a receiver knows a repeat, a type, the time at which it happened, and the record as data,
byte for byte.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import msgspec

TYPES: Final = {
    "moved": "customer.moved",
    "entered": "audience.entered",
    "left": "audience.left",
    "born": "segment.born",
    "split": "segment.split",
    "restored": "segment.restored",
    "merged": "segment.merged",
    "gone": "segment.gone",
}
"""By the kinds on the log segment-changes."""
SEVERAL: Final = "changes"
"""Type of a request to an endpoint that takes several changes at once."""
TEST: Final = "test"
# The signed text is id.timestamp.body: an id with a dot in it could be taken apart otherwise than it was put together.
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")


@dataclass(frozen=True, slots=True)
class Message:
    """One change, ready to be sent."""

    id: str
    type: str
    at: str
    data: bytes
    """JSON."""
    whom: str
    """What its order holds for: the customer, or the segment."""
    segments: frozenset[int]
    """That it names."""
    audience: str | None


class _Told(msgspec.Struct):
    """What of a change decides where it goes, and when."""

    kind: str
    change_id: str
    at: str
    customer_id: str | None = None
    audience: str | None = None
    segment_id: int | None = None
    from_segments: int | list[tuple[int, float]] | None = msgspec.field(default=None, name="from")
    to_segments: int | list[tuple[int, float]] | None = msgspec.field(default=None, name="to")


_decode: Final = msgspec.json.Decoder(_Told).decode
_encode: Final = msgspec.json.Encoder().encode


def read_message(value: bytes) -> Message | None:
    """The message of a record; None where it is none of ours, or of a kind that a newer version tells of."""
    try:
        told = _decode(value)
        value.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    kind = TYPES.get(told.kind)
    if kind is None:
        return None
    segments = _ids(told.from_segments) | _ids(told.to_segments) | _ids(told.segment_id)
    whom = f"segment {told.segment_id}" if told.customer_id is None else f"customer {told.customer_id}"
    return Message(_fit(told.change_id), kind, told.at, value, whom, segments, told.audience)


def _ids(said: int | list[tuple[int, float]] | None) -> frozenset[int]:
    if said is None:
        return frozenset()
    return frozenset({said}) if isinstance(said, int) else frozenset(segment for segment, _ in said)


def _fit(change_id: str) -> str:
    """The id as a header; of one that can not be, a hash, which is the same for a repeat."""
    if _ID.fullmatch(change_id):
        return change_id
    return f"change-{blake2b(change_id.encode(errors='surrogatepass'), digest_size=16).hexdigest()}"


def body_of(messages: Sequence[Message], *, several: bool) -> tuple[str, bytes]:
    """Id and body of a request: of one message, or, where the endpoint takes several, of a list of them."""
    if not several:
        (message,) = messages
        return message.id, _encode(_payload(message))
    digest = blake2b("\n".join(message.id for message in messages).encode(), digest_size=16).hexdigest()
    told = [{"id": message.id, **_payload(message)} for message in messages]
    return f"changes-{digest}", _encode({"type": SEVERAL, "timestamp": messages[-1].at, "data": told})


def test_body(at: str) -> bytes:
    """Of a request that only shows that requests arrive."""
    return _encode({"type": TEST, "timestamp": at, "data": {"message": "sent by `livesegments webhooks test`"}})


def _payload(message: Message) -> dict[str, Any]:
    return {"type": message.type, "timestamp": message.at, "data": msgspec.Raw(message.data)}
