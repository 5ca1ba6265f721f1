"""Listening to changes: everything after a position exactly once, from the ring or from the log itself."""

import asyncio
import itertools
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.change_feed import ChangeFeed
from dashboard.change_position import ChangePosition, PositionTextError
from dashboard.change_stream import READERS, ChangeStream
from logs.base import LogSpec, LogUnavailableError, PositionGoneError
from logs.memory import MemoryLogs

PARTITIONS = 3
SECONDS = 30.0
_numbers = itertools.count()


class Log:
    """A log of changes in memory, and what a listener was told of it."""

    def __init__(self, ring=20_000):
        self.logs = MemoryLogs()
        self.logs.create(LogSpec("changes", PARTITIONS))
        self.writer = self.logs.writer()
        self.feed = ChangeFeed(self.logs, "changes", "g", ring)

    def write(self, count) -> list[bytes]:
        values = [b"%d" % next(_numbers) for _ in range(count)]
        for n, value in enumerate(values):
            self.writer.append("changes", None, value, partition=n % PARTITIONS).result()
        return values

    async def listen(self, position, count) -> list[bytes]:
        """So many values after a position, which moves along."""
        found = []
        if count == 0:
            return found
        async with asyncio.timeout(SECONDS):
            async for burst in ChangeStream(self.feed).after(position, 0.05):
                for one in burst:
                    position.next[one.partition] = one.position + 1
                    found.append(one.value)
                    if len(found) == count:
                        return found
        raise AssertionError(found)

    async def present(self) -> ChangePosition:
        return await ChangeStream(self.feed).present()


@contextmanager
def a_log(**more):
    log = Log(**more)
    try:
        yield log
    finally:
        log.feed.close()


def test_who_listens_is_told_what_happens_from_now_on():
    async def run(log):
        log.write(5)
        position = await log.present()
        later = log.write(7)
        assert sorted(await log.listen(position, 7)) == sorted(later)

    with a_log() as log:
        asyncio.run(run(log))


def test_who_comes_back_is_told_what_was_missed():
    async def run(log):
        position = await log.present()
        first = log.write(10)
        found = await log.listen(position, 4)
        again = ChangePosition.read(str(position))
        found += await log.listen(again, 6)
        assert sorted(found) == sorted(first)

    with a_log() as log:
        asyncio.run(run(log))


def test_from_the_beginning_of_the_log_although_nobody_listened_then():
    async def run(log):
        old = log.write(50)
        now = await log.present()
        new = log.write(5)
        position = ChangePosition.beginning(now.identity, PARTITIONS)
        assert sorted(await log.listen(position, 55)) == sorted(old + new)

    with a_log() as log:
        asyncio.run(run(log))


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=5), st.integers(1, 8))
def test_nothing_is_missed_or_told_twice_where_the_ring_is_too_small(bursts, ring):
    async def run(log):
        position = await log.present()
        written, found = [], []
        for count in bursts:
            written += log.write(count)
            wanted = len(written) - len(found)
            found += await log.listen(ChangePosition.read(str(position)), 0)
            if wanted > 3:
                found += await log.listen(position, wanted - 3)
        found += await log.listen(position, len(written) - len(found))
        assert sorted(found) == sorted(written)

    with a_log(ring=ring) as log:
        asyncio.run(run(log))


def test_many_listen_at_once():
    async def run(log):
        positions = [await log.present() for _ in range(20)]
        listening = [asyncio.create_task(log.listen(position, 30)) for position in positions]
        written = log.write(30)
        assert all(sorted(one) == sorted(written) for one in await asyncio.gather(*listening))

    with a_log() as log:
        asyncio.run(run(log))


def test_while_nothing_happens_there_are_empty_bursts():
    async def run(log):
        async with asyncio.timeout(SECONDS):
            async for burst in ChangeStream(log.feed).after(await log.present(), 0.01):
                assert burst == []
                return

    with a_log() as log:
        asyncio.run(run(log))


def test_who_waits_for_a_turn_to_read_hears_something():
    async def run(log):
        log.write(5)
        now = await log.present()
        log.write(1)
        stream = ChangeStream(log.feed)
        for _ in range(READERS):
            await stream._readers.acquire()
        found, silent, position = [], 0, ChangePosition.beginning(now.identity, PARTITIONS)
        async with asyncio.timeout(SECONDS):
            async for burst in stream.after(position, 0.2):
                if not burst:
                    silent += 1
                    stream._readers.release()
                for one in burst:
                    position.next[one.partition] = one.position + 1
                found += burst
                if len(found) == 6:
                    break
        assert silent == 1

    with a_log() as log:
        asyncio.run(run(log))


def test_what_the_log_no_longer_holds_is_gone():
    async def run(log):
        position = await log.present()
        log.write(30)
        await log.listen(ChangePosition.read(str(position)), 30)
        for partition in range(PARTITIONS):
            log.logs.trim("changes", partition, 5)
        log.write(100)
        with pytest.raises(PositionGoneError):
            await log.listen(position, 130)

    with a_log(ring=4) as log:
        asyncio.run(run(log))


def test_a_position_of_another_log_is_gone():
    async def run(log):
        await log.present()
        with pytest.raises(PositionGoneError, match="made anew"):
            await log.listen(ChangePosition.beginning("another", PARTITIONS), 1)

    with a_log() as log:
        asyncio.run(run(log))


def test_a_log_that_is_made_anew_ends_the_stream():
    async def run(log):
        position = await log.present()
        listening = asyncio.create_task(log.listen(position, 1))
        await asyncio.sleep(0)
        log.logs.delete("changes")
        log.logs.create(LogSpec("changes", PARTITIONS))
        with pytest.raises(PositionGoneError):
            await listening

    with a_log() as log:
        asyncio.run(run(log))


def test_a_log_that_does_not_answer_is_said(monkeypatch):
    monkeypatch.setattr("dashboard.change_stream.START_SECONDS", 0.2)

    async def run(feed):
        with pytest.raises(LogUnavailableError):
            await ChangeStream(feed).present()

    feed = ChangeFeed(MemoryLogs(), "nowhere", "g")
    try:
        asyncio.run(run(feed))
    finally:
        feed.close()


positions = st.builds(
    ChangePosition,
    st.text("abcXYZ019_-", min_size=1, max_size=22),
    st.lists(st.none() | st.integers(0, 2**127), min_size=1, max_size=12),
)


@given(positions)
def test_a_position_is_read_as_it_was_written(position):
    assert ChangePosition.read(str(position)) == position


@given(st.text(max_size=50))
def test_any_text_is_a_position_or_refused(text):
    try:
        ChangePosition.read(text)
    except PositionTextError:
        return
    assert "." in text
