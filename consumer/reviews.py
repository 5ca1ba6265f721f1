"""Reviews beside the worker: in a child process in production, in the worker itself where runs must be repeatable."""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

import structlog

from consumer import low_priority
from online_model.review import Review

Work = Callable[[], Review]

_log = structlog.get_logger("livesegments.reviews")
_REST = 10
"""A review may take one part in so many of the time."""


def timed(work: Work) -> tuple[Review, float]:
    """The review, and how many seconds it took; the time to start a process does not count."""
    began = time.monotonic()
    return work(), time.monotonic() - began


class Reviews(Protocol):
    """Works on one review at a time."""

    @property
    def free(self) -> bool:
        """Whether one may be asked for now."""

    @property
    def running(self) -> bool:
        """Whether one is under way or its result not yet taken."""

    def ask(self, work: Work) -> None:
        """Begin; `work` is picklable and knows everything it needs."""

    def take(self) -> Review | None:
        """What the review came to, once; None before that."""

    def close(self) -> None:
        """End whatever is under way."""


class InlineReviews:
    """Works at once, in the caller: the same stream gives the same models."""

    def __init__(self) -> None:
        self._result: Review | None = None

    free = True
    running = False

    def ask(self, work: Work) -> None:
        """Review."""
        self._result = work()

    def take(self) -> Review | None:
        """What came of it, once."""
        result, self._result = self._result, None
        return result

    def close(self) -> None:
        """Nothing is under way."""


class ProcessReviews:
    """Works in a child process of low priority that lives as long as this object."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._pool: ProcessPoolExecutor | None = None
        self._future: Future[tuple[Review, float]] | None = None
        self._not_before = 0.0

    @property
    def free(self) -> bool:
        """Whether one may be asked for now: none is under way, and the last one's share of the time is over."""
        return self._future is None and self._monotonic() >= self._not_before

    @property
    def running(self) -> bool:
        """Whether one is under way or its result not yet taken."""
        return self._future is not None

    def ask(self, work: Work) -> None:
        """Begin."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=low_priority.begin)
        self._future = self._pool.submit(timed, work)

    def take(self) -> Review | None:
        """What the review came to, once it is there."""
        if self._future is None or not self._future.done():
            return None
        future, self._future = self._future, None
        try:
            review, seconds = future.result()
        except BrokenProcessPool:
            _log.warning("review process died; the next review gets a new one")
            self.close()
            return None
        self._not_before = self._monotonic() + _REST * seconds
        return review

    def close(self) -> None:
        """End whatever is under way."""
        if self._pool is not None:
            for process in list((self._pool._processes or {}).values()):  # noqa: SLF001 - it has no public way to end now
                process.terminate()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        self._future = None
