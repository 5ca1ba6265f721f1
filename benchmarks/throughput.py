"""Events per second of one worker with everything on, beside a naive per-event loop and kafka-python's raw poll.

All three read the same events of the synthetic shop from the same broker, each in a process of its own, in turns;
figures are medians. A speed on a shared machine means little: the ratios are what counts.

    python -m benchmarks.throughput [--events N] [--repeat N] [--json]
"""

import argparse
import json
import multiprocessing
import statistics
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import Any

import confluent_kafka
import redis
from kafka import KafkaConsumer, TopicPartition
from river import cluster, preprocessing

from benchmarks.one_worker import one_worker
from consumer.clock import wall_micros
from consumer.settings import WorkerSettings
from consumer.worker import Worker
from contracts.keys import Keys, LogNames
from logs.base import LogSpec
from logs.open import open_logs
from producer.shop import Shop, ShopSettings
from tests.servers import kafka_server, redis_server

PARTITIONS = 12
CUSTOMERS = 10_000
EVENTS_A_DAY = 500
"""Somewhat less than the customers make: so many days of history have at least the events that are asked for."""
NAIVE_EVENTS = 20_000
"""The naive loop is timed on so many events at most: it is slow, and its speed does not change."""


@dataclass(frozen=True)
class Servers:
    """Where the events are, and a name that nobody else uses."""

    bootstrap: str
    redis_url: str
    tag: str

    @property
    def names(self) -> LogNames:
        """Logs of this benchmark."""
        return LogNames(f"{self.tag}-")


def load(servers: Servers, events: int) -> int:
    """Put the shop's first events onto the log; librdkafka does it, since loading is not what is timed."""
    with closing(open_logs(f"kafka://{servers.bootstrap}")) as logs:
        for name in (servers.names.events, servers.names.changes, servers.names.dead_letters):
            logs.create(LogSpec(name, PARTITIONS))
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": servers.bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    days = max(730, events // EVENTS_A_DAY + 1)
    shop = Shop(ShopSettings(now=wall_micros(), customers=CUSTOMERS, currency="GBP", history_days=days))
    count = 0
    for message in islice(shop.history(), events):
        producer.produce(servers.names.events, message.value, message.key)
        count += 1
        if count % 10_000 == 0:
            producer.poll(0)
    producer.flush()
    return count


def raw_poll(servers: Servers, events: int) -> float:
    """Events per second that kafka-python hands out, and nothing is done with."""
    consumer = KafkaConsumer(
        bootstrap_servers=servers.bootstrap,
        enable_auto_commit=False,
        max_poll_records=20_000,
        fetch_max_bytes=64 * 1024 * 1024,
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )
    partitions = [TopicPartition(servers.names.events, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    seen, began = 0, time.perf_counter()
    while seen < events:
        seen += sum(len(records) for records in consumer.poll(1000).values())
    passed = time.perf_counter() - began
    consumer.close()
    return seen / passed


def naive(servers: Servers, events: int) -> float:
    """Events per second of the loop one would write first: parse, sum up, scale, cluster, one SET, for each event."""
    consumer = KafkaConsumer(bootstrap_servers=servers.bootstrap, enable_auto_commit=False)
    partitions = [TopicPartition(servers.names.events, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    client = redis.Redis.from_url(servers.redis_url)
    scaler, model = preprocessing.StandardScaler(), cluster.KMeans(n_clusters=5, halflife=0.1, seed=1)
    rows: dict[str, dict[str, float]] = {}
    seen, began = 0, 0.0
    for record in consumer:
        began = began or time.perf_counter()
        event = json.loads(record.value)
        if event["type"] == "purchase":
            row = rows.setdefault(event["customer_id"], {"orders": 0.0, "spend": 0.0, "units": 0.0})
            row["orders"] += 1
            row["spend"] += sum(line["quantity"] * line["unit_price"] for line in event["lines"])
            row["units"] += sum(line["quantity"] for line in event["lines"])
            scaler.learn_one(row)
            scaled = scaler.transform_one(row)
            model.learn_one(scaled)
            segment = model.predict_one(scaled)
            client.set(f"{servers.tag}:naive:{event['customer_id']}", json.dumps({"segment": segment, **row}))
        seen += 1
        if seen == events:
            break
    passed = time.perf_counter() - began
    consumer.close()
    return seen / passed


@dataclass
class Ours:
    """What one worker did."""

    events_per_s: float
    oldest_dirty_view_s: float
    """When the last event's row was written."""
    views_up_to_date_s: float
    """From then until no view was dirty."""


def ours(servers: Servers, events: int) -> Ours:
    """One worker with everything on: rows, sums, clusters, segments, changes, popularity, checkpoints, views."""
    run = uuid.uuid4().hex[:8]
    settings = WorkerSettings(clock="wall", names=servers.names, keys=Keys(f"{servers.tag}-{run}"), group=run)
    began = ended = settled = 0.0
    oldest = 0.0

    def watch(worker: Worker) -> None:
        nonlocal began, ended, settled, oldest
        now = time.perf_counter()
        began = began or (now if worker.figures.records else 0.0)
        if not ended and worker.figures.records >= events:
            ended, oldest = now, worker.memory.views.figures.oldest_dirty_s
        if ended and not settled and not worker.memory.views.pending(worker.memory.held.values()):
            settled = now

    with one_worker(servers.bootstrap, servers.redis_url, settings) as worker:
        first = _first_batch(worker)
        worker.run(until_idle=0.5, on_step=watch)
    _forget(redis.Redis.from_url(servers.redis_url), settings.keys)
    return Ours(events / (ended - first), oldest, settled - ended)


def _first_batch(worker: Worker) -> float:
    """Wait for the assignment; the time at which the first events are about to be worked on."""
    while not worker.memory.holds_all:
        worker.step(0.1)
    return time.perf_counter()


def _forget(client: "redis.Redis", keys: Keys) -> None:
    for key in client.scan_iter(f"{keys.prefix}:*", count=10_000):
        client.unlink(key)


def apart(what: Callable[[], Any]) -> Any:
    """The result of a call in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(what).result()


def run(events: int, repeat: int) -> dict[str, float]:
    """Time all three in turns; medians."""
    with kafka_server() as bootstrap, redis_server() as redis_url:
        servers = Servers(bootstrap, redis_url, f"bench-{uuid.uuid4().hex[:8]}")
        events = load(servers, events)
        rounds = [
            (
                apart(partial(raw_poll, servers, events)),
                apart(partial(ours, servers, events)),
                apart(partial(naive, servers, min(events, NAIVE_EVENTS))),
            )
            for _ in range(repeat)
        ]
    polls, workers, loops = zip(*rounds, strict=True)
    figures = {name: statistics.median(asdict(one)[name] for one in workers) for name in asdict(workers[0])}
    raw, slow = statistics.median(polls), statistics.median(loops)
    return {
        "events": events,
        "events_per_s": round(figures["events_per_s"]),
        "naive_events_per_s": round(slow),
        "raw_poll_events_per_s": round(raw),
        "times_naive": round(statistics.median(w.events_per_s / n for _, w, n in rounds), 2),
        "share_of_raw_poll": round(statistics.median(w.events_per_s / r for r, w, _ in rounds), 3),
        "oldest_dirty_view_s": round(figures["oldest_dirty_view_s"], 2),
        "views_up_to_date_s": round(figures["views_up_to_date_s"], 2),
    }


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    arguments = parser.parse_args()
    figures = run(arguments.events, arguments.repeat)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:24} {value:>14,}")


if __name__ == "__main__":
    main()
