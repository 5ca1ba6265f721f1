"""The log in this process's memory: the twin that tests, and machines without any server, run on."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from logs.assignment import Assignment, share_out
from logs.base import (
    Batch,
    Headers,
    LogChangedError,
    LogError,
    LogInfo,
    LogMissingError,
    LogSpec,
    Placed,
    Polled,
    PositionGoneError,
    RecordTooLargeError,
    failures,
)
from logs.partitioner import Partitioner

MAX_BATCH = 20_000
"""Records of one partition that one poll hands out at most."""


def wall_clock() -> int:
    """The machine's time in microseconds UTC."""
    return time.time_ns() // 1000


@dataclass(slots=True)
class _Partition:
    """Records as columns; the record at position p stands at place p - start."""

    start: int = 0
    values: list[bytes | None] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    log_times: list[int] = field(default_factory=list)
    headers: dict[int, Headers] = field(default_factory=dict)
    """By position."""

    @property
    def end(self) -> int:
        return self.start + len(self.values)

    def batch(self, partition: int, position: int, limit: int | None) -> Batch:
        first = position - self.start
        last = len(self.values) if limit is None else min(first + limit, len(self.values))
        positions = range(position, self.start + last)
        return Batch(
            partition,
            positions,
            self.values[first:last],
            self.keys[first:last],
            self.log_times[first:last],
            {at - position: self.headers[at] for at in positions if at in self.headers} if self.headers else {},
        )

    def trim(self, position: int) -> None:
        gone = min(position, self.end) - self.start
        if gone <= 0:
            return
        for column in (self.values, self.keys, self.log_times):
            del column[:gone]
        self.start += gone
        self.headers = {at: headers for at, headers in self.headers.items() if at >= self.start}


@dataclass(slots=True)
class _Log:
    info: LogInfo
    spec: LogSpec
    partitions: list[_Partition]
    groups: dict[str, list["MemoryReader"]] = field(default_factory=dict)
    """Members in the order in which they joined."""

    def rebalance(self, group: str) -> None:
        members = self.groups[group]
        before = {p: m for m, member in enumerate(members) for p in member.assignment.held}
        after = share_out(len(members), self.info.partitions, before)
        for m, member in enumerate(members):
            share = {partition for partition, owner in after.items() if owner == m}
            member.give(share - member.assignment.held, member.assignment.held - share)


class MemoryLogs:
    """A log server in memory. Times of records come from `now`, in microseconds UTC. Thread-safe."""

    def __init__(self, now: Callable[[], int] = wall_clock) -> None:
        self.url = "memory://"
        self.now = now
        self.changed = threading.Condition()
        """Held while anything is read or written; notified of every record and every change of a group."""
        self._logs: dict[str, _Log] = {}

    def create(self, spec: LogSpec) -> LogInfo:
        """Create the log unless it is there."""
        with self.changed:
            if spec.name not in self._logs:
                info = LogInfo(spec.name, uuid.uuid4().hex, spec.partitions)
                self._logs[spec.name] = _Log(info, spec, [_Partition() for _ in range(spec.partitions)])
            return self._logs[spec.name].info

    def delete(self, name: str) -> None:
        """Forget the log; its readers raise LogChangedError from then on."""
        with self.changed:
            self._logs.pop(name, None)
            self.changed.notify_all()

    def trim(self, name: str, partition: int, position: int) -> None:
        """Drop the partition's records before a position."""
        with self.changed:
            self.find(name).partitions[partition].trim(position)

    def find(self, name: str) -> _Log:
        """The log, for our own readers and writers, under the lock. Raises LogMissingError."""
        try:
            return self._logs[name]
        except KeyError:
            raise LogMissingError(f"there is no log {name!r} in memory: create it first") from None

    def describe(self, name: str) -> LogInfo:
        """The log as it stands. Raises LogMissingError."""
        with self.changed:
            return self.find(name).info

    def reader(self, name: str, group: str) -> "MemoryReader":
        """Join a group. Raises LogMissingError."""
        with self.changed:
            log = self.find(name)
            reader = MemoryReader(self, log.info, group)
            log.groups.setdefault(group, []).append(reader)
            log.rebalance(group)
            self.changed.notify_all()
            return reader

    def writer(self) -> "MemoryWriter":
        """A writer to any of the logs."""
        return MemoryWriter(self)

    def read_all(self, name: str, timeout: float = 30.0) -> Sequence[Batch]:  # noqa: ARG002 - memory never waits
        """Every record from the beginning to the end as of now."""
        with self.changed:
            partitions = self.find(name).partitions
            return [part.batch(p, part.start, None) for p, part in enumerate(partitions) if part.values]

    def scan(
        self,
        name: str,
        patience: float = 30.0,  # noqa: ARG002 - memory never waits
        positions: Mapping[int, int] | None = None,
    ) -> Iterator[Batch]:
        """The same, some at a time."""
        with self.changed:
            ends = [part.end for part in self.find(name).partitions]
        for p, end in enumerate(ends):
            position = (positions or {}).get(p, 0)
            while position < end:
                with self.changed:
                    part = self.find(name).partitions[p]
                    position = max(position, part.start)
                    batch = part.batch(p, position, min(MAX_BATCH, max(0, end - position)))
                if not len(batch):
                    break
                position = batch.positions[-1] + 1
                yield batch

    def ends(self, name: str) -> Sequence[int]:
        """Of each partition the position of the next record to come."""
        with self.changed:
            return [part.end for part in self.find(name).partitions]

    def starts(self, name: str) -> Sequence[int]:
        """Of each partition the position of the oldest record that is there."""
        with self.changed:
            return [part.start for part in self.find(name).partitions]

    def retention_ms(self, name: str) -> int | None:
        """How long the log would keep records; in memory they stay."""
        with self.changed:
            return self.find(name).spec.retention_ms

    def close(self) -> None:
        """Nothing is held outside this object."""


class MemoryReader:
    """A member of a group. A partition changes hands at once, whether or not its old owner polls."""

    def __init__(self, server: MemoryLogs, info: LogInfo, group: str) -> None:
        self.assignment = Assignment()
        self._server = server
        self.info = info
        self._group = group
        self._positions: dict[int, int] = {}
        self._paused: set[int] = set()

    def give(self, gained: set[int], lost: set[int]) -> None:
        """Called by the group, under the lock."""
        self.assignment.lose(lost)
        self.assignment.gain(gained)
        for partition in lost:
            self._positions.pop(partition, None)

    def poll(self, timeout: float) -> Polled:
        """Wait at most so many seconds for records or a change of assignment."""
        deadline = time.monotonic() + timeout
        with self._server.changed:
            while True:
                log = self._log()
                batches = self._batches(log)
                if batches or self.assignment.changed:
                    return Polled(batches, *self.assignment.take())
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return Polled()
                self._server.changed.wait(remaining)

    def _log(self) -> _Log:
        try:
            log = self._server.find(self.info.name)
        except LogMissingError:
            raise LogChangedError(f"the log {self.info.name!r} was deleted while it was read") from None
        if log.info.identity != self.info.identity:
            raise LogChangedError(f"the log {self.info.name!r} was deleted and created again while it was read")
        return log

    def _batches(self, log: _Log) -> list[Batch]:
        batches = []
        for partition, position in self._positions.items():
            part = log.partitions[partition]
            if partition in self._paused or position >= part.end:
                continue
            if position < part.start:
                raise _gone(self.info.name, partition, position, part)
            batches.append(part.batch(partition, position, MAX_BATCH))
        for batch in batches:
            self._positions[batch.partition] = batch.positions[-1] + 1
        return batches

    def seek(self, partition: int, position: int | None) -> None:
        """Start delivering a partition from a position. Ignored where it was taken away: the next poll says so."""
        with self._server.changed:
            if not self.assignment.ready(partition):
                return
            part = self._log().partitions[partition]
            at = part.start if position is None else position
            if not part.start <= at <= part.end:
                raise _gone(self.info.name, partition, at, part)
            self._positions[partition] = at
            self._paused.discard(partition)

    def pause(self, partition: int) -> None:
        """Stop delivering a partition until the next seek."""
        self._paused.add(partition)

    def lag(self) -> Mapping[int, int] | None:
        """Records not yet delivered; None while a partition still waits for its seek."""
        with self._server.changed:
            log = self._log()
            if self._positions.keys() != self.assignment.held:
                return None
            return {p: log.partitions[p].end - position for p, position in self._positions.items()}

    def commit(self, positions: Mapping[int, int]) -> None:
        """No monitor looks at memory."""

    @property
    def rebalancing(self) -> bool:
        """Whether there is a change that the next poll will tell of."""
        return self.assignment.changed

    @property
    def failing_since(self) -> float | None:
        """Memory always answers."""
        return None

    def close(self) -> None:
        """Leave the group."""
        with self._server.changed:
            held = set(self.assignment.held)
            self.give(set(), held)
            try:
                log = self._log()
            except LogError:
                return
            members = log.groups[self._group]
            if self in members:
                members.remove(self)
                log.rebalance(self._group)
                self._server.changed.notify_all()


class MemoryWriter:
    """Appends at once."""

    def __init__(self, server: MemoryLogs) -> None:
        self._server = server
        self._partitioner = Partitioner()

    def append(
        self, log: str, key: bytes | None, value: bytes, *, partition: int | None = None, headers: Headers = ()
    ) -> Future[Placed]:
        """Append a record; the future has already ended."""
        future: Future[Placed] = Future()
        with self._server.changed:
            try:
                found = self._server.find(log)
            except LogMissingError as error:
                future.set_exception(error)
                return future
            if len(value) + len(key or b"") > found.spec.max_message_bytes:
                future.set_exception(
                    RecordTooLargeError(f"{len(value)} bytes; {log!r} takes {found.spec.max_message_bytes}")
                )
                return future
            if partition is None:
                partition = self._partitioner.partition(key, found.info.partitions)
            part = found.partitions[partition]
            placed = Placed(partition, part.end)
            if headers:
                part.headers[part.end] = tuple(headers)
            part.values.append(value)
            part.keys.append(key)
            part.log_times.append(self._server.now())
            self._server.changed.notify_all()
        future.set_result(placed)
        return future

    def append_all(self, log: str, records: Sequence[tuple[bytes, bytes]], timeout: float) -> dict[int, LogError]:
        """Append keys and values, and wait until all are there; what failed, by place."""
        return failures([self.append(log, key, value) for key, value in records], timeout)

    def flush(self, timeout: float | None = None) -> None:
        """Nothing is ever queued."""

    def close(self, timeout: float | None = None) -> None:
        """Nothing to let go of."""


def _gone(name: str, partition: int, position: int, part: _Partition) -> PositionGoneError:
    return PositionGoneError(
        f"{name!r} partition {partition}: position {position} is not held, only {part.start} to {part.end}"
    )
