"""Forgetting customers who have been silent for long: the partition's owner publishes an erasure of each.

The event stands on the log, so that a replay forgets them at the same place. It bears the time of the customer's newest
event, and is void where a newer one was applied before it (`unless_newer`). Its id follows from customer and time, so
that whoever publishes it a second time changes nothing.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import numpy as np
import structlog

from consumer.clock import Clock
from consumer.held import Held
from consumer.layout import MISSING_TIME
from consumer.row_store import RowStore
from contracts.events import Erase, encode_event
from contracts.times import HOUR, from_micros, rfc3339
from logs.base import LogError, LogWriter, Placed

if TYPE_CHECKING:
    from concurrent.futures import Future

RATE: Final = 200.0
"""Erasures a second: each costs about what an event costs, and a view to delete."""
_BURST: Final = 200.0
_LOOK_SHARE: Final = 100
"""A look at everybody's silence comes after a hundredth of the time that makes it one, and after an hour at most."""
_PAUSE: Final = 10.0
"""Seconds without a new look after the log took no event."""

_log = structlog.get_logger("livesegments.worker")


@dataclass(frozen=True, slots=True)
class Silent:
    """A customer to be forgotten, unless anything newer than `seen` comes first."""

    partition: int
    customer_id: str
    seen: int
    """Time of the newest event, microseconds UTC."""

    def erasure(self) -> Erase:
        """The event: always the same for the same customer and time."""
        digest = blake2b(self.customer_id.encode(), digest_size=16).hexdigest()
        return Erase(
            event_id=f"idle-{digest}-{self.seen}",
            customer_id=self.customer_id,
            occurred_at=from_micros(self.seen),
            unless_newer=True,
        )


class Forgetting:
    """Looks for silent customers in the partitions held, and publishes their erasures a few at a time.

    `idle`: microseconds of silence by the deployment's clock; 0: nobody is ever forgotten.
    """

    def __init__(self, store: RowStore, writer: LogWriter, log: str, idle: int, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._writer = writer
        self._log = log
        self._idle = idle
        self._monotonic = monotonic
        self._waiting: deque[Silent] = deque()
        self._sent: list[tuple[Silent, Future[Placed]]] = []
        self._asked: dict[str, int] = {}
        """Whose erasure is published, with the time that it names."""
        self._looked_at: int | None = None
        self._unseen = False
        """Whether events came since the last look, and none may follow."""
        self._not_before = 0.0
        self._allowed = _BURST
        self._allowed_at = monotonic()

    @property
    def pending(self) -> bool:
        """Whether somebody known to be silent is still to be asked about."""
        return bool(self._waiting or self._sent or self._unseen)

    def forget(self, held: Mapping[int, Held], clock: Clock, *, took: bool, trusted: bool) -> bool:
        """One turn. `took`: events were taken in just now; `trusted`: who seems to be silent is, as far as we can know.

        Returns whether anything was done.
        """
        if not self._idle or not clock.known:
            return False
        # An event clock may stand still from now on, so there the last look has to be exact.
        self._unseen |= took and clock.kind == "event"
        if not trusted:
            # Whom we took for silent by a clock or a feed that is doubted now: looked for anew once they are trusted.
            if self._waiting:
                self._waiting.clear()
                self._looked_at = None
            return False
        self._acknowledge()
        if not self._waiting and self._monotonic() >= self._not_before and self._due(clock.now, took=took):
            self._look(held, clock.now)
        return self._publish(held, clock.now)

    def _due(self, now: int, *, took: bool) -> bool:
        if self._looked_at is None or (self._unseen and not took):
            return True
        # A look in the future was by a clock that was wrong.
        return not 0 <= now - self._looked_at < min(HOUR, self._idle // _LOOK_SHARE)

    def _look(self, held: Mapping[int, Held], now: int) -> None:
        self._looked_at, self._unseen = now, False
        used = self._store.used
        seen = self._store.header["seen_at"][:used]
        rows = np.flatnonzero((seen <= now - self._idle) & (seen != MISSING_TIME) & (self._store.partition[:used] >= 0))
        asked: dict[str, int] = {}
        for row in rows.tolist():
            one = Silent(int(self._store.partition[row]), self._store.ids[row], int(seen[row]))
            if self._asked.get(one.customer_id) == one.seen:
                asked[one.customer_id] = one.seen
            elif one.partition in held:
                self._waiting.append(one)
        self._asked = asked
        if self._waiting:
            _log.info(
                "customers are to be forgotten", customers=len(self._waiting), silent_since=rfc3339(now - self._idle)
            )

    def _publish(self, held: Mapping[int, Held], now: int) -> bool:
        at = self._monotonic()
        self._allowed = min(_BURST, self._allowed + (at - self._allowed_at) * RATE)
        self._allowed_at = at
        done = False
        while self._waiting and self._allowed >= 1:
            one = self._waiting.popleft()
            if now - one.seen < self._idle or not self._still_silent(one, held):
                continue
            self._allowed -= 1
            self._asked[one.customer_id] = one.seen
            value = encode_event(one.erasure())
            sent = self._writer.append(self._log, one.customer_id.encode(), value, partition=one.partition)
            self._sent.append((one, sent))
            done = True
        return done

    def _still_silent(self, one: Silent, held: Mapping[int, Held]) -> bool:
        """As far as this worker knows; what it does not know yet makes the event void."""
        mine = held.get(one.partition)
        row = None if mine is None else mine.rows.index.get(one.customer_id)
        return row is not None and int(self._store.header["seen_at"][row]) == one.seen

    def _acknowledge(self) -> None:
        waiting = []
        for one, sent in self._sent:
            if not sent.done():
                waiting.append((one, sent))
            elif isinstance(sent.exception(), LogError):
                self._asked.pop(one.customer_id, None)
                self._unseen = True
                self._not_before = self._monotonic() + _PAUSE
        self._sent = waiting
