"""How many customers are in each audience, kept by stream day: written by the worker that leads."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from consumer.clock import wall_micros
from consumer.day_book import KEPT_DAYS
from consumer.state import State, StateError
from contracts.documents import AudienceDay, AudienceSize
from contracts.keys import Keys
from contracts.times import from_micros
from livesegments.worker_status import is_gone, read_status
from recommender.store import ViewStore, ViewsUnavailableError

if TYPE_CHECKING:
    from consumer.worker import Worker

INTERVAL_SECONDS: Final = 10.0
_TTL_MS: Final = int(timedelta(days=KEPT_DAYS).total_seconds() * 1000)


class AudienceDays:
    """Called after every step of a worker; adds up what all workers count, every so many seconds, where this one leads.

    Parameters:
        state: where workers say how they are doing.
        views: where the days go.
        keys: of the deployment.
    """

    def __init__(
        self,
        state: State,
        views: ViewStore,
        keys: Keys,
        *,
        wall: Callable[[], int] = wall_micros,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._views = views
        self._keys = keys
        self._wall = wall
        self._monotonic = monotonic
        self._due = monotonic()
        self._written = b""

    def __call__(self, worker: "Worker") -> None:
        """Write the present day if it is time. Servers that do not answer are for the worker to survive."""
        now = self._monotonic()
        if now < self._due or 0 not in worker.memory.held or not worker.memory.learner.audiences:
            return
        self._due = now + INTERVAL_SECONDS
        with contextlib.suppress(StateError, ViewsUnavailableError):
            self._write(worker)

    def _write(self, worker: "Worker") -> None:
        told = [status for one in self._state.workers().values() if (status := read_status(one)) is not None]
        working = [one for one in told if not is_gone(one, self._wall())]
        # While partitions change hands some customers are counted twice, or by nobody.
        if sum(one.partitions for one in working) != worker.memory.partitions:
            return
        sizes: Counter[str] = Counter()
        for one in working:
            sizes.update(one.audiences)
        day = from_micros(worker.clock.now).date()
        document = AudienceDay(
            day=day, audiences=tuple(AudienceSize(name=name, size=size) for name, size in sizes.items())
        ).encode()
        if sizes and document != self._written:
            self._views.set_many({self._keys.audience_sizes(day.isoformat()): document}, _TTL_MS)
            self._written = document
