"""Whether events come at all: tells a silent feed from silent customers."""

from collections.abc import Iterable

import structlog

from consumer.clock import Clock
from consumer.held import Held
from consumer.learning import Learner
from contracts.times import DAY, rfc3339

_log = structlog.get_logger("livesegments.worker")


class Feed:
    """By the wall clock no shop's customers all fall silent in a day: then the feed is broken, and time moves nobody.

    It is over when everything that was waiting on the log has been read.
    """

    def __init__(self, clock: Clock, learner: Learner, quiet_after: int) -> None:
        self.quiet_since: int | None = None
        """When the last event came, while that is so long ago that the feed seems broken."""
        self._heard = 0
        self._clock = clock
        self._learner = learner
        self._quiet_after = quiet_after

    def day(self, heard: int = 0) -> int:
        """The stream day, counted from the epoch: on which what happens now is booked.

        Where the machine's time is far from that of the newest record, which it is too when a history is read, the log
        knows better: by a clock that jumped years ahead all of the books would be too old to be kept.
        """
        now, heard = self._clock.now, max(heard, self._heard)
        if self._clock.kind == "wall" and heard and now - heard > self._quiet_after:
            now = heard
        return now // DAY

    def listen(self, held: Iterable[Held], heard: int = 0, *, at_rest: bool) -> None:
        """Look again. `heard`: log time of the newest record that others have read, microseconds."""
        learner = self._learner
        self._heard = max([self._heard, heard, *(one.heard for one in held)])
        if self._clock.kind != "wall" or not self._heard:
            return
        silent = self._clock.wall() - self._heard > self._quiet_after
        if silent and not learner.quiet:
            learner.quiet, self.quiet_since = True, self._heard
            _log.warning("no event has come for long: nobody moves because of time alone", since=rfc3339(self._heard))
        elif learner.quiet and not silent and at_rest:
            learner.quiet, self.quiet_since = False, None
            learner.swept_at = None  # those who were kept where they were move now
            _log.info("events come again")
