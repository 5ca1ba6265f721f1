"""What one listener is told of the log of changes: from a position on, each record once, in each partition's order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, Self, TypeVar

from dashboard.change_feed import Change, ChangeFeed
from dashboard.change_position import ChangePosition
from logs.base import LogReader, LogUnavailableError, PositionGoneError

R = TypeVar("R")

START_SECONDS: Final = 15.0
"""So long the log may take to answer whoever listens first."""
LOOK_SECONDS: Final = 0.05
CATCH_UP_SECONDS: Final = 0.5
BURST: Final = 500
"""Records in one piece, at most."""
READERS: Final = 4
"""Listeners that may read the log itself at a time; more of them wait."""


class ChangeStream:
    """Makes streams of one feed."""

    def __init__(self, feed: ChangeFeed) -> None:
        self._feed = feed
        self._readers = asyncio.Semaphore(READERS)

    async def present(self) -> ChangePosition:
        """Where the log ends now. Raises LogUnavailableError."""
        self._feed.start()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_SECONDS
        while (now := self._feed.present()) is None:
            if loop.time() >= deadline or self._feed.closed:
                raise LogUnavailableError("the log of changes does not answer; try again")
            await asyncio.sleep(LOOK_SECONDS)
        return now

    async def after(self, position: ChangePosition, quiet: float) -> AsyncIterator[list[Change]]:
        """Everything after a position, some at a time; an empty list after so many seconds without news.

        The listener moves the position past each record before it asks for more.

        Raises PositionGoneError where the log no longer holds what comes next, or is another one.
        """
        now = await self.present()
        if position.identity != now.identity or len(position.next) != len(now.next):
            raise PositionGoneError("the log of changes was made anew")
        while not self._feed.closed:
            if not position.reaches(self._floor(position)):
                async for burst in self._caught_up(position, quiet):
                    yield burst
            number = self._feed.oldest()
            while (found := self._feed.since(number)) is not None and not self._feed.closed:
                self._floor(position)
                entries, number = found
                for burst in _bursts(entries, position):
                    yield burst
                if not entries and not await self._feed.news(number, quiet):
                    yield []

    def _floor(self, position: ChangePosition) -> list[int]:
        identity, floor = self._feed.floor()
        if identity != position.identity:
            raise PositionGoneError("the log of changes was made anew")
        return floor

    async def _caught_up(self, position: ChangePosition, quiet: float) -> AsyncIterator[list[Change]]:
        """What lies before the ring, from the log itself; empty lists while others are before us."""
        while not await self._has_turn(quiet):
            yield []
        try:
            with _ReaderThread(self._feed) as thread:
                async for burst in self._read(thread, position):
                    yield burst
        finally:
            self._readers.release()

    async def _has_turn(self, seconds: float) -> bool:
        """Whether it is our turn to read within so long."""
        try:
            async with asyncio.timeout(seconds):
                return await self._readers.acquire()
        except TimeoutError:
            return False

    async def _read(self, thread: "_ReaderThread", position: ChangePosition) -> AsyncIterator[list[Change]]:
        reader = await thread.opened()
        held: set[int] = set()
        while not position.reaches(floor := self._floor(position)) and not self._feed.closed:
            polled = await thread.run(lambda: reader.poll(CATCH_UP_SECONDS))
            for partition in polled.assigned:
                await thread.run(partial(reader.seek, partition, position.next[partition]))
            held = (held - polled.revoked) | polled.assigned
            for batch in polled.batches:
                entries = [
                    Change(batch.partition, at, value or b"")
                    for at, value in zip(batch.positions, batch.values, strict=True)
                ]
                for burst in _bursts(entries, position):
                    yield burst
            if not polled.batches and len(held) == len(position.next):
                lag = await thread.run(reader.lag)
                if lag is not None and not any(lag.values()):
                    # What the log holds was read: a partition whose records have all expired brings nothing.
                    position.next = [max(one or 0, end) for one, end in zip(position.next, floor, strict=True)]


class _ReaderThread:
    """A reader with a thread of its own: it is closed after all else, also where whoever waited has gone away."""

    def __init__(self, feed: ChangeFeed) -> None:
        self._executor = ThreadPoolExecutor(1, "changes-behind")
        self._opened = self._executor.submit(feed.reader)

    async def opened(self) -> LogReader:
        """The reader. Raises LogError."""
        return await asyncio.wrap_future(self._opened)

    async def run(self, work: Callable[[], R]) -> R:
        """What the work returns."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.submit(lambda: self._opened.result().close())
        self._executor.shutdown(wait=False)


def _bursts(entries: list[Change], position: ChangePosition) -> list[list[Change]]:
    """The entries that were not read yet, some at a time."""
    news = [one for one in entries if not position.is_past(one.partition, one.position)]
    return [news[start : start + BURST] for start in range(0, len(news), BURST)]
