"""Looks at a worker after its steps, and shows what it saw where `metrics_address` says."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from consumer.lag import LagSeconds
from consumer.patience import Patience
from livesegments.monitoring.health import Health
from livesegments.monitoring.metrics import WorkerMetrics, registry
from livesegments.monitoring.server import serving
from livesegments.settings import Settings

if TYPE_CHECKING:
    from consumer.worker import Worker


class Monitor:
    """Called after every step of a worker; looks closer every so many seconds."""

    def __init__(
        self,
        health: Health,
        metrics: WorkerMetrics,
        interval: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health = health
        self._metrics = metrics
        self._interval = interval
        self._monotonic = monotonic
        self._due = 0.0
        self._lag_seconds = LagSeconds()

    def __call__(self, worker: "Worker") -> None:
        """Note that the loop turned; look if it is time."""
        self._health.turned(worker)
        now = self._monotonic()
        if now < self._due:
            return
        self._due = now + self._interval
        lags, held = worker.lags, worker.memory.held
        lag_seconds = None
        if lags is not None:
            heard = {number: one.heard for number, one in held.items()}
            lag_seconds = self._lag_seconds.observe(lags, heard, worker.clock.wall())
        self._health.look(worker, lag_seconds)
        self._metrics.look(worker, lag_seconds)


@contextlib.contextmanager
def monitored(settings: Settings, patience: Patience) -> Iterator[Callable[["Worker"], None]]:
    """What is to be called after each step; does nothing without a `metrics_address`. Raises AddressError."""
    if not settings.metrics_address:
        yield lambda _: None
        return
    health = Health(settings.ready_lag.seconds, patience)
    metrics = WorkerMetrics(health)
    with serving(settings.metrics_address, health, registry(metrics)):
        yield Monitor(health, metrics, settings.figures_interval.seconds)
