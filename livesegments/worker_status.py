"""What a worker says of itself in Redis, so that one can watch all of them from anywhere."""

import contextlib
import math
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
from pydantic import ValidationError

from consumer.audiences import names_in
from consumer.clock import wall_micros
from consumer.state import State, StateError
from contracts.documents import WorkerStatus
from contracts.times import HOUR, from_micros, to_micros

if TYPE_CHECKING:
    from consumer.worker import Worker

SPEED_SECONDS: Final = 5.0
"""Events per second are counted over so long."""
COUNT_SECONDS: Final = 1.0
"""Audiences are counted at most so often."""
GONE_INTERVALS: Final = 3
"""After so many intervals without a word, and ..."""
GONE_SECONDS: Final = 5.0
"""... so many seconds, a worker counts as gone: a long step is no death."""
FORGOTTEN: Final = HOUR
"""What a worker said that has been gone for so long is taken out by the next one that starts."""


class StatusPublisher:
    """Called after every step of a worker; publishes its status every so many seconds, and takes it back at the end."""

    def __init__(
        self,
        state: State,
        interval: float,
        *,
        wall: Callable[[], int] = wall_micros,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._state = state
        self._interval = interval
        self._wall = wall
        self._monotonic = monotonic
        self._started_at = wall()
        self._due = monotonic()
        self._records: deque[tuple[float, int]] = deque([(self._due, 0)])
        self._cleaned = False
        self._count_due = self._due
        self._counted: dict[str, int] = {}

    def __call__(self, worker: "Worker") -> None:
        """Publish if it is time. A state that does not answer is for the worker to survive, not for this to stop."""
        now = self._monotonic()
        if now < self._due:
            return
        self._due = now + self._interval
        status = self._status(worker, now)
        with contextlib.suppress(StateError):
            self._state.put_worker(self.name, status.encode())
            if not self._cleaned:
                self._forget()
                self._cleaned = True

    def close(self) -> None:
        """Take it back: this worker ends."""
        with contextlib.suppress(StateError):
            self._state.put_worker(self.name, None)

    def _status(self, worker: "Worker", now: float) -> WorkerStatus:
        model = worker.memory.learner.model
        return WorkerStatus(
            worker=self.name,
            started_at=from_micros(self._started_at),
            at=from_micros(self._wall()),
            interval_s=self._interval,
            records=worker.figures.records,
            events_per_s=self._speed(worker.figures.records, now),
            lag=worker.lag,
            partitions=len(worker.memory.held),
            customers=worker.memory.store.customers,
            model_version=model.version if model else None,
            oldest_dirty_view_s=round(worker.memory.views.figures.oldest_dirty_s, 3),
            moves=dict(worker.figures.moves),
            audiences=self._audiences(worker, now),
            freshness=tuple(
                (bound if math.isfinite(bound) else None, count) for bound, count in worker.figures.freshness.buckets
            ),
            events=dict(worker.figures.events),
            ignored=dict(worker.figures.ignored),
            dead_letters=dict(worker.figures.dead_letters),
        )

    def _audiences(self, worker: "Worker", now: float) -> dict[str, int]:
        """Counted anew so seldom that it takes a hundredth of the time."""
        if now >= self._count_due:
            self._counted = count_audiences(worker)
            took = self._monotonic() - now
            self._count_due = now + max(COUNT_SECONDS, 100 * took)
        return self._counted

    def _speed(self, records: int, now: float) -> float:
        self._records.append((now, records))
        while len(self._records) > 2 and self._records[1][0] <= now - SPEED_SECONDS:
            self._records.popleft()
        then, before = self._records[0]
        return round((records - before) / (now - then), 1) if now > then else 0.0

    def _forget(self) -> None:
        for name, document in self._state.workers().items():
            status = read_status(document)
            if status is None or self._wall() - to_micros(status.at) > FORGOTTEN:
                self._state.put_worker(name, None)


def count_audiences(worker: "Worker") -> dict[str, int]:
    """How many customers of this worker's partitions are in each of the present audiences."""
    memory = worker.memory
    names = memory.learner.audiences.names
    sizes = dict.fromkeys(names.values(), 0)
    if not names:
        return sizes
    for partition in memory.held:
        rows = np.fromiter(memory.store.partitions[partition].index.values(), np.int64)
        bits, customers = np.unique(memory.store.header["audiences"][rows], return_counts=True)
        for bit, count in zip(bits.tolist(), customers.tolist(), strict=True):
            for name in names_in(bit, names):
                sizes[name] += count
    return sizes


def read_status(document: bytes) -> WorkerStatus | None:
    """A worker's status; None where it can not be read."""
    try:
        return WorkerStatus.model_validate_json(document)
    except ValidationError:
        return None


def is_gone(status: WorkerStatus, now: int) -> bool:
    """Whether the worker has been silent for longer than one at work is. `now` in microseconds UTC."""
    silent = (now - to_micros(status.at)) / 1e6
    return silent > GONE_SECONDS and silent > GONE_INTERVALS * status.interval_s
