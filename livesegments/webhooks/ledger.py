"""What is kept of each endpoint: how far it was told, what was given up, how it is doing. No content of any change.

Two implementations under one test suite: `redis_ledger` and `memory_ledger`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import msgspec

from contracts.errors import LivesegmentsError


class LedgerChangedError(LivesegmentsError):
    """The log of changes was made anew meanwhile: what was to be written is of the old one."""


class LetterIdError(LivesegmentsError):
    """It is no id of a dead letter."""


class _About(msgspec.Struct, frozen=True):
    """What is kept of a dead letter beside where its change stands."""

    tries: int
    status: int | None
    error: str


_about: msgspec.json.Decoder[_About] = msgspec.json.Decoder(_About)


@dataclass(frozen=True, slots=True)
class Letter:
    """A change that was given up: where it stands on the log of changes, and why."""

    partition: int
    position: int
    dead_at: int
    """Microseconds UTC."""
    tries: int
    status: int | None = None
    """That the endpoint answered last."""
    error: str = ""

    @property
    def id(self) -> str:
        """Partition and position."""
        return f"{self.partition}:{self.position}"

    @property
    def about(self) -> bytes:
        """What `read` takes beside id and time."""
        return msgspec.json.encode(_About(self.tries, self.status, self.error))

    @classmethod
    def read(cls, letter_id: str, dead_at: int, about: bytes | None) -> Self:
        """A letter from what is kept of it."""
        partition, position = place_of(letter_id)
        told = _about.decode(about) if about else _About(0, None, "")
        return cls(partition, position, dead_at, told.tries, told.status, told.error)


def place_of(letter_id: str) -> tuple[int, int]:
    """Partition and position that an id names. Raises LetterIdError.

    >>> place_of("3:4711")
    (3, 4711)
    """
    partition, colon, position = letter_id.partition(":")
    if not (colon and all(part.isascii() and part.isdigit() and len(part) <= 40 for part in (partition, position))):
        raise LetterIdError(
            f"{letter_id[:60]!r} is no dead letter of a webhook: expected partition:position, as 3:4711"
        )
    return int(partition), int(position)


@dataclass(frozen=True, slots=True)
class Step:
    """What happened since the last one. Written in one atomic step; doing it twice is doing it once."""

    call: str
    """Another one for each step, the same when one is repeated."""
    identity: str
    """Of the log."""
    at: int
    """Microseconds UTC."""
    positions: Mapping[int, int] = field(default_factory=dict)
    """By partition; one that is behind what is stored changes nothing."""
    lost: Mapping[int, int] = field(default_factory=dict)
    """Records that the log let go of before they were sent, by partition; counted where the position moves on."""
    letters: Sequence[Letter] = ()
    """Given up."""
    returned: Sequence[Letter] = ()
    """Given up again; those that were dropped meanwhile stay dropped."""
    settled: Sequence[str] = ()
    """Ids of letters that were delivered after all."""
    delivered: int = 0
    failing_since: int | None = None
    delivered_at: int | None = None
    """When the newest of them was taken in; None: none was."""
    status: int | None = None
    error: str = ""
    """Of the newest request that failed; empty: none has since the last one that was taken in."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How an endpoint stands."""

    identity: str = ""
    """Of the log; empty: nothing was ever sent there."""
    positions: Mapping[int, int] = field(default_factory=dict)
    """By partition, where to go on."""
    seen_at: int | None = None
    """When a process that delivers last wrote."""
    delivered: int = 0
    delivered_at: int | None = None
    given_up: int = 0
    dropped: int = 0
    """Dead letters that nobody can try again any more: there were too many, or the log was made anew."""
    lost: int = 0
    """Records that the log let go of before they were sent."""
    failing_since: int | None = None
    status: int | None = None
    error: str = ""
    letters: int = 0
    """Dead ones."""
    again: int = 0
    """Those to be tried again."""


class Ledger(Protocol):
    """What is kept of every endpoint."""

    def begin(self, name: str, identity: str, positions: Mapping[int, int]) -> None:
        """Begin at these positions, unless the endpoint has any of that log already.

        Dead letters of another log are dropped: what they refer to is gone. Partitions that are new get a position.
        """

    def advance(self, name: str, step: Step) -> int:
        """Write a step; answers how many dead letters wait to be tried again. Raises LedgerChangedError."""

    def kept(self, name: str) -> Kept:
        """How the endpoint stands."""

    def letters(self, name: str, start: int, count: int) -> Sequence[Letter]:
        """Dead letters, the newest first, from a place on; those that are to be tried again are not among them."""

    def find(self, name: str, letter_id: str) -> Letter | None:
        """One dead letter, also one to be tried again."""

    def ask_again(self, name: str, ids: Sequence[str] | None) -> int:
        """Have these dead letters tried again, or all; how many there were."""

    def drop(self, name: str, ids: Sequence[str] | None) -> int:
        """Forget these dead letters, or all; how many there were."""

    def take(self, name: str, count: int, now: int, until: int) -> Sequence[Letter]:
        """Some that are to be tried again, which nobody else takes before `until` (microseconds UTC)."""


def step_as_json(step: Step) -> dict[str, Any]:
    """A step in plain values; numbers that a script would round are texts."""
    return {
        "call": step.call,
        "identity": step.identity,
        "at": str(step.at),
        "positions": [
            [str(number), str(position), step.lost.get(number, 0)] for number, position in step.positions.items()
        ],
        "letters": [[one.id, str(one.dead_at), one.about.decode()] for one in step.letters],
        "returned": [[one.id, str(one.dead_at), one.about.decode()] for one in step.returned],
        "settled": list(step.settled),
        "delivered": step.delivered,
        "failing_since": "" if step.failing_since is None else str(step.failing_since),
        "delivered_at": "" if step.delivered_at is None else str(step.delivered_at),
        "status": "" if step.status is None else str(step.status),
        "error": step.error,
    }
