"""Events that could not be used: why, where they stood, and their bytes, so that nothing is lost."""

import base64
from dataclasses import dataclass
from enum import StrEnum

from contracts.documents import DeadLetter


class Reason(StrEnum):
    """Why an event could not be used."""

    EMPTY = "empty"
    TOO_LARGE = "too-large"
    NOT_JSON = "not-json"
    UNKNOWN_TYPE = "unknown-type"
    INVALID = "invalid"
    NEWER_VERSION = "newer-version"
    FUTURE = "future"
    CURRENCY = "currency"
    AMOUNT = "amount"
    PARTITION = "partition"


@dataclass(frozen=True, slots=True)
class Refused:
    """One record of a batch that could not be used."""

    place: int
    """Its place in the batch."""
    reason: Reason
    message: str


def dead_letter(log: str, partition: int, position: int, value: bytes | None, refused: Refused) -> bytes:
    """The record for the dead-letter log."""
    letter = DeadLetter(
        log=log,
        partition=partition,
        offset=position,
        reason=refused.reason.value,
        message=refused.message,
        bytes=base64.b64encode(value or b""),
    )
    return letter.model_dump_json().encode()
