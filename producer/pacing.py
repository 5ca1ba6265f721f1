"""How fast event time passes while a history is replayed."""

import re
import time
from collections.abc import Callable

from contracts.errors import LivesegmentsError
from contracts.times import SECOND

_SPEED = re.compile(r"(\d+(?:\.\d+)?)x?")


class SpeedError(LivesegmentsError):
    """A speed that is not understood."""


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


class Pace:
    """Waits until an event is due. The first event sets the start: gaps before it take no time."""

    def __init__(
        self,
        speed: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`speed` is seconds of event time per second."""
        self._speed = speed
        self._monotonic = monotonic
        self._sleep = sleep
        self._start: tuple[int, float] | None = None

    def wait_for(self, occurred_at: int) -> None:
        """Return when an event of this time, in microseconds, is due."""
        if self._start is None:
            self._start = (occurred_at, self._monotonic())
        origin, began = self._start
        ahead = began + (occurred_at - origin) / SECOND / self._speed - self._monotonic()
        if ahead > 0:
            self._sleep(ahead)
