"""Sending what waits to one endpoint: which change goes when, and what becomes of one that is not taken in."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from livesegments.webhooks.endpoints import Endpoint
from livesegments.webhooks.lanes import Item, Lanes
from livesegments.webhooks.ledger import Letter
from livesegments.webhooks.messages import body_of
from livesegments.webhooks.retrying import Gate, Meaning, Outcome, RetryPolicy
from livesegments.webhooks.sending import Sender

TAKEN_IN_FOR_EACH_FAILURE: Final = 10
"""An endpoint that takes in so many changes for each one that it fails on is well."""

_log = structlog.get_logger("livesegments.webhooks")


@dataclass(slots=True)
class News:
    """What happened and is still to be written down, beside positions."""

    letters: list[Letter] = field(default_factory=list)
    returned: list[Letter] = field(default_factory=list)
    """Those that were tried again in vain."""
    settled: list[str] = field(default_factory=list)
    delivered: int = 0
    delivered_at: int | None = None

    def __bool__(self) -> bool:
        return bool(self.letters or self.returned or self.settled or self.delivered)


class Dispatcher:
    """Requests to one endpoint, in one event loop.

    Parameters:
        endpoint: who is told.
        sender: how; closed by the caller.
        policy: how patiently.
        now: microseconds UTC.
        draw: of pauses.
    """

    def __init__(
        self, endpoint: Endpoint, sender: Sender, policy: RetryPolicy, now: Callable[[], int], draw: random.Random
    ) -> None:
        self.news = News()
        """Whoever writes it down puts an empty one in its place."""
        self.held = False
        """Nothing is sent while that can not be written down: it would be sent again."""
        self.delivered = 0
        self.given_up = 0
        self.trying_again = 0
        """Dead letters that are on their way."""
        self.status: int | None = None
        self.error = ""
        """Of the newest request that was not taken in, until one is."""
        self._endpoint = endpoint
        self._sender = sender
        self._policy = policy
        self._now = now
        self._draw = draw
        self._gate = Gate(policy, endpoint.max_requests, draw)
        self._lanes = Lanes()
        self._failures = 0
        self._requests: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False

    def resume(self, failing_seconds: float, status: int | None, error: str) -> None:
        """The endpoint has failed for so long, as far as is known from before."""
        since = time.monotonic() - failing_seconds
        self._gate = Gate(self._policy, self._endpoint.max_requests, self._draw, since)
        self.status, self.error = status, error

    def forget(self) -> None:
        """What is still to be written down, and dead letters on their way, are of a log that is no more."""
        self.news, self.trying_again = News(), 0

    @property
    def failing_seconds(self) -> float | None:
        """For how long the endpoint has failed; None: it does not."""
        return None if self._gate.failing_since is None else time.monotonic() - self._gate.failing_since

    def add(self, item: Item) -> None:
        """Send this, after what waits for the same customer. To be followed by `wake`."""
        if item.letter is not None:
            self.trying_again += 1
        self._lanes.add(item)

    def wake(self) -> None:
        """Look whether something may be sent."""
        self._wake.set()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Send until told to stop; then wait for what is under way. Raises what is a fault of ours."""
        while not self._stopping:
            wait = self._start()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)
            self._wake.clear()
            for task in [task for task in self._requests if task.done()]:
                self._requests.discard(task)
                task.result()
        if self._requests:
            await asyncio.wait(self._requests)

    def _start(self) -> float | None:
        """Start what may start now; seconds until more may, None: not before something happens."""
        while not self.held:
            now = time.monotonic()
            under_way = sum(not task.done() for task in self._requests)
            opens, next_at = self._gate.opens_at(now, under_way), self._lanes.next_at(now)
            if opens is None or next_at is None:
                return None
            if (at := max(opens, next_at)) > now:
                return at - now
            if items := self._lanes.take(now, self._endpoint.max_changes):
                task = asyncio.create_task(self._request(items))
                self._requests.add(task)
                task.add_done_callback(lambda _: self._wake.set())
        return None

    async def _request(self, items: list[Item]) -> None:
        message_id, body = body_of([item.message for item in items], several=self._endpoint.max_changes > 1)
        outcome = (await self._sender.send(message_id, body)).outcome
        self._note(outcome)
        if outcome.meaning is Meaning.DELIVERED:
            self._delivered(items)
        else:
            self._not_delivered(items, outcome)

    def _note(self, outcome: Outcome) -> None:
        """What an answer says of the endpoint, whatever was sent."""
        now, since = time.monotonic(), self._gate.failing_since
        if outcome.meaning is Meaning.FAILED:
            self._failures += 1
            self._gate.failed(now, outcome.retry_after)
            if since is None:
                _log.warning("an endpoint fails; its changes wait", endpoint=self._endpoint.name, error=outcome.error)
        else:
            self._gate.answered()
            if since is not None:
                _log.info("an endpoint answers again", endpoint=self._endpoint.name, after_s=round(now - since, 1))
        delivered = outcome.meaning is Meaning.DELIVERED
        self.status, self.error = (None, "") if delivered else (outcome.status, outcome.error)

    def _delivered(self, items: list[Item]) -> None:
        self._lanes.done(items)
        self.delivered += len(items)
        self.news.delivered += len(items)
        self.news.delivered_at = self._now()
        for item in items:
            if item.letter is not None:
                if not item.void:
                    self.trying_again -= 1
                    self.news.settled.append(item.letter.id)
            elif item.window is not None:
                item.window.tick(item.position)

    def _not_delivered(self, items: list[Item], outcome: Outcome) -> None:
        now = time.monotonic()
        for item in items:
            item.tries += 1
            if item.tries == 1:
                item.failed_at = now
                item.delivered_before, item.failures_before = self.delivered, self._failures
        if all(self._is_hopeless(item, outcome, now, alone=len(items) == 1) for item in items):
            self._give_up(items, outcome)
        else:
            self._lanes.again(items, now + self._policy.delay(items[0].tries, self._draw))

    def _is_hopeless(self, item: Item, outcome: Outcome, now: float, *, alone: bool) -> bool:
        if item.letter is not None or outcome.meaning is Meaning.GONE:
            return True
        if outcome.meaning is Meaning.REFUSED:
            # Of several it may be one that is refused: each is tried alone.
            return alone and item.tries >= self._policy.refused_tries
        if self._gate.exhausted(now) or now - item.failed_at >= self._policy.retry_for:
            return True
        # The endpoint takes others in, and fails on few of them: it is this change that it can not deal with, and what
        # lies behind it waits. Where it fails on many, a change may well have had bad luck so often.
        taken_in = self.delivered - item.delivered_before
        others_failed = self._failures - item.failures_before - (item.tries - 1)
        tries = self._policy.failed_tries
        return item.tries >= tries and taken_in >= max(tries, TAKEN_IN_FOR_EACH_FAILURE * others_failed)

    def _give_up(self, items: list[Item], outcome: Outcome) -> None:
        self._lanes.done(items)
        if not self.given_up:
            _log.warning(
                "a change is given up, and is a dead letter now; further ones are only counted",
                endpoint=self._endpoint.name,
                error=outcome.error,
            )
        for item in items:
            letter = Letter(item.partition, item.position, self._now(), item.tries, outcome.status, outcome.error)
            if item.letter is not None:
                if not item.void:
                    self.trying_again -= 1
                    self.news.returned.append(letter)
            elif item.window is not None and not item.window.closed:
                self.given_up += 1
                self.news.letters.append(letter)
                item.window.tick(item.position)
