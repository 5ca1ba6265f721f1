"""Why an event can not be used."""

from dataclasses import dataclass
from enum import StrEnum


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
