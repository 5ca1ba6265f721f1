"""The real worker on a log and a state in memory, fed in time order over all partitions.

A worker that reads a finished log takes partition after partition, batch by batch: one of them may be months ahead of
another. What is measured here is what runs when events arrive as they happen, so they are published in small slices,
and the worker works each off before the next one comes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import msgspec
import numpy as np

from consumer.catalogue import CatalogueFollower
from consumer.clock import Clock
from consumer.columns import Columns
from consumer.leader import read_model
from consumer.memory_state import MemoryState
from consumer.settings import WorkerSettings
from consumer.worker import Parts, Worker
from contracts.catalog import CatalogItem
from contracts.documents import SegmentChange, parse_change
from contracts.errors import LivesegmentsError
from contracts.times import DAY, to_micros
from logs.base import LogSpec
from logs.memory import MemoryLogs
from online_model.arrays import Floats, Integers, Labels
from online_model.model import SegmentModel
from producer.message import Message
from recommender.store import MemoryViews

PARTITIONS: Final = 12
_MOST_STEPS: Final = 10_000
"""A slice that takes longer is never worked off."""


class ReplayError(LivesegmentsError):
    """The table can not be measured; the text says why."""


class _Kind(msgspec.Struct):
    type: str


_kind = msgspec.json.Decoder(_Kind).decode


@dataclass(frozen=True, slots=True)
class Population:
    """Everybody who has a vote, at one moment."""

    model: SegmentModel
    ids: tuple[str, ...]
    X: Floats
    """(customers, features), unscaled."""
    clusters: Labels
    """(customers,): the nearest adopted centroid."""


@dataclass(frozen=True, slots=True)
class Moves:
    """Who moved between segments, as published: columns of one length, a customer's in their order."""

    customers: tuple[str, ...]
    at: Integers
    before: Labels
    """Segment ids; -1 also where the customer was in none."""
    after: Labels
    causes: tuple[str, ...]


class _Seconds:
    """A monotonic clock that goes on by itself only when told: no timing decides what is measured."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return self.passed


def segments_only(settings: WorkerSettings) -> WorkerSettings:
    """The same, but nothing is forecast, and what goes with what is learnt once: in place both take long."""
    rarely = replace(settings.recommender, item_review_interval=100_000 * DAY, item_review_growth=1e9, tuning=False)
    return replace(settings, recommender=rarely, forecasts=False)


class TimeOrdered:
    """One deployment in memory whose worker is always up with the log when asked. `catalogue` is there beforehand."""

    def __init__(self, settings: WorkerSettings, *, log_time: int, catalogue: Sequence[CatalogItem] = ()) -> None:
        settings = replace(settings, clock="event", review_inline=True)
        self.logs = MemoryLogs(now=lambda: log_time)
        self._names = settings.names
        for name in (self._names.events, self._names.changes, self._names.dead_letters):
            self.logs.create(LogSpec(name, PARTITIONS))
        self.logs.create(LogSpec(self._names.catalog, 1, compacted=True))
        self.state = MemoryState()
        self.views = MemoryViews(lambda: log_time)
        self._refresh_seconds = settings.recommender.view_refresh / 1e6
        self._seconds = _Seconds()
        self._writer = self.logs.writer()
        self._write_items(catalogue)
        self._writer.flush()
        parts = Parts(
            log=self.logs.describe(self._names.events),
            describe=lambda: self.logs.describe(self._names.events),
            reader=self.logs.reader(self._names.events, settings.group),
            writer=self.logs.writer(),
            state=self.state,
            views=self.views,
            trim=lambda partition, position: self.logs.trim(self._names.events, partition, position),
            catalogue=CatalogueFollower(self.logs, self._names.catalog, "catalogue", self._seconds),
        )
        self.worker = Worker(parts, settings, Clock("event", wall=lambda: log_time), self._seconds)
        self.touched: list[Floats] = []
        """For each slice under a model: (customers, features), standardised, of those it was about."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.worker.close()

    def publish(self, messages: Sequence[Message], items: Sequence[CatalogItem] = ()) -> None:
        """Publish what the catalogue says by now, and a slice, and work until nothing is left to do."""
        self._write_items(items)
        for message in messages:
            self._writer.append(self._names.events, message.key, message.value)
        self._writer.flush()
        self._seconds.passed += 1.0
        self._work_until(lambda: self.worker.idle)
        self._remember(messages)

    def refresh_views(self) -> None:
        """Let the hour pass within which everybody's view is rewritten."""
        self._seconds.passed += self._refresh_seconds
        views = self.worker.memory.views
        held = [one for one in self.worker.memory.held.values() if one.position is not None]  # nobody is in the others
        self._work_until(lambda: self.worker.idle and not any(map(views.wants, held)))

    def _write_items(self, items: Sequence[CatalogItem]) -> None:
        for item in items:
            self._writer.append(self._names.catalog, item.item_id.encode(), item.encode())

    def _work_until(self, done: Callable[[], bool]) -> None:
        for _ in range(_MOST_STEPS):
            self.worker.step(0.0)
            if done():
                return
        raise ReplayError("the worker does not come to rest; this is a fault of livesegments: please report it")

    def population(self) -> Population | None:
        """Everybody with a vote as of now; None before there is a model."""
        memory = self.worker.memory
        model = memory.learner.model
        if model is None:
            return None
        store = memory.store
        rows = np.flatnonzero(store.partition[: store.used] >= 0)
        clusters = memory.learner.clusters(rows)
        rows, clusters = rows[clusters >= 0], clusters[clusters >= 0]
        return Population(model, tuple(store.ids[row] for row in rows.tolist()), self._features(rows, model), clusters)

    def models(self) -> list[SegmentModel]:
        """Every version there was, in order."""
        documents = (self.state.old_model(version) for version in range(1, 1 + self.versions))
        return [read_model(document) for document in documents if document is not None]

    @property
    def versions(self) -> int:
        """How many versions there were."""
        model = self.worker.memory.learner.model
        return model.version if model else 0

    def moves(self) -> Moves:
        """Everything on the log of changes."""
        said = [
            change
            for batch in self.logs.read_all(self._names.changes)
            for change in map(parse_change, filter(None, batch.values))
            if isinstance(change, SegmentChange)
        ]
        at = np.array([to_micros(one.at) for one in said], np.int64)
        order = np.argsort(at, kind="stable").tolist()
        return Moves(
            customers=tuple(said[place].customer_id for place in order),
            at=at[order],
            before=np.array([-1 if (b := said[place].from_segment) is None else b for place in order], np.int32),
            after=np.array([-1 if (a := said[place].to_segment) is None else a for place in order], np.int32),
            causes=tuple(said[place].cause for place in order),
        )

    def _features(self, rows: Integers, model: SegmentModel) -> Floats:
        return model.features_of(Columns.of_store(self.worker.memory.store, rows), self.worker.clock.now)

    def _remember(self, messages: Sequence[Message]) -> None:
        model, store = self.worker.memory.learner.model, self.worker.memory.store
        if model is None:
            return
        wanted = {message.key.decode() for message in messages}
        index = [held.index for held in store.partitions.values()]
        rows = [row for one in index for who in wanted if (row := one.get(who)) is not None]
        X = self._features(np.array(sorted(rows), np.int64), model)
        X = X[~np.isnan(X).all(axis=1)]
        self.touched.append(np.nan_to_num((X - model.metric.means) * np.sqrt(model.metric.precisions)))


def in_slices(messages: Sequence[Message], most: int, until: int) -> Iterator[list[Message]]:
    """Messages in slices of at most so many, none of which goes beyond a moment that is a multiple of `until` (µs)."""
    part: list[Message] = []
    for message in messages:
        if part and (len(part) == most or message.occurred_at // until != part[0].occurred_at // until):
            yield part
            part = []
        part.append(message)
    if part:
        yield part


def kind_of(message: Message) -> str:
    """`purchase`, `return`, `profile` or `erase`."""
    return _kind(message.value).type
