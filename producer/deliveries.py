"""What became of the events handed to a log: none may fail without somebody being told."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from contracts.errors import LivesegmentsError
from logs.base import LogUnavailableError, Placed

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class FailedEvent:
    """An event that the log did not take, and why."""

    event_id: str
    customer_id: str
    error: BaseException


class PublishError(LivesegmentsError):
    """Events did not reach the log; `failed` names each. Their ids make it safe to publish them again."""

    def __init__(self, failed: Sequence[FailedEvent]) -> None:
        self.failed = tuple(failed)
        shown = "; ".join(f"{event.event_id!r}: {event.error}" for event in self.failed[:_SHOWN])
        more = f"; and {len(self.failed) - _SHOWN} more" if len(self.failed) > _SHOWN else ""
        count = "1 event was" if len(self.failed) == 1 else f"{len(self.failed)} events were"
        super().__init__(f"{count} not published and may be sent again: {shown}{more}")


class Deliveries:
    """Follows futures of a LogWriter. Thread-safe."""

    def __init__(self, on_error: Callable[[FailedEvent], None] | None = None) -> None:
        """`on_error` is called once per failure, at once, on the thread that found it."""
        self._on_error = on_error
        self._changed = threading.Condition()
        self._pending = 0
        self._failed: list[FailedEvent] = []

    @property
    def failed(self) -> int:
        """How many failures wait to be raised."""
        return len(self._failed)

    def track(self, event_id: str, customer_id: str, future: Future[Placed]) -> None:
        """Follow one event to its end."""
        if future.done() and not future.cancelled() and future.exception() is None:
            return
        with self._changed:
            self._pending += 1
        future.add_done_callback(lambda done: self._ended(event_id, customer_id, done))

    def _ended(self, event_id: str, customer_id: str, future: Future[Placed]) -> None:
        error = LogUnavailableError("it was cancelled") if future.cancelled() else future.exception()
        failure = None if error is None else FailedEvent(event_id, customer_id, error)
        with self._changed:
            self._pending -= 1
            if failure is not None:
                self._failed.append(failure)
            self._changed.notify_all()
        if failure is not None and self._on_error is not None:
            self._on_error(failure)

    def settle(self, timeout: float | None = None) -> None:
        """Wait until every event followed has ended, then tell of the failures, each of them once.

        Raises PublishError, and LogUnavailableError after `timeout` seconds.
        """
        with self._changed:
            settled = self._changed.wait_for(lambda: self._pending == 0, timeout)
            failed, self._failed = self._failed, []
            pending = self._pending
        if failed:
            raise PublishError(failed)
        if not settled:
            raise LogUnavailableError(f"{pending} events are still on their way after {timeout} s")
