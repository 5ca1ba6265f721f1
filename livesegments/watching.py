"""What there is to see of a deployment, from Redis alone, again and again: sizes, speed, lag, freshness, moves."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from consumer.state import State
from contracts.documents import SegmentList, WorkerStatus
from contracts.times import MINUTE, SECOND, rfc3339, to_micros
from livesegments.worker_status import is_gone, read_status
from recommender.reader import CustomerReader


@dataclass(frozen=True, slots=True)
class WatchedSegment:
    """One segment as it stands, and as it has changed."""

    id: int
    name: str
    size: int
    share: float
    """Of all customers."""
    since_start: int
    """Customers more than when the watch began."""
    last_minute: int
    """Customers more than a minute ago, or than when the watch began, if that is sooner."""
    by_rule: bool = False
    """Given to each customer by the naming table, not learnt."""


@dataclass(frozen=True, slots=True)
class WatchedWorker:
    """One worker, as it last said itself."""

    worker: str
    gone: bool
    at: str
    events_per_s: float
    lag: int | None
    partitions: int
    customers: int
    oldest_dirty_view_s: float


@dataclass(frozen=True, slots=True)
class Observation:
    """One look. What workers say is added up over those that are not gone."""

    at: str
    """When it was looked, by this machine's clock."""
    seconds: float
    """Since the watch began."""
    as_of: str | None
    """When the list of segments was written, by the deployment's clock."""
    model_version: int | None
    customers: int
    segments: Sequence[WatchedSegment]
    events_per_s: float | None
    """None while no worker is there; likewise lag and oldest_dirty_view_s."""
    lag: int | None
    oldest_dirty_view_s: float | None
    moves: Mapping[str, int]
    """Customers who changed segment since the watch began, by cause."""
    workers: Sequence[WatchedWorker]


NOTHING: Final = Counter[str]()


class Watch:
    """Looks at a deployment and remembers what it was like when the watch began, and a minute ago."""

    def __init__(self, state: State, reader: CustomerReader) -> None:
        self._state = state
        self._reader = reader
        self._began: int | None = None
        self._first: dict[int, int] | None = None
        self._sizes: deque[tuple[int, dict[int, int]]] = deque()
        self._moves_before: dict[str, Counter[str]] | None = None
        self._moved: dict[str, Counter[str]] = {}

    def look(self, now: int) -> Observation:
        """How it stands; `now` in microseconds UTC. Raises StateError and ViewsError where Redis does not answer."""
        self._began = now if self._began is None else self._began
        listed = self._reader.segments()
        found = (read_status(document) for _, document in sorted(self._state.workers().items()))
        statuses = [status for status in found if status is not None]
        working = [status for status in statuses if not is_gone(status, now)]
        lags = [status.lag for status in working]
        segments = self._segments(listed, now)
        return Observation(
            at=rfc3339(now),
            seconds=(now - self._began) / SECOND,
            as_of=rfc3339(to_micros(listed.as_of)) if listed else None,
            model_version=listed.model_version if listed else None,
            customers=sum(one.size for one in segments),
            segments=segments,
            events_per_s=sum(one.events_per_s for one in working) if working else None,
            lag=sum(lag for lag in lags if lag is not None) if working and None not in lags else None,
            oldest_dirty_view_s=max((one.oldest_dirty_view_s for one in working), default=None),
            moves=self._moves(statuses),
            workers=[_watched(status, now) for status in statuses],
        )

    def _segments(self, listed: SegmentList | None, now: int) -> list[WatchedSegment]:
        if listed is None:
            return []
        sizes = {one.id: one.size for one in listed.segments}
        if self._first is None:
            self._first = sizes
        self._sizes.append((now, sizes))
        while len(self._sizes) > 1 and self._sizes[1][0] <= now - MINUTE:
            self._sizes.popleft()
        before, total = self._sizes[0][1], sum(sizes.values())
        return [
            WatchedSegment(
                id=one.id,
                name=one.name,
                size=one.size,
                share=one.size / total if total else 0.0,
                since_start=one.size - self._first.get(one.id, 0),
                last_minute=one.size - before.get(one.id, 0),
                by_rule=one.by_rule,
            )
            for one in sorted(listed.segments, key=lambda one: -one.size)
            if one.size or one.id > 0
        ]

    def _moves(self, statuses: Sequence[WorkerStatus]) -> dict[str, int]:
        """Workers count from their own start: what the present ones had counted when the watch began is left out."""
        counted = {f"{one.worker}@{rfc3339(to_micros(one.started_at))}": Counter(one.moves) for one in statuses}
        if self._moves_before is None:
            self._moves_before = counted
        for name, moves in counted.items():
            self._moved[name] = moves - self._moves_before.get(name, NOTHING)
        return dict(sum(self._moved.values(), Counter[str]()).most_common())


def _watched(status: WorkerStatus, now: int) -> WatchedWorker:
    return WatchedWorker(
        worker=status.worker,
        gone=is_gone(status, now),
        at=rfc3339(to_micros(status.at)),
        events_per_s=status.events_per_s,
        lag=status.lag,
        partitions=status.partitions,
        customers=status.customers,
        oldest_dirty_view_s=status.oldest_dirty_view_s,
    )
