"""What an answer means, and when to try again: pure, in seconds of whatever clock the caller has."""

import random
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from contracts.times import from_micros

LONGEST_RETRY_AFTER: Final = 3600.0
_PASSING: Final = frozenset({408, 425, 429})
"""Refusals that pass: the request took too long, came too early, or there were too many."""
_GONE: Final = 410
_OK: Final = range(200, 300)
_REFUSED: Final = range(300, 500)
"""Redirects, too: following one would send customers' ids where no setting says."""


class Meaning(StrEnum):
    """What became of a request."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """The endpoint does not answer, or says that it can not now: it may later."""
    REFUSED = "refused"
    """It answers, and does not want this request."""
    GONE = "gone"
    """It says that it will never again want any."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request ended."""

    meaning: Meaning
    status: int | None = None
    error: str = ""
    """In words; nothing of the answer's body, of the URL or of a customer is in it."""
    retry_after: float = 0.0
    """Seconds that the endpoint asks to be left alone."""


def meaning_of(status: int) -> Meaning:
    """What a status means.

    >>> [meaning_of(status).value for status in (204, 503, 429, 301, 410)]
    ['delivered', 'failed', 'failed', 'refused', 'gone']
    """
    if status in _OK:
        return Meaning.DELIVERED
    if status == _GONE:
        return Meaning.GONE
    return Meaning.REFUSED if status in _REFUSED and status not in _PASSING else Meaning.FAILED


def retry_after_seconds(header: str | None, now: int) -> float:
    """Seconds that a Retry-After header asks for, an hour at most; 0 where it is none. `now`: microseconds UTC.

    >>> [retry_after_seconds(header, 0) for header in ("120", "Thu, 01 Jan 1970 00:01:00 GMT", "soon")]
    [120.0, 60.0, 0.0]
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
        seconds = (at - from_micros(now)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient we are. Times in seconds."""

    retry_for: float = 86_400.0
    """A change is tried for so long; an endpoint that has failed for longer gets each change once."""
    first: float = 1.0
    longest: float = 300.0
    """Between tries there is a time drawn between 0 and `first`, doubled each time up to `longest` (full jitter)."""
    refused_tries: int = 3
    """A request that is refused is given up after so many."""
    failed_tries: int = 8
    """A change on which an endpoint fails that takes in nearly all others is given up after so many."""

    def delay(self, tries: int, draw: random.Random) -> float:
        """Seconds until the next try, after so many."""
        return draw.uniform(0.0, min(self.longest, self.first * 2.0 ** min(tries - 1, 30)))


class Gate:
    """Whether an endpoint may be sent anything now. While it fails, one request at a time, further and further apart.

    Parameters:
        policy: how patient we are.
        most: requests at a time while all is well.
        failing_since: since when it has failed, as far as is known from before.
    """

    def __init__(self, policy: RetryPolicy, most: int, draw: random.Random, failing_since: float | None = None) -> None:
        self.failing_since = failing_since
        self._policy = policy
        self._most = most
        self._draw = draw
        self._room = most if failing_since is None else 1
        self._failures = 0
        self._not_before = float("-inf")
        self._asked_until = float("-inf")
        """The endpoint asked to be left alone until then, and an answer to what was under way changes nothing of it."""

    def exhausted(self, now: float) -> bool:
        """Whether it has failed for so long that each change is tried once only."""
        return self.failing_since is not None and now - self.failing_since >= self._policy.retry_for

    def opens_at(self, now: float, in_flight: int) -> float | None:
        """When the next request may go out, `now` or later; None: not before one under way has ended."""
        room = self._most if self.exhausted(now) else self._room
        return None if in_flight >= room else max(now, self._not_before, self._asked_until)

    def answered(self) -> None:
        """It took a request in, or refused it: it is there. Twice as many may go out as before."""
        self.failing_since = None
        self._failures = 0
        self._not_before = float("-inf")
        self._room = min(self._most, self._room * 2)

    def failed(self, now: float, retry_after: float) -> None:
        """A request failed."""
        if self.failing_since is None:
            self.failing_since = now
        self._failures += 1
        self._room = 1
        delay = 0.0 if self.exhausted(now) else self._policy.delay(self._failures, self._draw)
        self._not_before = now + delay
        self._asked_until = max(self._asked_until, now + retry_after)
