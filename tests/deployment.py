"""One deployment of the real parts under names of its own, for integration and fault tests."""

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from consumer.clock import Clock, wall_micros
from consumer.layout import HEADER, MISSING_TIME
from consumer.ragged import attributes_of
from consumer.redis_state import RedisState
from consumer.settings import WorkerSettings
from consumer.worker import Parts, Worker
from contracts.documents import SegmentChange
from contracts.keys import Keys, LogNames
from contracts.times import DAY
from logs.base import LogSpec
from logs.kafka_log import KafkaLogs
from logs.open import open_logs
from online_model.settings import ModelSettings
from recommender.reader import CustomerReader
from recommender.redis_open import open_redis
from recommender.settings import RecommenderSettings
from recommender.store import RedisViews
from tests.servers.secured import kafka_security_of_tests

EXACT = (
    "first_at",
    "last_at",
    "newest_at",
    "seen_at",
    "erase_floor",
    "closed_floor",
    "spend",
    "refunds",
    "units",
    "day_map",
    "orders",
    "returns",
    "purchase_days",
)
"""Columns that are the same, bit for bit, in any order of arrival."""
DECAYED = ("orders_decayed", "net_decayed", "recent_net")


RARE_LOOKS = ModelSettings(k_interval=1_000 * DAY)
LEARN_ITEMS_ONCE = RecommenderSettings(item_review_interval=100_000 * DAY, item_review_growth=1e9, tuning=False)
"""For tests of something else: in place, what goes with what takes longer to learn than all the rest."""
"""Reviews look at the number of segments once: in the worker itself, each look would hold it up for a second."""


@dataclass
class Deployment:
    log_url: str
    redis_url: str
    tag: str
    partitions: int = 6
    session_timeout: float = 6.0
    settings: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = LogNames(f"{self.tag}-")
        self.keys = Keys(self.tag)
        self.redis = open_redis(self.redis_url)
        self.state = RedisState(self.redis, self.keys)
        with closing(self.logs()) as logs:
            for name in (self.names.events, self.names.changes, self.names.dead_letters):
                logs.create(LogSpec(name, self.partitions))

    def logs(self):
        if self.log_url.startswith("kafka://"):
            return KafkaLogs(
                self.log_url.removeprefix("kafka://"),
                security=kafka_security_of_tests(),
                session_timeout=self.session_timeout,
            )
        return open_logs(self.log_url)

    def worker_settings(self, **more) -> WorkerSettings:
        return WorkerSettings(
            **{
                "clock": "event",
                "names": self.names,
                "keys": self.keys,
                "group": self.tag,
                "session_timeout": self.session_timeout,
                "review_inline": True,
                "model": RARE_LOOKS,
                "recommender": LEARN_ITEMS_ONCE,
                **self.settings,
                **more,
            }
        )

    @contextlib.contextmanager
    def worker(self, *, state=None, views=None, wall=wall_micros, wrap_writer=None, **more) -> Iterator[Worker]:
        """A worker in this process; the caller steps or runs it."""
        settings = self.worker_settings(**more)
        with closing(self.logs()) as logs:
            parts = Parts(
                log=logs.describe(self.names.events),
                describe=lambda: logs.describe(self.names.events),
                reader=logs.reader(self.names.events, settings.group),
                writer=logs.writer() if wrap_writer is None else wrap_writer(logs.writer()),
                state=state or self.state,
                views=views or RedisViews(self.redis),
            )
            try:
                yield Worker(parts, settings, Clock(settings.clock, wall=wall))
            finally:
                parts.writer.close(10)

    def run(self, until_idle: float = 0.5, **more) -> Worker:
        """Work until nothing is left to do."""
        with self.worker(**more) as worker:
            guard = threading.Timer(240, worker.stop)
            guard.start()
            worker.run(until_idle=until_idle)
            assert guard.is_alive(), "the worker did not become idle in four minutes"
            guard.cancel()
            return worker

    @contextlib.contextmanager
    def writer(self):
        with closing(self.logs()) as logs, closing(logs.writer()) as writer:
            yield writer

    def reader(self) -> CustomerReader:
        return CustomerReader(RedisViews(self.redis), prefix=self.tag)

    # ---- what there is ----

    def rows(self) -> dict[str, dict]:
        """Every row in Redis as plain values, by customer."""
        return plain_rows(self.state, self.partitions)

    def changes(self) -> dict[str, list[bytes]]:
        """Published moves of customers: every content that was seen, by change id."""
        found: dict[str, list[bytes]] = {}
        with closing(self.logs()) as logs:
            for batch in logs.read_all(self.names.changes):
                for value in batch.values:
                    if json.loads(value)["kind"] == "moved":
                        found.setdefault(SegmentChange.model_validate_json(value).change_id, []).append(value)
        return found

    def dead_letters(self) -> list[bytes]:
        with closing(self.logs()) as logs:
            return [value for batch in logs.read_all(self.names.dead_letters) for value in batch.values]


def plain_rows(state, partitions: int) -> dict[str, dict]:
    """Every row as plain values, by customer; nobody has two. Lines are (item, quantity) pairs."""
    found: dict[str, dict] = {}
    for partition in range(partitions):
        items = state.keep(partition).items
        for ids, blobs in state.rows(partition):
            for who, blob in zip(ids, blobs, strict=True):
                assert who not in found, f"{who} has two rows"
                found[who] = plain(blob, items)
    return found


def plain(blob: bytes, items) -> dict:
    """A packed row in plain values."""
    size = HEADER.itemsize
    header = np.frombuffer(blob[:size], HEADER)[0]
    row = {name: header[name].item() for name in (*EXACT, *DECAYED, "segment")}
    row = {name: None if value == MISSING_TIME else value for name, value in row.items()}
    parts = []
    start = size
    for name in ("heads", "lines", "ids", "attributes", "moves", "exposures"):
        parts.append(blob[start : start + int(header[name])])
        start += int(header[name])
    heads, lines, ids, attributes, _, _ = parts
    kept = np.frombuffer(lines, [("item", "<u4"), ("quantity", "<i4")])
    row["lines"] = [(items[line["item"]], int(line["quantity"])) for line in kept]
    row["heads"] = heads
    row["ids"] = ids
    row["attributes"] = attributes_of(attributes)
    return row
