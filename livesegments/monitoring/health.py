"""Whether a worker is alive, and whether it is ready: answered to an orchestrator without stopping the worker."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from consumer.patience import Patience

if TYPE_CHECKING:
    from consumer.worker import Worker

ALIVE_SECONDS: Final = 180.0
"""A turn of the loop may take so long: redis-py alone tries one call for a minute, and rows have to be loaded."""
RECENT_SECONDS: Final = 5.0
"""A server that failed to answer so lately is not counted on."""
CATCHING_UP_SECONDS: Final = 60.0
"""Whoever waits for less than so long ago is catching up."""

_log = structlog.get_logger("livesegments.health")


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer, and why."""

    ok: bool
    text: str


class Health:
    """Looked at by the worker's thread, asked from any other."""

    def __init__(self, most_lag: float, patience: Patience, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`most_lag` is in seconds; `patience` is that of whoever waits for the servers before there is a worker."""
        self._most_lag = most_lag
        self._patience = patience
        self._monotonic = monotonic
        self._turned_at = monotonic()
        self._lags: deque[tuple[float, float]] = deque()
        """When it was looked, and the lag in seconds, over the last minute."""
        self._seen: Verdict | None = None

    def turned(self, worker: "Worker") -> None:
        """The loop made a turn."""
        self._patience = worker.patience
        self._turned_at = self._monotonic()

    def look(self, worker: "Worker", lag_seconds: float | None) -> None:
        """See how the worker stands, now and then; a change is one log line."""
        catching_up = lag_seconds is not None and self._falling(lag_seconds)
        reason = self._unready(worker, lag_seconds, catching_up=catching_up)
        seen = Verdict(reason is None, reason or ("catching up" if catching_up else "ready"))
        if self._seen is None or seen.ok != self._seen.ok:
            _log.info("ready" if seen.ok else "not ready", why=seen.text)
        self._seen = seen

    @property
    def turned_ago(self) -> float:
        """Seconds since the loop last turned."""
        return self._monotonic() - self._turned_at

    def alive(self) -> Verdict:
        """Whether the loop turns, or waits for a server that does not answer: a restart would cure neither."""
        passed = self._monotonic() - max(self._turned_at, self._patience.failed_at)
        if passed <= ALIVE_SECONDS:
            return Verdict(ok=True, text="alive")
        return Verdict(ok=False, text=f"the loop has stood still for {passed:.0f} s")

    def ready(self) -> Verdict:
        """Whether partitions are claimed, the servers answer, and views follow the log or are about to."""
        if (waiting := self._patience.waiting_for) is not None:
            return Verdict(ok=False, text=f"a server does not answer: {waiting}")
        if not (alive := self.alive()).ok:
            return alive
        return self._seen or Verdict(ok=False, text="starting")

    def _unready(self, worker: "Worker", lag_seconds: float | None, *, catching_up: bool) -> str | None:
        if not worker.log_answers:
            return "the log does not answer"
        if self._monotonic() - worker.patience.failed_at < RECENT_SECONDS:
            return "a server failed to answer just now"
        if not worker.holds_assigned:
            return "partitions are being claimed"
        if lag_seconds is None:
            return "the lag is not known yet"
        if lag_seconds > self._most_lag and not catching_up:
            return f"{lag_seconds:,.0f} s behind the log and not catching up"
        return None

    def _falling(self, lag_seconds: float) -> bool:
        now = self._monotonic()
        while self._lags and self._lags[0][0] < now - CATCHING_UP_SECONDS:
            self._lags.popleft()
        falling = lag_seconds > self._most_lag and any(lag_seconds < before for _, before in self._lags)
        self._lags.append((now, lag_seconds))
        return falling
