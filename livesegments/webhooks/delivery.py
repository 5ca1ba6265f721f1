"""Telling one endpoint of the changes: read from the log, handed over to be sent, ticked off, written down.

Everything runs in one event loop; the log, which a thread of its own reads, and the ledger are waited for.
What is written down is that everything before a position was delivered or given up. That stays true whoever else
writes: nobody has to be fenced off, positions only rise.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from consumer.state import StateError
from contracts.errors import LivesegmentsError
from contracts.times import SECOND
from livesegments.webhooks.dispatching import Dispatcher, News
from livesegments.webhooks.filtering import Filter
from livesegments.webhooks.lanes import Item
from livesegments.webhooks.ledger import Ledger, LedgerChangedError, Letter, Step
from livesegments.webhooks.lookup import contents
from livesegments.webhooks.messages import read_message
from livesegments.webhooks.window import Window
from logs.base import Batch, LogReader, Logs, PositionGoneError, count_between

MOST_READ: Final = 2_000
"""Changes of one partition that wait here; the others wait on the log."""
ENDS_SECONDS: Final = 10.0
LETTERS_AT_ONCE: Final = 200
LETTER_SECONDS: Final = 300
"""So long nobody else takes a dead letter that is tried again."""

Answer = TypeVar("Answer")

_log = structlog.get_logger("livesegments.webhooks")


@dataclass(frozen=True, slots=True)
class Source:
    """The log of changes, and the group in which an endpoint reads it."""

    logs: Logs
    log: str
    group: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How often what is done, in seconds."""

    poll: float = 0.25
    write: float = 0.5
    """What was delivered since the last step is sent again if we are killed."""
    sign_of_life: float = 2.0
    """A step also where there is nothing to write; dead letters that are to be sent again are noticed with it."""
    retry: float = 1.0
    """The log or Redis does not answer."""


PACE: Final = Pace()


class Delivery:
    """One endpoint, as long as `run` runs.

    Parameters:
        name: of the endpoint.
        source: of what it is told.
        ledger: where is written down how far that has got.
        dispatcher: how it is told.
        wanted: what it is told.
        now: microseconds UTC.
        pace: how often it looks and writes.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        ledger: Ledger,
        dispatcher: Dispatcher,
        wanted: Filter,
        *,
        now: Callable[[], int],
        pace: Pace = PACE,
    ) -> None:
        self.name = name
        self.dispatcher = dispatcher
        self.lost = 0
        """Records that the log let go of before they were sent."""
        self.unreadable = 0
        """Records that are no change, or of a kind that a newer version tells of."""
        self.error = ""
        """What keeps it from working: the log or Redis does not answer. Empty: nothing."""
        self._source = source
        self._ledger = ledger
        self._filter = wanted
        self._now = now
        self._pace = pace
        self._windows: dict[int, Window] = {}
        self._letters = Window(0)
        """Of dead letters that are tried again; closed once the log was made anew."""
        self._paused: set[int] = set()
        self._behind: int | None = None
        """Records of our partitions that were not read yet; None while that is unknown."""
        self._looked_at = float("-inf")
        self._identity = ""
        self._written: dict[int, int] = {}
        self._lost: dict[int, int] = {}
        self._unwritten: Step | None = None
        self._wrote_at = float("-inf")
        self._said: tuple[bool, int | None, str] = (True, None, "")
        self._again = 0
        self._stopping = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, f"webhook-{name}")

    def stop(self) -> None:
        """Begin nothing more; `run` ends when what is under way has ended."""
        self._stopping.set()
        self.dispatcher.stop()

    @property
    def waiting(self) -> int | None:
        """Changes that are still to be sent, and records still to be looked at; None while that is unknown."""
        return None if self._behind is None else self._behind + sum(len(window) for window in self._windows.values())

    async def run(self) -> None:
        """Until `stop`. Raises what is a fault of ours."""
        sending = asyncio.create_task(self.dispatcher.run())
        try:
            while not self._stopping.is_set():
                try:
                    await self._follow(sending)
                except LivesegmentsError as error:  # the log, Redis, or what another version of ours has written
                    self._hindered(error)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._stopping.wait(), self._pace.retry)
        finally:
            self.stop()
            await asyncio.wait({sending})
            self._thread.shutdown(wait=False)
        sending.result()

    def _hindered(self, error: Exception) -> None:
        if isinstance(error, PositionGoneError | LedgerChangedError):
            return  # what was lost is said once it has been counted
        if not self.error:
            _log.warning("changes can not be followed; trying on", endpoint=self.name, error=str(error))
        self.error = str(error)

    # ---- reading ----

    async def _in_thread(self, call: Callable[..., Answer], *args: Any) -> Answer:
        """What the log's own thread, which alone touches the reader, answers."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(call, *args))

    async def _follow(self, sending: "asyncio.Task[None]") -> None:
        """Read the log as a member of the endpoint's group, until told to stop or something is wrong with it."""
        source = self._source
        reader = await self._in_thread(source.logs.reader, source.log, source.group)
        try:
            await self._begin(reader.info.identity)
            while not (self._stopping.is_set() or sending.done()):
                polled = await self._in_thread(reader.poll, self._pace.poll)
                if polled.revoked or polled.assigned:
                    await self._write(force=True)
                self._let_go(polled.revoked)
                await self._take_up(reader, polled.assigned)
                for batch in polled.batches:
                    await self._read(reader, batch)
                await self._resume(reader)
                await self._look(reader)
                await self._note(reader)
            self.stop()
            await asyncio.wait({sending})
            await self._write_last(reader)
        finally:
            self._let_go(frozenset(self._windows))
            self._behind = None
            await self._in_thread(reader.close)

    async def _begin(self, identity: str) -> None:
        """An endpoint that is new is told what comes from now on; of a log that was made anew, everything."""
        source = self._source
        kept = await asyncio.to_thread(self._ledger.kept, self.name)
        starts = await asyncio.to_thread(source.logs.starts, source.log)
        if kept.identity != identity or len(kept.positions) < len(starts):
            first = starts if kept.identity else await asyncio.to_thread(source.logs.ends, source.log)
            await asyncio.to_thread(self._ledger.begin, self.name, identity, dict(enumerate(first)))
        if self._identity == identity:
            return
        if not self._identity and kept.failing_since is not None:
            # Until somebody last looked: while nobody did, nothing was sent, and nothing could fail.
            until = self._now() if kept.seen_at is None else min(self._now(), kept.seen_at)
            failing = max(0, until - kept.failing_since) / SECOND
            self.dispatcher.resume(failing, kept.status, kept.error)
        if self._identity:
            self._letters.closed, self._letters = True, Window(0)
            self.dispatcher.forget()
        self._identity, self._written, self._lost, self._unwritten = identity, {}, {}, None

    async def _take_up(self, reader: LogReader, partitions: frozenset[int]) -> None:
        """Go on where everything before was delivered or given up, by whoever had the partition."""
        if not partitions:
            return
        log, logs = self._source.log, self._source.logs
        kept = await asyncio.to_thread(self._ledger.kept, self.name)
        starts = await asyncio.to_thread(logs.starts, log)
        ends = await asyncio.to_thread(logs.ends, log)
        for number in sorted(partitions):
            stored = kept.positions.get(number, starts[number])
            position = min(max(stored, starts[number]), ends[number])
            if position != stored:
                self._count_lost(number, stored, position)
            self._windows[number] = Window(position)
            self._written[number] = stored
            await self._in_thread(reader.seek, number, position)
        if self.error:
            _log.info("changes are followed again", endpoint=self.name)
            self.error = ""

    def _count_lost(self, number: int, stored: int, position: int) -> None:
        """The log has let go of what comes next; or it has gone back, and what comes next is of another history."""
        if lost := count_between(stored, position):
            self._lost[number] = lost
            self.lost += lost
            _log.error(
                "the log let go of records before they were sent; it keeps them for segment_changes_retention",
                endpoint=self.name,
                partition=number,
                records=lost,
            )
        elif stored > position:
            _log.error("the log holds less than was sent", endpoint=self.name, partition=number)

    def _let_go(self, partitions: frozenset[int]) -> None:
        for number in partitions:
            if (window := self._windows.pop(number, None)) is not None:
                window.closed = True
            self._paused.discard(number)

    async def _read(self, reader: LogReader, batch: Batch) -> None:
        window = self._windows.get(batch.partition)
        if window is None or batch.partition in self._paused:
            return
        room = MOST_READ - len(window)
        if room < len(batch):
            self._paused.add(batch.partition)
            await self._in_thread(reader.pause, batch.partition)
        read = [None if value is None else read_message(value) for value in batch.values[:room]]
        messages = [message for message in read if message is not None]
        self.unreadable += len(read) - len(messages)
        if self._filter.is_old(messages):
            await asyncio.to_thread(self._filter.refresh)
        for position, message in zip(batch.positions, read, strict=False):
            if message is None or not self._filter.wants(message):
                window.pass_over(position)
            else:
                window.await_(position)
                self.dispatcher.add(Item(message, batch.partition, position, window))
        self.dispatcher.wake()

    async def _resume(self, reader: LogReader) -> None:
        """Read on where enough was sent."""
        for number in sorted(self._paused):
            window = self._windows[number]
            if len(window) <= MOST_READ // 2:
                self._paused.discard(number)
                await self._in_thread(reader.seek, number, window.next)

    async def _look(self, reader: LogReader) -> None:
        """See how far behind we are. Of a partition that is paused the reader does not know."""
        if not self._paused:
            lag = await self._in_thread(reader.lag)
            self._behind = None if lag is None else sum(lag.values())
            return
        if (now := time.monotonic()) - self._looked_at >= ENDS_SECONDS:
            self._looked_at = now
            ends = await asyncio.to_thread(self._source.logs.ends, self._source.log)
            self._behind = sum(count_between(one.next or 0, ends[number]) for number, one in self._windows.items())

    # ---- writing down ----

    async def _note(self, reader: LogReader) -> None:
        """Write down what there is, tell those who watch the group, and see what else is asked of us."""
        try:
            if await self._write():
                await self._in_thread(reader.commit, dict(self._written))
            await self._try_again()
        except StateError as error:
            self._hindered(error)  # what is read meanwhile is not sent
        else:
            if self.error and self._windows:
                _log.info("changes are followed again", endpoint=self.name)
                self.error = ""

    async def _write(self, *, force: bool = False) -> bool:
        """Write a step if it is time; whether one was written. Raises StateError, LedgerChangedError."""
        now = time.monotonic()
        step = self._unwritten or self._step(now, force=force)
        if step is None:
            return False
        self._unwritten = step
        try:
            self._again = await asyncio.to_thread(self._ledger.advance, self.name, step)
        except StateError:
            self.dispatcher.held = True
            raise
        self._unwritten, self._wrote_at = None, now
        self._written |= step.positions
        for number in step.positions:
            self._lost.pop(number, None)
        if self.dispatcher.held:
            self.dispatcher.held = False
            self.dispatcher.wake()
        return True

    def _step(self, now: float, *, force: bool) -> Step | None:
        """What there is to write down, if there is anything and it is time."""
        sent = self.dispatcher
        positions = {
            number: reached
            for number, window in self._windows.items()
            if (reached := window.reached) is not None and reached > self._written.get(number, -1)
        }
        said = (sent.failing_seconds is None, sent.status, sent.error)
        due = self._pace.write if positions or sent.news or said != self._said else self._pace.sign_of_life
        if not self._identity or (now - self._wrote_at < due and not force):
            return None
        news, sent.news, self._said = sent.news, News(), said
        failing = sent.failing_seconds
        return Step(
            call=uuid.uuid4().hex,
            identity=self._identity,
            at=self._now(),
            positions=positions,
            lost={number: self._lost[number] for number in positions if number in self._lost},
            letters=news.letters,
            returned=news.returned,
            settled=news.settled,
            delivered=news.delivered,
            failing_since=None if failing is None else self._now() - round(failing * SECOND),
            delivered_at=news.delivered_at,
            status=sent.status,
            error=sent.error,
        )

    async def _write_last(self, reader: LogReader) -> None:
        """What was delivered since the last step; without it, it is sent again."""
        try:
            if self._unwritten is not None:
                await self._write(force=True)
            await self._write(force=True)
            await self._in_thread(reader.commit, dict(self._written))
        except LivesegmentsError as error:
            _log.warning("what was sent last will be sent again", endpoint=self.name, error=str(error))

    # ---- dead letters that are tried again ----

    async def _try_again(self) -> None:
        """Take some of those that somebody wants tried again, while the endpoint takes changes in."""
        sent, source = self.dispatcher, self._source
        if not self._again or sent.trying_again or sent.failing_seconds is not None:
            return
        now, self._again = self._now(), 0
        letters = await asyncio.to_thread(
            self._ledger.take, self.name, LETTERS_AT_ONCE, now, now + LETTER_SECONDS * SECOND
        )
        if not letters:
            return
        found = await asyncio.to_thread(contents, source.logs, source.log, f"{source.group}-letters", letters)
        for letter in sorted(letters, key=lambda one: (one.partition, one.position)):
            message = read_message(found[letter.id]) if letter.id in found else None
            if message is None:
                gone = Letter(letter.partition, letter.position, now, letter.tries, None, "the log no longer holds it")
                sent.news.returned.append(gone)
            else:
                sent.add(Item(message, letter.partition, letter.position, self._letters, letter, letter.tries))
        sent.wake()
