"""A worker in a process of its own that kills itself (SIGKILL) at a given place of the write order, or just works.

`python -m tests.faults.doomed_worker JSON` runs one; tests fork theirs by `tests.faults.processes`.
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import redis
import structlog

from consumer.clock import wall_micros
from consumer.state import Checkpoint, Meta, Written, one_by_one
from contracts.errors import LivesegmentsError
from recommender.store import RedisViews
from tests.deployment import Deployment

PLACES = (
    "after claim",
    "after asides",
    "before checkpoint",
    "after checkpoint",
    "before views",
    "after views",
    "before noting",
    "after model",
)
"""Between each two steps of the write order: claim, dead letters and rerouted events, rows, changes, views, the
checkpoint that notes that these are out; and a model version before anybody uses it."""
SPARED = 20
"""Checkpoints after which it dies in any case: not every place comes by in every life."""


def _end_here(sign: int) -> None:
    """This thread goes no step further, also where another one takes the signal."""
    os.kill(os.getpid(), sign)
    time.sleep(0.5)


class Bullet:
    """Kills this process at a place, once enough checkpoints are written."""

    def __init__(self, place: str, checkpoints: int, died: Path | None) -> None:
        self._place = place
        self._died = died
        self.left = checkpoints

    def here(self, place: str) -> None:
        if self.left > 0 or (place != self._place and self.left > -SPARED):
            return
        if self._died is not None:
            self._died.write_text(place)
        _end_here(signal.SIGKILL)


class Trap:
    """Freezes this process (SIGSTOP) the next time that it comes to the place that stands in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.left = 0

    def here(self, place: str) -> None:
        if self._file.exists() and self._file.read_text() == place:
            self._file.unlink()
            _end_here(signal.SIGSTOP)


class DoomedState:
    """The real state, beside a bullet or a trap."""

    def __init__(self, state, bullet: Bullet | Trap) -> None:
        self._state = state
        self._bullet = bullet

    def __getattr__(self, name):
        return getattr(self._state, name)

    def claim(self, *arguments) -> Meta:
        self._bullet.here("before claim")
        meta = self._state.claim(*arguments)
        self._bullet.here("after claim")
        return meta

    def checkpoint(self, partition: int, token: str, step: Checkpoint) -> Written:
        self._bullet.left -= 1
        if step.published or step.viewed:
            self._bullet.here("before noting")
        self._bullet.here("before checkpoint")
        written = self._state.checkpoint(partition, token, step)
        self._bullet.here("after checkpoint")
        return written

    def begin_checkpoints(self, work):
        """One by one, so that some are written when it ends."""
        return partial(one_by_one, self.checkpoint, work)

    def publish_model(self, leader: int, version: int, document: bytes) -> bool:
        self._bullet.here("before model")
        published = self._state.publish_model(leader, version, document)
        self._bullet.here("after model")
        return published


class DoomedViews:
    """The real views, likewise."""

    def __init__(self, views, bullet: Bullet | Trap) -> None:
        self._views = views
        self._bullet = bullet

    def __getattr__(self, name):
        return getattr(self._views, name)

    def set_many(self, views, ttl_ms=None) -> None:
        self._bullet.here("before views")
        self._views.set_many(views, ttl_ms)
        self._bullet.here("after views")

    def begin_set_many(self, views, ttl_ms):
        self._bullet.here("before views")
        end = self._views.begin_set_many(views, ttl_ms)

        def ended() -> None:
            end()
            self._bullet.here("after views")

        return ended


class DoomedWriter:
    """The real writer, likewise: asides are what is waited for."""

    def __init__(self, writer, bullet: Bullet | Trap) -> None:
        self._writer = writer
        self._bullet = bullet

    def __getattr__(self, name):
        return getattr(self._writer, name)

    def flush(self, timeout=None) -> None:
        self._writer.flush(timeout)
        self._bullet.here("after asides")


def clock_of(order: Mapping[str, Any]):
    """The machine's time, moved by as many microseconds as stand in a file, so that a test can make it jump."""
    if "wall_file" not in order:
        return wall_micros
    file = Path(order["wall_file"])
    return lambda: wall_micros() + int(file.read_text())


def busy_with(worker) -> str:
    """What keeps it from being idle, for the message of a test that fails."""
    held = worker.memory.held.values()
    return ", ".join(
        name
        for name, is_so in {
            "claims": bool(worker._to_claim),
            "rebalance": worker._reader.rebalancing,
            "sweep": worker.memory.learner.sweeping or worker._sweep_due(),
            "decisions": not worker._deciding.settled,
            "outbox": any(one.outbox for one in held),
            "news": any(one.has_news for one in held),
            "views": worker.memory.views.pending(held),
        }.items()
        if is_so
    )


def status_of(worker) -> dict[str, Any]:
    held = worker.memory.held
    model = worker.memory.learner.model
    return {
        "checkpoints": worker.figures.checkpoints,
        "records": worker.figures.records,
        "conflicts": worker.figures.conflicts,
        "held": {number: one.claims for number, one in list(held.items())},
        "customers": len(worker.memory.store),
        "model": 0 if model is None else model.version,
        "dead_letters": worker.figures.dead_letters.total(),
        "silent": not worker.log_answers,
        "lag": worker.lag,
        "busy": busy_with(worker),
        "idle": worker.idle,
    }


def tell_when_waiting(worker, file: Path) -> None:
    """Keep in a file for what the worker waits: amid a step it reports nothing."""

    def tell() -> None:
        told = None
        while True:
            if (now := worker.patience.waiting_for or "") != told:
                file.write_text(told := now)
            time.sleep(0.05)

    threading.Thread(target=tell, daemon=True).start()


class Reporter:
    """Writes what is to be known of a worker into a file whenever it has changed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._said: dict[str, Any] = {}

    def __call__(self, worker) -> None:
        if (now := status_of(worker)) != self._said:
            self._said = now
            self._put(now)

    def ended(self, error: str) -> None:
        self._put({**self._said, "error": error})

    def _put(self, status: Mapping[str, Any]) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(status))
        new.replace(self._file)


def work(order: Mapping[str, Any]) -> None:
    """Run a worker as ordered until it is told to stop (SIGTERM). Exits with 1 where it ends by an error of ours."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # nobody outlives the tests
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(int(os.environ.get("FAULT_LOG", "30"))),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    status = Path(order["status"]) if "status" in order else None
    reporter = Reporter(status) if status is not None else None
    deployment = Deployment(**order["deployment"])
    doomed: dict[str, Any] = {}
    bullet: Bullet | Trap | None = None
    if "place" in order:
        bullet = Bullet(order["place"], order["checkpoints"], status.with_suffix(".died") if status else None)
    elif status is not None:
        bullet = Trap(status.with_suffix(".trap"))
    if bullet is not None:
        doomed = {
            "state": DoomedState(deployment.state, bullet),
            "views": DoomedViews(RedisViews(deployment.redis), bullet),
            "wrap_writer": lambda writer: DoomedWriter(writer, bullet),
        }
    try:
        settings = {"group": order["group"]} if "group" in order else {}
        with deployment.worker(wall=clock_of(order), **doomed, **settings) as worker:
            signal.signal(signal.SIGTERM, lambda *_: worker.stop())
            if status is not None:
                tell_when_waiting(worker, status.with_suffix(".waiting"))
            worker.run(until_idle=order.get("until_idle"), on_step=reporter)
            if reporter is not None:
                with contextlib.suppress(redis.RedisError):
                    reporter(worker)
    except LivesegmentsError as error:
        traceback.print_exc()
        if reporter is not None:
            reporter.ended(f"{type(error).__name__}: {error}")
        sys.exit(1)


if __name__ == "__main__":
    work(json.loads(sys.argv[1]))
