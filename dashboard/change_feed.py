"""The newest records of the log of changes, read once for all who listen.

A thread reads the log; what it found last stands in a ring. Who listens keeps a position of each partition, so that
it is told everything after it exactly once, whether from the ring or, where that begins later, from the log itself
(`change_stream`).
"""

import asyncio
import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import structlog

from dashboard.change_position import ChangePosition
from logs.base import LogChangedError, LogError, LogReader, Logs, PositionGoneError

RING: Final = 20_000
"""Records that are kept at least."""
POLL_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 1.0

_log = structlog.get_logger("livesegments.web")


class Change(NamedTuple):
    """A record of the log of changes."""

    partition: int
    position: int
    value: bytes


class ChangeFeed:
    """Follows the log from the moment somebody listens first. Listeners are coroutines of any event loop.

    Parameters:
        logs: stays open.
        log: its name.
        group: what the names of reading groups begin with: each reader is a group of its own.
        ring: so many records are kept.
    """

    def __init__(self, logs: Logs, log: str, group: str, ring: int = RING) -> None:
        self._logs = logs
        self._name = log
        self._group = group
        self._ring = ring
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._entries: list[Change] = []
        self._first = 0
        self._identity = ""
        self._floor: list[int] = []

    def start(self) -> None:
        """Begin to follow the log; nothing where that has begun."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="changes", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10.0)
        self._wake()

    @property
    def closed(self) -> bool:
        """Whether nothing will come any more."""
        return self._stopping.is_set()

    def present(self) -> ChangePosition | None:
        """After the newest record that was read; None while the log has not answered yet."""
        with self._lock:
            if not self._identity:
                return None
            now = ChangePosition(self._identity, [*self._floor])
            for one in self._entries:
                now.next[one.partition] = one.position + 1
            return now

    def floor(self) -> tuple[str, list[int]]:
        """The log's identity (empty before it answered), and from where on the ring has everything, by partition."""
        with self._lock:
            return self._identity, [*self._floor]

    def since(self, number: int) -> tuple[list[Change], int] | None:
        """What came after so many records, and how many there are now; None where that is no longer in the ring."""
        with self._lock:
            if number < self._first:
                return None
            return self._entries[number - self._first :], self._count()

    def oldest(self) -> int:
        """How many records had come before the first of the ring."""
        with self._lock:
            return self._first

    async def news(self, number: int, seconds: float) -> bool:
        """Wait, at most so long, until there are more than so many records; whether there are."""
        event = asyncio.Event()
        entry = (asyncio.get_running_loop(), event)
        with self._lock:
            if self._count() > number:
                return True
            self._waiting.add(entry)
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._waiting.discard(entry)
        with self._lock:
            return self._count() > number

    def _count(self) -> int:
        return self._first + len(self._entries)

    def ends(self) -> Sequence[int]:
        """Where the log itself ends, by partition; blocks. Raises LogError."""
        return self._logs.ends(self._name)

    def reader(self) -> LogReader:
        """A reader of the log in a group of its own. Raises LogError."""
        return self._logs.reader(self._name, f"{self._group}-changes-{uuid.uuid4().hex}")

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except LogError as error:
                _log.warning("the log of changes can not be read; trying on", error=str(error))
                if isinstance(error, LogChangedError | PositionGoneError):
                    self._forget()
                self._stopping.wait(RETRY_SECONDS)

    def _follow(self) -> None:
        identity, floor = self.floor()
        if identity:
            present = self.present()
            start = dict(enumerate(present.next if present else floor))
        else:
            start = dict(enumerate(self._logs.ends(self._name)))
        reader = self.reader()
        try:
            if not identity:
                with self._lock:
                    self._identity, self._floor = reader.info.identity, [start[place] or 0 for place in sorted(start)]
                self._wake()
            self._read(reader, start)
        finally:
            reader.close()

    def _read(self, reader: LogReader, start: Mapping[int, int | None]) -> None:
        following = dict(start)
        while not self._stopping.is_set():
            polled = reader.poll(POLL_SECONDS)
            for partition in polled.assigned:
                reader.seek(partition, following[partition])
            for batch in polled.batches:
                following[batch.partition] = batch.positions[-1] + 1
                self._add(
                    [
                        Change(batch.partition, position, value)
                        for position, value in zip(batch.positions, batch.values, strict=True)
                        if value is not None
                    ]
                )

    def _add(self, changes: list[Change]) -> None:
        with self._lock:
            self._entries += changes
            # Half at a time: what is cut off is moved once for each record.
            if len(self._entries) > 2 * self._ring:
                gone = len(self._entries) - self._ring
                for one in self._entries[:gone]:
                    self._floor[one.partition] = one.position + 1
                del self._entries[:gone]
                self._first += gone
        self._wake()

    def _forget(self) -> None:
        with self._lock:
            self._first += len(self._entries)
            self._entries, self._identity, self._floor = [], "", []
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, set()
        for loop, event in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)
