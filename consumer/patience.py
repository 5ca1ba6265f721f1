"""Trying again while a server does not answer: says so once, waits longer each time, and stops when asked to."""

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog

from consumer.state import StateUnavailableError
from logs.base import LogUnavailableError
from recommender.store import ViewsUnavailableError

Answer = TypeVar("Answer")

WAITS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between tries; the last one for as long as it takes."""
_SILENCE: Final = 10.0
PASSING: Final = (StateUnavailableError, LogUnavailableError, ViewsUnavailableError)
"""Errors that trying again may cure."""

_log = structlog.get_logger("livesegments.patience")


class StoppedError(Exception):
    """The worker was asked to stop while it waited for a server."""


class Patience:
    """Calls until the server answers."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._said_at = float("-inf")
        self.waiting_for: str | None = None
        """What is tried again and again just now; None while servers answer. To be read from any thread."""
        self.failed_at = float("-inf")
        """Monotonic time of the last failure: whoever waits for a server is alive. To be read from any thread."""

    def try_until_done(self, what: str, call: Callable[[], Answer]) -> Answer:
        """The call's answer. Raises StoppedError, and whatever else than PASSING the call raises."""
        began = time.monotonic()
        tries = 0
        try:
            while True:
                try:
                    answer = call()
                except PASSING as error:
                    self.waiting_for, self.failed_at = what, time.monotonic()
                    if tries == 0:
                        _log.warning("a server does not answer; trying again", doing=what, error=str(error))
                    wait = WAITS[min(tries, len(WAITS) - 1)]
                    tries += 1
                    if self._stopping.wait(wait):
                        raise StoppedError from error
                else:
                    if tries:
                        _log.info("the server answers again", doing=what, after_s=round(time.monotonic() - began, 1))
                    return answer
        finally:  # also where it answers with what trying again does not cure
            if tries:
                self.waiting_for = None

    def pause(self, what: str, error: Exception) -> None:
        """After a failure that the next step tries again anyway: say so now and then, and wait a little."""
        self.failed_at = now = time.monotonic()
        if now - self._said_at > _SILENCE:
            self._said_at = now
            _log.warning("a server does not answer; trying again", doing=what, error=str(error))
        self._stopping.wait(WAITS[2])
