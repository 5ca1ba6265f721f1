"""A worker process that kills itself (SIGKILL) at a given checkpoint: `python -m tests.faults.doomed_worker JSON`.

The place in the write order is part of the order: before the script, right after it, or before its changes or views.
"""

import json
import os
import signal
import sys

import structlog

from consumer.state import Checkpoint, Written
from tests.deployment import Deployment

PLACES = ("before checkpoint", "after checkpoint", "before views")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DoomedState:
    """The real state, with a bullet in the given checkpoint."""

    def __init__(self, state, place: str, checkpoints: int) -> None:
        self._state = state
        self._place = place
        self._left = checkpoints

    def __getattr__(self, name):
        return getattr(self._state, name)

    @property
    def due(self) -> bool:
        return self._left <= 0

    def checkpoint(self, partition: int, token: str, step: Checkpoint) -> Written:
        self._left -= 1
        if self.due and self._place == "before checkpoint":
            die()
        written = self._state.checkpoint(partition, token, step)
        if self.due and self._place == "after checkpoint":
            die()
        return written


class DoomedViews:
    """The real views, deadly once the state's checkpoints are used up."""

    def __init__(self, views, state: DoomedState, place: str) -> None:
        self._views = views
        self._state = state
        self._place = place

    def __getattr__(self, name):
        return getattr(self._views, name)

    def set_many(self, views, ttl_ms=None) -> None:
        if self._state.due and self._place == "before views":
            die()
        self._views.set_many(views, ttl_ms)


def main() -> None:
    order = json.loads(sys.argv[1])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    deployment = Deployment(**order["deployment"])
    state = DoomedState(deployment.state, order["place"], order["checkpoints"])
    from recommender.store import RedisViews  # noqa: PLC0415

    views = DoomedViews(RedisViews(deployment.redis), state, order["place"])
    with deployment.worker(state=state, views=views) as worker:
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        worker.run(until_idle=order.get("until_idle"))


if __name__ == "__main__":
    main()
