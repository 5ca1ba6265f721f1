"""What time it is for the deployment: the machine's, or that of the newest event."""

import time
from collections.abc import Callable, Iterable
from typing import Literal

ClockKind = Literal["wall", "event"]


def wall_micros() -> int:
    """The machine's time in microseconds UTC."""
    return time.time_ns() // 1000


class Clock:
    """`now` for features, sweeps, views and decisions.

    `wall` is for production. `event` is the newest time of any event that counted, in any partition: a replay of a year
    in a minute then makes the same segments as the year did.
    """

    def __init__(self, kind: ClockKind, wall: Callable[[], int] = wall_micros) -> None:
        self.kind = kind
        self.wall = wall
        self._newest: int | None = None

    def hear(self, times: Iterable[int]) -> None:
        """Take note of event times."""
        for at in times:
            if self._newest is None or at > self._newest:
                self._newest = at

    @property
    def known(self) -> bool:
        """Whether it is more than a guess what time it is: an event clock begins with the first event."""
        return self.kind == "wall" or self._newest is not None

    @property
    def now(self) -> int:
        """Microseconds UTC; the machine's time until the first event is known."""
        if self.kind == "event" and self._newest is not None:
            return self._newest
        return self.wall()
