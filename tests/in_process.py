"""A whole worker in this process, on a log in memory: small enough for hypothesis to run hundreds of."""

import itertools
import json
import time
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from consumer.clock import Clock
from consumer.columns import Columns
from consumer.memory_state import MemoryState
from consumer.settings import WorkerSettings
from consumer.worker import Parts, Worker
from contracts.events import Event, encode_event
from contracts.keys import Keys, LogNames
from contracts.times import DAY
from logs.base import LogSpec
from logs.memory import MemoryLogs
from online_model.features import DEFAULT_FEATURES, FeatureSet
from online_model.metric import Metric
from online_model.model import Segment, SegmentModel
from online_model.settings import ModelSettings
from recommender.reader import CustomerReader
from recommender.store import MemoryViews
from tests.deployment import DECAYED, EXACT, plain_rows

START = 19_000 * DAY
LOG_TIME = START + 10_000 * DAY
SECONDS = 120.0
"""Longer than any of these may take."""


def fixed_model() -> SegmentModel:
    """A version that no review and no means can replace: segments are where the nearest centroid is, at once."""
    names = FeatureSet.of(DEFAULT_FEATURES).names
    centroids = np.array([[0.1, 0.5, 0.3], [0.5, 1.5, 1.5], [2.0, 0.5, 0.5]])
    return SegmentModel(
        version=1,
        features=names,
        order_value=10.0,
        metric=Metric(np.zeros(3), np.ones(3)),
        centroids=centroids,
        segments=tuple(Segment(n, f"Segment {n}") for n in (1, 2, 3)),
        seed=0,
        margin=0.0,
        dwell=0,
        adopted_at=START,
        reason="fixed",
        gain=0.0,
        purchases=10**12,  # none of the decisions is due before there are more
        buyers=10**12,
        next_segment_id=4,
        sizes=(1, 1, 1),
        inertia=1.0,
    )


NO_RULES = ModelSettings(by_rule_buyers=0, by_rule_days=0)
"""Learnt segments from the first model on."""


class InProcess:
    """Log in memory; state and views in memory, unless others are given."""

    def __init__(self, partitions=2, *, state=None, views=None, prefix="livesegments", **settings):
        self.log_time = LOG_TIME
        self.logs = MemoryLogs(now=lambda: self.log_time)
        self.names = LogNames()
        self.partitions = partitions
        self.create_logs()
        self.keys = Keys(prefix)
        self.state = state if state is not None else MemoryState()
        self.views = views if views is not None else MemoryViews(lambda: LOG_TIME)
        self.settings = WorkerSettings(
            **{
                "clock": "event",
                "review_inline": True,
                "model": NO_RULES,
                "keys": self.keys,
                "names": self.names,
                "session_timeout": 0.2,
                **settings,
            }
        )
        self._writer = self.logs.writer()

    def create_logs(self):
        for name in (self.names.events, self.names.changes, self.names.dead_letters):
            self.logs.create(LogSpec(name, self.partitions))

    def adopt(self, model: SegmentModel) -> None:
        document = model.to_document().model_dump_json().encode()
        assert self.state.publish_model(self.state.leader(), model.version, document)

    def publish(self, *events: Event | bytes, partition: int | None = None, headers=()) -> None:
        for event in events:
            value = event if isinstance(event, bytes) else encode_event(event)
            key = json.loads(value)["customer_id"].encode() if partition is None else None
            self._writer.append(self.names.events, key, value, partition=partition, headers=headers).result()

    def worker(
        self, *, monotonic=time.monotonic, wall=lambda: START, state=None, views=None, reader=None, **settings
    ) -> Worker:
        """One that has joined the group."""
        chosen = self.settings if not settings else WorkerSettings(**{**vars(self.settings), **settings})
        parts = Parts(
            log=self.logs.describe(self.names.events),
            describe=lambda: self.logs.describe(self.names.events),
            reader=reader if reader is not None else self.logs.reader(self.names.events, chosen.group),
            writer=self.logs.writer(),
            state=state if state is not None else self.state,
            views=views if views is not None else self.views,
        )
        return Worker(parts, chosen, Clock(chosen.clock, wall=wall), monotonic)

    def run(self, worker: Worker | None = None) -> Worker:
        """Until nothing is left to do; a worker made here is closed."""
        ours = worker is None
        worker = worker or self.worker()
        step_until(worker, lambda: worker.idle)
        if ours:
            worker.close()
        return worker

    def reader(self) -> CustomerReader:
        return CustomerReader(self.views, prefix=self.keys.prefix)

    # ---- what there is ----

    def rows(self) -> dict[str, dict]:
        """Every row in the state as plain values, by customer; nobody has two."""
        return plain_rows(self.state, self.partitions)

    def all_events(self) -> list[bytes]:
        """Everything on the events log, partition after partition."""
        return list(itertools.chain(*(batch.values for batch in self.logs.read_all(self.names.events))))

    def dead_letters(self) -> list[dict]:
        return [json.loads(value) for batch in self.logs.read_all(self.names.dead_letters) for value in batch.values]

    def changes(self, *kinds: str) -> list[dict]:
        """What is told of customers who moved, or of the kinds that are named."""
        told = [json.loads(value) for batch in self.logs.read_all(self.names.changes) for value in batch.values]
        return [one for one in told if one["kind"] in (kinds or ("moved",))]


def step_until(worker: Worker, done, *others: Worker) -> None:
    """Let workers take turns until something holds; fails after a deadline."""
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline, "it did not come to that"
        for one in (worker, *others):
            one.step(0.0)


def sums_of(worker: Worker) -> np.ndarray:
    """Cells of the cluster sums by partition."""
    parts = [worker.memory.learner.sums(number) for number in sorted(worker.memory.held)]
    assert all(part is not None for part in parts)
    return np.array([part[1].cells for part in parts])


def batch_sums_of(worker: Worker, now: int) -> np.ndarray:
    """The same by one pass over the rows, as evaluated at `now`."""
    from online_model.sums import ClusterSums, Votes  # noqa: PLC0415

    memory, model = worker.memory, worker.memory.learner.model
    sums = ClusterSums(memory.partitions, model.k, len(model.features))
    for number, held in memory.held.items():
        rows = np.fromiter(held.rows.index.values(), np.int64)
        X = model.features_of(Columns.of_store(memory.store, rows), now)
        sums.revise(None, Votes(np.full(len(rows), number, np.int32), model.assign(X), X))
    return np.array([sums.partition(number).cells for number in sorted(memory.held)])


def popularity_of(worker: Worker) -> dict[tuple[int | None, str], float]:
    """Decayed purchases by segment and item, as of START."""
    item_sums = worker.memory.item_sums
    weights, landmark = item_sums._sums.sums, item_sums._sums.landmark
    scale = 2.0 ** ((landmark - START) / item_sums._settings.popularity_half_life)
    found: dict[tuple[int | None, str], float] = defaultdict(float)
    for segment, slot in {None: -1, **item_sums._slots}.items():
        for item, name in enumerate(item_sums.items.texts.ids):
            if slot + 1 < weights.shape[0] and item < weights.shape[1] and weights[slot + 1, item]:
                found[segment, name] = float(weights[slot + 1, item] * scale)
    return found


def comparable(
    rows: dict[str, dict], names: Iterable[str] = (*EXACT, "lines", "heads", "ids", "attributes", "segment")
):
    """What two runs that end alike must have in common, bit for bit."""
    return {who: {name: row[name] for name in names} for who, row in rows.items()}


def assert_decayed_alike(rows, others) -> None:
    for who, row in rows.items():
        for name in DECAYED:
            assert abs(row[name] - others[who][name]) <= 1e-9 * (1 + abs(row["spend"] or 0) / 1e6 + row["orders"])
