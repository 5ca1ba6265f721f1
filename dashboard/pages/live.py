"""What changes, looked at once for everybody who looks: sizes, workers, speed, freshness, the newest moves."""

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from anyio import to_thread
from pydantic import ValidationError

from contracts.documents import AudienceChange, SegmentChange, SegmentEvent, SegmentList, WorkerStatus, parse_change
from contracts.errors import LivesegmentsError
from contracts.times import MINUTE, SECOND, to_micros
from dashboard.pages.audience_counts import Fate, counted
from dashboard.parts import WebParts

LOOK_SECONDS: Final = 0.25
"""Between two looks at Redis, however many look at the pages."""
QUIET_SECONDS: Final = 10.0
"""Listeners are told at least so often, also where nothing has changed: times that are told go on."""
FEED: Final = 100
"""Newest changes that are kept."""
REMEMBERED: Final = 15 * MINUTE
"""Sizes and lag are known so far back, in steps of STEP."""
STEP: Final = 5 * SECOND
WINDOW: Final = MINUTE
"""Freshness is that of so long."""
GONE_INTERVALS: Final = 3
GONE_SECONDS: Final = 5.0
"""A worker that has been silent for longer than so many of its intervals, and so many seconds, is gone."""

Change = SegmentChange | AudienceChange | SegmentEvent
_log = structlog.get_logger("livesegments.web")


@dataclass(frozen=True, slots=True)
class Moment:
    """How it stood at one time."""

    at: int
    sizes: Mapping[int, int]
    lag: int | None
    audiences: Mapping[str, int]
    buckets: Mapping[tuple[str, int], Sequence[tuple[float, int]]]
    """Of each worker since its start, by name and that time: seconds, and how many events were in their view within
    these. One that begins anew under the same name counts from nothing."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How it stands."""

    at: int = 0
    """When Redis answered last, microseconds UTC by this machine's clock; 0: it never did."""
    looked_at: int = 0
    segments: SegmentList | None = None
    workers: tuple[WorkerStatus, ...] = ()
    problem: str = ""
    """Why there is nothing newer; empty where there is."""
    events_per_s: float | None = None
    """None while no worker is there; likewise lag."""
    lag: int | None = None
    freshness: tuple[float, float] | None = None
    """Half of the last minute's events, and 99 of 100, were in their customer's view within so many seconds."""
    audiences: Mapping[str, int] = field(default_factory=dict)
    """Customers in each audience, as the workers last counted them."""
    fates: Mapping[str, Fate] = field(default_factory=dict)
    """What became of the customers of workers that are gone, by their names."""
    changes: tuple[Change, ...] = ()
    """The newest first."""
    moments: tuple[Moment, ...] = ()
    """The oldest first."""

    def gone(self, worker: WorkerStatus) -> bool:
        """Whether a worker has been silent for longer than one at work is."""
        return is_gone(worker, self.looked_at)

    def before(self, micros: int) -> Moment | None:
        """The moment so long ago, or the oldest since then; None where nothing is known of before."""
        return next((one for one in self.moments if self.looked_at - micros <= one.at < self.looked_at), None)

    def ago(self, before: Moment) -> str:
        """How long ago a moment was.

        >>> seen = Snapshot(looked_at=15 * MINUTE)
        >>> [seen.ago(Moment(at * SECOND, {}, 0, {}, {})) for at in (2, 840, 880)]
        ['15 minutes', 'a minute', '20 seconds']
        """
        passed = (self.looked_at - before.at) / SECOND
        if passed < 55.0:
            return f"{passed:.0f} seconds"
        minutes = round(passed / 60.0)
        return "a minute" if minutes == 1 else f"{minutes} minutes"

    @property
    def customers(self) -> int:
        """All there are: the sizes added up, with those that are in no learnt segment."""
        return sum(one.size for one in self.segments.segments) if self.segments else 0


def is_gone(worker: WorkerStatus, now: int) -> bool:
    """See Snapshot.gone; `now` in microseconds UTC."""
    silent = (now - to_micros(worker.at)) / SECOND
    return silent > GONE_SECONDS and silent > GONE_INTERVALS * worker.interval_s


class Live:
    """Looks as long as somebody listens. For one event loop."""

    def __init__(
        self,
        web: WebParts,
        statuses: Callable[[], Sequence[WorkerStatus]],
        partitions: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._web = web
        self._statuses = statuses
        self._partitions = partitions
        self._listeners: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None
        self._seen = 0
        self._changes: deque[Change] = deque(maxlen=FEED)
        self._moments: deque[Moment] = deque()
        self.number = 0
        """Of the last news."""
        self.snapshot = Snapshot()

    async def current(self) -> Snapshot:
        """How it stands now: a look of our own where nobody looks regularly."""
        if self._task is None or self.snapshot.looked_at == 0:
            await self._look()
        return self.snapshot

    async def news(self) -> AsyncIterator[int]:
        """A number each time that something has changed, and now and then."""
        event = asyncio.Event()
        self._listeners.add(event)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            while True:
                try:
                    await asyncio.wait_for(event.wait(), QUIET_SECONDS)
                except TimeoutError:
                    self.number += 1
                event.clear()
                yield self.number
        finally:
            self._listeners.discard(event)

    def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while self._listeners:
                before = self.snapshot
                await self._look()
                if _told(before) != _told(self.snapshot):
                    self.number += 1
                    for one in self._listeners:
                        one.set()
                await self._web.changes.news(self._seen, LOOK_SECONDS)
                # A burst of moves is one piece of news.
                await asyncio.sleep(LOOK_SECONDS / 4)
        finally:
            self._task = None

    async def _look(self) -> None:
        now = self._web.now()
        self._read_changes()
        try:
            segments = await self._web.reader.segments()
            workers = tuple(await to_thread.run_sync(self._statuses))
            gone = [one for one in workers if is_gone(one, now)]
            partitions = await to_thread.run_sync(self._partitions) if gone else None
        except LivesegmentsError as error:
            self.snapshot = _with(
                self.snapshot,
                looked_at=now,
                problem=str(error),
                lag=None,
                events_per_s=None,
                changes=tuple(self._changes),
            )
            return
        seen = Snapshot(at=now, looked_at=now, segments=segments, workers=workers, changes=tuple(self._changes))
        working = [one for one in workers if one not in gone]
        audiences, fates = counted(working, gone, partitions)
        lags = [one.lag for one in working]
        lag = sum(one for one in lags if one is not None) if working and None not in lags else None
        self._remember(now, segments, lag, working, audiences)
        moments = tuple(self._moments)
        self.snapshot = _with(
            seen,
            lag=lag,
            events_per_s=sum(one.events_per_s for one in working) if working else None,
            audiences=audiences,
            fates=fates,
            freshness=_freshness([one for one in moments if one.at >= now - WINDOW]),
            moments=moments,
        )

    def _read_changes(self) -> None:
        feed = self._web.changes
        feed.start()
        found = feed.since(self._seen)
        if found is None:
            self._seen = feed.oldest()
            found = feed.since(self._seen)
        if found is None:
            return
        entries, self._seen = found
        for entry in entries[-FEED:]:
            try:
                self._changes.appendleft(parse_change(entry.value))
            except ValidationError:
                _log.debug("a record of the log of changes is of a newer version")

    def _remember(
        self,
        now: int,
        listed: SegmentList | None,
        lag: int | None,
        working: Sequence[WorkerStatus],
        audiences: Mapping[str, int],
    ) -> None:
        sizes = {one.id: one.size for one in listed.segments} if listed else {}
        buckets = {(one.worker, to_micros(one.started_at)): _bounded(one.freshness) for one in working}
        moment = Moment(now, sizes, lag, audiences, buckets)
        # The newest is replaced until a step has passed since the one before.
        if len(self._moments) > 1 and self._moments[-1].at < self._moments[-2].at + STEP:
            self._moments.pop()
        self._moments.append(moment)
        while self._moments[0].at < now - REMEMBERED:
            self._moments.popleft()


def _told(seen: Snapshot) -> tuple[Any, ...]:
    """What a visitor would see of it."""
    return (
        seen.segments,
        seen.problem,
        seen.events_per_s,
        seen.lag,
        seen.freshness,
        seen.audiences,
        seen.fates,
        seen.changes[:1],
        len(seen.changes),
        tuple((one.worker, seen.gone(one)) for one in seen.workers),
    )


def _with(seen: Snapshot, **more: Any) -> Snapshot:
    names = Snapshot.__dataclass_fields__
    return Snapshot(**{name: more.get(name, getattr(seen, name)) for name in names})


def _freshness(moments: Sequence[Moment]) -> tuple[float, float] | None:
    """p50 and p99 of the events between the first and the last of the moments, over all workers."""
    if len(moments) < 2:
        return None
    total: dict[float, int] = {}
    for worker, after in moments[-1].buckets.items():
        # A worker that was not there at first counts from its start, or from when it was seen.
        first: Sequence[tuple[float, int]] = ()
        if worker in moments[0].buckets or worker[1] < moments[0].at:
            first = next((one.buckets[worker] for one in moments if worker in one.buckets), ())
        before = dict(first)
        for bound, count in after:
            total[bound] = total.get(bound, 0) + max(0, count - before.get(bound, 0))
    found = sorted(total.items())
    if not found or not found[-1][1]:
        return None
    return quantile(found, 0.5), quantile(found, 0.99)


def _bounded(buckets: Sequence[tuple[float | None, int]]) -> tuple[tuple[float, int], ...]:
    return tuple((float("inf") if bound is None else bound, count) for bound, count in buckets)


def quantile(buckets: Sequence[tuple[float, int]], q: float) -> float:
    """The q-quantile of a histogram of upper bounds and cumulative counts, evenly spread within each bucket.

    Of what lies above the last finite bound that bound is told.

    >>> quantile([(1.0, 50), (2.0, 100), (float("inf"), 100)], 0.75)
    1.5
    """
    rank = q * buckets[-1][1]
    place = bisect_left([count for _, count in buckets], rank)
    bound, count = buckets[place]
    below, less = buckets[place - 1] if place else (0.0, 0)
    if bound == float("inf"):
        return below
    return below + (bound - below) * (rank - less) / max(1, count - less)
