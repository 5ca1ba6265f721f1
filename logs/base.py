"""What a log is to the rest: partitions of records with positions, read by groups, appended to by writers."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import Final, Protocol

from contracts.errors import LivesegmentsError

Headers = Sequence[tuple[str, bytes]]


class LogError(LivesegmentsError):
    """The root of what can go wrong with a log."""


class LogUnavailableError(LogError):
    """The log's server does not answer now; trying again later may help."""


class LogMissingError(LogError):
    """There is no log of that name."""


class LogChangedError(LogError):
    """The log is not the one that was read before: re-created, or its number of partitions changed."""


class PositionGoneError(LogError):
    """The position to read from lies outside what the log still holds, or was never reached."""


class RecordTooLargeError(LogError):
    """The record is larger than the log accepts."""


@dataclass(frozen=True, slots=True)
class LogSpec:
    """How a log is to be created."""

    name: str
    partitions: int = 12
    retention_ms: int | None = None
    """How long records are kept; None keeps them for ever."""
    compacted: bool = False
    """Keep only the newest record of each key (and tombstones for a while)."""
    max_message_bytes: int = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LogInfo:
    """A log as it stands."""

    name: str
    identity: str
    """Changes when a log is deleted and made again under the same name (Kafka's topic id)."""
    partitions: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an appended record stands."""

    partition: int
    position: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one partition, as columns of one length."""

    partition: int
    positions: Sequence[int]
    """Rising. The position to go on from after record i is positions[i] + 1."""
    values: Sequence[bytes | None]
    keys: Sequence[bytes | None]
    log_times: Sequence[int]
    """When the log took the record in, in microseconds UTC."""
    headers: Mapping[int, Headers] = field(default_factory=dict)
    """Only of the records that have any, by place in this batch."""

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought. Partitions in `assigned` deliver nothing before `seek` names their position."""

    batches: Sequence[Batch] = ()
    assigned: frozenset[int] = frozenset()
    revoked: frozenset[int] = frozenset()
    """Taken away since the last poll; no batch of these is delivered. One that is also in `assigned` came back."""


class LogReader(Protocol):
    """A member of a group that shares the partitions of one log. Used from one thread."""

    info: LogInfo
    """The log as it was when the group was joined; poll raises LogChangedError once it is another."""

    def poll(self, timeout: float) -> Polled:
        """Wait at most so many seconds for records or a change of assignment.

        Server faults are survived inside (an empty result, `failing_since` set), not raised.
        Raises PositionGoneError and LogChangedError.
        """

    def seek(self, partition: int, position: int | None) -> None:
        """Start delivering a partition from a position; None is the log's beginning.

        Void where the partition was taken away since the last poll: the next one says so. Where the log does not hold
        the position, PositionGoneError comes from here or from a later poll, before any record of the partition.
        """

    def pause(self, partition: int) -> None:
        """Stop delivering a partition until the next `seek`."""

    def lag(self) -> Mapping[int, int] | None:
        """Records not yet delivered, by partition held; None while that is unknown."""

    def commit(self, positions: Mapping[int, int]) -> None:
        """Tell lag monitors how far we are. Best effort; never used by us."""

    @property
    def rebalancing(self) -> bool:
        """Whether the group is handing partitions out just now."""

    @property
    def failing_since(self) -> float | None:
        """The monotonic time since when the server has not answered; None while it does."""

    def close(self) -> None:
        """Leave the group."""


class LogWriter(Protocol):
    """Appends records to any log of one server. Safe to use from several threads."""

    def append(
        self, log: str, key: bytes | None, value: bytes, *, partition: int | None = None, headers: Headers = ()
    ) -> Future[Placed]:
        """Queue a record; the future ends when every replica has it, or in a LogError.

        Without `partition` the key decides, by murmur2. Blocks while the queue is full.
        """

    def flush(self, timeout: float | None = None) -> None:
        """Wait until every queued record has ended. Raises LogUnavailableError after `timeout` seconds."""

    def close(self, timeout: float | None = None) -> None:
        """Flush and let go."""


class BatchLogWriter(LogWriter, Protocol):
    """A writer that one can wait for, too."""

    def append_all(self, log: str, records: Sequence[tuple[bytes, bytes]], timeout: float) -> dict[int, LogError]:
        """Append keys and values, and wait until every replica has them; what failed, by place.

        What is not acknowledged after `timeout` seconds failed, too, though it may come to stand on the log.
        """


def unacknowledged(timeout: float) -> LogUnavailableError:
    """The error of a record that one has waited for so many seconds in vain."""
    return LogUnavailableError(f"the log has not acknowledged it within {timeout:.0f} s")


def failures(futures: Sequence[Future[Placed]], timeout: float) -> dict[int, LogError]:
    """The errors of records on their way, by place, as LogWriter.append_all tells them."""
    failed: dict[int, LogError] = {}
    deadline = time.monotonic() + timeout
    for place, future in enumerate(futures):
        try:
            error = future.exception(max(0.0, deadline - time.monotonic()))
        except FutureTimeoutError:
            failed[place] = unacknowledged(timeout)
        else:
            if isinstance(error, LogError):
                failed[place] = error
            elif error is not None:
                raise error
    return failed


class Logs(Protocol):
    """One log server."""

    url: str

    def create(self, spec: LogSpec) -> LogInfo:
        """Create the log unless it is there; what is there is left as it is."""

    def describe(self, name: str) -> LogInfo:
        """Raises LogMissingError, LogUnavailableError."""

    def trim(self, name: str, partition: int, position: int) -> None:
        """Drop the partition's records before a position."""

    def reader(self, name: str, group: str) -> LogReader:
        """Join a group. Raises LogMissingError, LogUnavailableError."""

    def writer(self) -> BatchLogWriter:
        """Raises LogUnavailableError."""

    def read_all(self, name: str, timeout: float = 30.0) -> Sequence[Batch]:
        """Every record from the beginning to the end as of now, without a group."""

    def scan(self, name: str, patience: float = 30.0, positions: Mapping[int, int] | None = None) -> Iterator[Batch]:
        """The same, some at a time, for logs of any length; partitions may take turns.

        `positions`: where to begin, by partition; one without begins where its log does. Records that the log no
        longer holds are passed over: who needs them asks `starts`. Raises LogMissingError, and LogUnavailableError
        after `patience` seconds without a record.
        """

    def ends(self, name: str) -> Sequence[int]:
        """Of each partition the position of the next record to come. Raises LogMissingError, LogUnavailableError."""

    def starts(self, name: str) -> Sequence[int]:
        """Of each partition the position of the oldest record that is there, or of the next one to come.

        Raises LogMissingError, LogUnavailableError.
        """

    def retention_ms(self, name: str) -> int | None:
        """How long the log keeps records; None for ever. Raises LogMissingError, LogUnavailableError."""

    def close(self) -> None:
        """Let go of every connection that this object itself holds; readers and writers are closed by their users."""


_COUNT: Final = (1 << 64) - 1


def count_between(first: int, last: int) -> int:
    """How many records a partition took in from one position to another: the lower 64 bits of a position count them."""
    return max(0, (last & _COUNT) - (first & _COUNT))


def gathered(batches: Iterable[Batch], name: str, timeout: float) -> list[Batch]:
    """What a scan brings. Raises LogUnavailableError where it takes longer than `timeout` seconds."""
    deadline = time.monotonic() + timeout
    found = []
    for batch in batches:
        found.append(batch)
        if time.monotonic() > deadline:
            raise LogUnavailableError(f"the log {name!r} could not be read to its end in {timeout:.0f} s")
    return found
