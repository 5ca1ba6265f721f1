"""How a worker is doing: a line now and then, and totals at the end."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from livesegments.log_output import as_text
from livesegments.settings import Settings

if TYPE_CHECKING:
    from consumer.worker import Worker

_log = structlog.get_logger("livesegments")


class StatusLine:
    """Called after every step of a worker; says how it is doing every so many seconds."""

    def __init__(self, interval: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._monotonic = monotonic
        self._said_at = monotonic()
        self._records = 0

    def __call__(self, worker: "Worker") -> None:
        """Say it if it is time."""
        now = self._monotonic()
        passed = now - self._said_at
        if passed < self._interval:
            return
        records = worker.figures.records
        _log.info("working", events_per_s=round((records - self._records) / passed, 1), **self._state(worker))
        self._said_at, self._records = now, records

    def _state(self, worker: "Worker") -> dict[str, Any]:
        model = worker.memory.learner.model
        return {
            "lag": worker.lag,
            "partitions": len(worker.memory.held),
            "customers": worker.memory.store.customers,
            "model_version": model.version if model else None,
            "oldest_dirty_view_s": round(worker.memory.views.figures.oldest_dirty_s, 1),
        }


def report(worker: "Worker", settings: Settings) -> None:
    """The totals of a worker that has stopped."""
    figures, views = worker.figures, worker.memory.views.figures
    totals = {
        "events": dict(figures.events),
        "ignored": dict(figures.ignored),
        "dead_letters": dict(figures.dead_letters),
        "rerouted": figures.rerouted,
        "moves": dict(figures.moves),
        "checkpoints": figures.checkpoints,
        "conflicts": figures.conflicts,
        "views_written": views.written,
        "oldest_dirty_view_s": round(views.highest_oldest_dirty_s, 1),
    }
    if not as_text(settings):
        _log.info("worker stopped", records=figures.records, **totals)
        return
    _log.info("worker stopped", records=figures.records)
    for name, value in totals.items():
        counts = value.items() if isinstance(value, dict) else ()
        text = ", ".join(f"{count:,} {kind}" for kind, count in counts) if counts or value == {} else f"{value:,}"
        print(f"{name.replace('_', ' '):>20}  {text or '-'}")  # noqa: T201 - the command's answer
