"""When events go out: a history at a multiple of its own pace, a live stream at a rate."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from contracts.errors import LivesegmentsError
from contracts.times import SECOND
from producer.message import Message

_SPEED = re.compile(r"(\d+(?:\.\d+)?)x?")
_NAP: Final = 0.2
"""Seconds after which a wait looks whether it is to stop."""


class SpeedError(LivesegmentsError):
    """A speed or rate that is not understood."""


def parse_speed(text: str) -> float | None:
    """Seconds of event time per second; None for as fast as possible.

    >>> parse_speed("3600x"), parse_speed("max")
    (3600.0, None)
    """
    if text.strip().lower() == "max":
        return None
    found = _SPEED.fullmatch(text.strip().lower())
    if found is None or float(found[1]) == 0:
        raise SpeedError(f"speed {text!r}: expected max, or event time per time such as 3600x")
    return float(found[1])


class Timer:
    """Waiting, by a clock that tests may replace, until something says stop."""

    def __init__(
        self,
        stop: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.stop = stop
        self.monotonic = monotonic
        self._sleep = sleep

    def wait_until(self, moment: float) -> bool:
        """Wait for a moment of the monotonic clock; False where it is to stop instead."""
        while not self.stop():
            ahead = moment - self.monotonic()
            if ahead <= 0:
                return True
            self._sleep(min(ahead, _NAP))
        return False


def at_speed(messages: Iterable[Message], speed: float | None, timer: Timer) -> Iterator[Message]:
    """Each message when it is due, `speed` seconds of event time a second; None for at once. The first is due now."""
    start: tuple[float, int] | None = None
    for message in messages:
        if start is None:
            start = (timer.monotonic(), message.occurred_at)
        since_start = (message.occurred_at - start[1]) / SECOND
        if not timer.wait_until(start[0] + since_start / speed if speed is not None else start[0]):
            return
        yield message


def at_rate(messages: Iterator[Message], rate: float | None, timer: Timer) -> Iterator[Message]:
    """So many messages a second, None for no limit, each taken only when it is due; delays are caught up with."""
    if rate is not None and not rate > 0:
        raise SpeedError(f"rate {rate:g}: expected events per second, above 0")
    began = timer.monotonic()
    sent = 0
    while timer.wait_until(began + sent / rate if rate is not None else began):
        message = next(messages, None)
        if message is None:
            return
        yield message
        sent += 1
