"""Reviews beside the worker: in a child process in production, in the worker itself where runs must be repeatable."""

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import Generic, Protocol, TypeVar

import structlog

from consumer import low_priority
from consumer.spent import Spent

Result = TypeVar("Result")

_log = structlog.get_logger("livesegments.reviews")
_REST = 10
"""A kind of review may take one part in so many of the time."""


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """What the work came to, and how many seconds it took; the time to start a process does not count."""
    began = time.monotonic()
    return work(), time.monotonic() - began


class Reviews(Protocol[Result]):
    """Works on one review of a kind at a time."""

    @property
    def free(self) -> bool:
        """Whether one may be asked for now."""

    @property
    def running(self) -> bool:
        """Whether one is under way or its result not yet taken."""

    def ask(self, work: Callable[[], Result]) -> None:
        """Begin; `work` is picklable and knows everything it needs."""

    @property
    def failed(self) -> bool:
        """Whether the one taken last came to nothing; the log says why."""

    def take(self) -> Result | None:
        """What the review came to, once; None before that."""


class InlineReviews(Generic[Result]):
    """Works at once, in the caller: the same stream gives the same models, and what fails is the caller's."""

    def __init__(self, spent: Spent) -> None:
        self._spent = spent
        self._result: Result | None = None

    free = True
    running = False
    failed = False

    def ask(self, work: Callable[[], Result]) -> None:
        """Review."""
        self._result, seconds = timed(work)
        self._spent.add(seconds)

    def take(self) -> Result | None:
        """What came of it, once."""
        result, self._result = self._result, None
        return result


class ReviewProcess:
    """One child process of low priority for all kinds of reviews, from the first one on."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, work: Callable[[], Result]) -> Future[tuple[Result, float]]:
        """Begin, or wait until the review before is done."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=low_priority.begin)
        try:
            future = self._pool.submit(timed, work)
        except BrokenProcessPool:
            self.close()
            return self.submit(work)
        for pid in [process.pid for process in self._processes if process.pid is not None]:
            low_priority.give_way(pid, os.getpid())
        return future

    @property
    def _processes(self) -> list[BaseProcess]:
        """Those of the pool, which has no public way to them."""
        return [] if self._pool is None else list((self._pool._processes or {}).values())  # noqa: SLF001

    def close(self) -> None:
        """End whatever is under way. May be called again; `submit` begins anew."""
        if self._pool is not None:
            for process in self._processes:
                process.terminate()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


class ProcessReviews(Generic[Result]):
    """Works in a child process; what is due of another kind may have to be waited for there."""

    def __init__(self, process: ReviewProcess, spent: Spent, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._process = process
        self._spent = spent
        self._monotonic = monotonic
        self._future: Future[tuple[Result, float]] | None = None
        self._asked_at = 0.0
        self._not_before = 0.0
        self.failed = False

    @property
    def free(self) -> bool:
        """Whether one may be asked for now: none is under way, and the last one's share of the time is over."""
        return self._future is None and self._monotonic() >= self._not_before

    @property
    def running(self) -> bool:
        """Whether one is under way or its result not yet taken."""
        return self._future is not None

    def ask(self, work: Callable[[], Result]) -> None:
        """Begin."""
        self._asked_at = self._monotonic()
        try:
            self._future = self._process.submit(work)
        except OSError as error:  # no memory, or no process more: told when the result is taken
            self._future = Future()
            self._future.set_exception(error)

    def take(self) -> Result | None:
        """What the review came to, once it is there."""
        if self._future is None or not self._future.done():
            return None
        future, self._future = self._future, None
        self.failed = True
        if future.cancelled():
            return None
        try:
            result, seconds = future.result()
        except BrokenProcessPool:
            _log.warning("review process died; the next review gets a new one")
            return None
        except Exception:  # noqa: BLE001 - events go on; whoever leads next would only fail at the same
            _log.exception("a review failed; everything else goes on, and the next one is tried when it is due")
            self._not_before = self._monotonic() + _REST * (self._monotonic() - self._asked_at)
            return None
        self.failed = False
        self._spent.add(seconds)
        self._not_before = self._monotonic() + _REST * seconds
        return result


class Reviewers:
    """All kinds of reviews of one worker: each at once and in place, or all in one child process."""

    def __init__(self, *, inline: bool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._inline = inline
        self._monotonic = monotonic
        self._process = ReviewProcess()

    def one_kind(self, spent: Spent) -> Reviews[Result]:
        """For reviews of one kind, of which one is worked on at a time; `spent` is what they take."""
        return InlineReviews(spent) if self._inline else ProcessReviews(self._process, spent, self._monotonic)

    def close(self) -> None:
        """End whatever is under way."""
        self._process.close()
