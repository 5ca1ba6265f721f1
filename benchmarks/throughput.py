"""Events per second of a worker with everything on, and of two, beside other ways to read the same log.

A naive per-event loop, kafka-python's raw poll, and Quix Streams, Bytewax and Faust, each in an environment of its own,
which only count events and sum up by customer (`benchmarks.rivals`). All read the same events from the same broker,
each in a process of its own, in turns; figures are medians. A speed on a shared machine means little: the ratios are
what counts.

    python -m benchmarks.throughput [--events N] [--repeat N] [--table FILE] [--no-rivals] [--json]
"""

import argparse
import gc
import json
import multiprocessing
import resource
import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import redis
from kafka import KafkaConsumer, TopicPartition
from river import cluster, preprocessing

from benchmarks.loading import PARTITIONS, Servers, Tally, create_logs, of_shop, of_table, put, tally
from benchmarks.one_worker import one_worker
from benchmarks.rivals import RIVALS, NoRivalError, Rival, count
from benchmarks.stages import Stages
from benchmarks.workers import throughput
from consumer.clock import wall_micros
from consumer.worker import Worker
from contracts.keys import Keys
from producer.message import Message
from producer.replay import read_events
from tests.servers import kafka_server, redis_server

NAIVE_EVENTS: Final = 20_000
"""The naive loop is timed on so many events at most: it is slow, and its speed does not change."""
ONLINE_RETAIL: Final = Path(__file__).parents[2] / "shared" / "data" / "online_retail_2010_2011.parquet"
TABLE_EVENTS: Final = 300_000
"""Of a table at most: more would be of as many more customers."""
WORKERS: Final = 2
"""As many as the machine has cores that the targets are for."""
REVIEWS: Final = "reviews, in their own process"


def raw_poll(servers: Servers, events: int) -> tuple[float, float]:
    """Events per second that kafka-python hands out, and nothing is done with; and its processor seconds.

    Without Python's garbage collector, which looks at every record of large batches again and again: it costs more than
    half as much as all the rest. A worker keeps it from that (`consumer.collector`), so the ceiling is without it.
    """
    gc.disable()
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
    seen, began, busy = 0, time.perf_counter(), time.process_time()
    while seen < events:
        seen += sum(len(records) for records in consumer.poll(1000).values())
    passed, busy = time.perf_counter() - began, time.process_time() - busy
    consumer.close()
    return seen / passed, busy


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
    processor_s: dict[str, float]
    """By stage, until then."""


def ours(servers: Servers, events: int) -> Ours:
    """One worker with everything on: rows, sums, clusters, segments, changes, popularity, checkpoints, views."""
    run = uuid.uuid4().hex[:8]
    settings = servers.settings(keys=Keys(f"{servers.tag}-{run}"), group=run)
    ended = settled = oldest = 0.0
    spent: dict[str, float] = {}

    def watch(worker: Worker) -> None:
        nonlocal ended, settled, oldest
        now = time.perf_counter()
        if not ended and worker.figures.records >= events:
            ended, oldest = now, worker.memory.views.figures.oldest_dirty_s
        if ended and not settled and not worker.memory.views.pending(worker.memory.held.values()):
            settled = now
            spent.update(stages.seconds())
            worker.stop()

    stages = Stages()
    with one_worker(servers.bootstrap, servers.redis_url, settings) as worker:
        while not worker.memory.holds_all:
            worker.step(0.1)
        first, before = time.perf_counter(), stages.seconds()
        worker.run(on_step=watch)
    spent = {stage: seconds - before[stage] for stage, seconds in spent.items()}
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent[REVIEWS] = children.ru_utime + children.ru_stime
    _forget(redis.Redis.from_url(servers.redis_url), settings.keys)
    return Ours(events / (ended - first), oldest, settled - ended, dict(spent))


def _forget(client: "redis.Redis", keys: Keys) -> None:
    for key in client.scan_iter(f"{keys.prefix}:*", count=10_000):
        client.unlink(key)


def apart(what: Callable[[], Any]) -> Any:
    """The result of a call in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(what).result()


@dataclass
class Rounds:
    """What came of some events, one entry for each round."""

    tally: Tally
    value_bytes: float
    """Of an event, on average."""
    raw: list[float] = field(default_factory=list)
    raw_processor_s: list[float] = field(default_factory=list)
    naive: list[float] = field(default_factory=list)
    ours: list[Ours] = field(default_factory=list)
    team: list[float] = field(default_factory=list)
    """Of `WORKERS` workers."""
    rivals: dict[str, list[float]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    """Rivals that could not be had, and why."""

    def figures(self) -> dict[str, Any]:
        """Medians; ratios are medians of the ratios of each round."""
        speeds = [one.events_per_s for one in self.ours]
        events = self.tally.events
        stages = {stage for one in self.ours for stage in one.processor_s}
        processor = {
            stage: round(statistics.median(one.processor_s.get(stage, 0.0) for one in self.ours) / events * 1e6, 2)
            for stage in stages
        }
        found: dict[str, Any] = {
            "events": events,
            "customers": self.tally.customers,
            "event_bytes": round(self.value_bytes),
            "events_per_s": round(statistics.median(speeds)),
            "naive_events_per_s": round(statistics.median(self.naive)),
            "raw_poll_events_per_s": round(statistics.median(self.raw)),
            "times_naive": _ratio(speeds, self.naive, 2),
            "share_of_raw_poll": _ratio(speeds, self.raw, 3),
        }
        for name, theirs in self.rivals.items():
            found[f"{name}_events_per_s"] = round(statistics.median(theirs))
            found[f"times_{name}"] = _ratio(speeds, theirs, 2)
        for name, reason in self.skipped.items():
            found[f"{name}_skipped"] = reason
        found |= {
            "workers": WORKERS,
            "workers_events_per_s": round(statistics.median(self.team)),
            "workers_times_naive": _ratio(self.team, self.naive, 2),
            "workers_share_of_raw_poll": _ratio(self.team, self.raw, 3),
            **{f"workers_times_{name}": _ratio(self.team, theirs, 2) for name, theirs in self.rivals.items()},
        }
        return found | {
            "oldest_dirty_view_s": round(statistics.median(one.oldest_dirty_view_s for one in self.ours), 2),
            "views_up_to_date_s": round(statistics.median(one.views_up_to_date_s for one in self.ours), 2),
            "processor_s_per_million": dict(sorted(processor.items(), key=lambda pair: -pair[1])),
            "processor_s_per_million_in_all": round(
                statistics.median(sum(one.processor_s.values()) for one in self.ours) / events * 1e6, 2
            ),
            "raw_poll_processor_s_per_million": round(statistics.median(self.raw_processor_s) / events * 1e6, 2),
        }


def _ratio(ours: Sequence[float], theirs: Sequence[float], digits: int) -> float:
    """Median over the rounds."""
    return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), digits)


def measure(servers: Servers, messages: Sequence[Message], repeat: int, rivals: Sequence[Rival]) -> dict[str, Any]:
    """Time all in turns on these events."""
    create_logs(servers)
    put(servers, messages)
    rounds = Rounds(tally(messages), statistics.fmean(len(message.value) for message in messages))
    events = len(messages)
    for _ in range(repeat):
        speed, busy = apart(partial(raw_poll, servers, events))
        rounds.raw.append(speed)
        rounds.raw_processor_s.append(busy)
        rounds.ours.append(apart(partial(ours, servers, events)))
        again = replace(servers, tag=f"{servers.tag}-{len(rounds.ours)}")
        rounds.team.append(throughput(again, messages, WORKERS))
        _forget(redis.Redis.from_url(servers.redis_url), Keys(again.tag))
        rounds.naive.append(apart(partial(naive, servers, min(events, NAIVE_EVENTS))))
        for rival in rivals:
            if rival.name in rounds.skipped:
                continue
            try:
                rounds.rivals.setdefault(rival.name, []).append(count(rival, servers, rounds.tally))
            except NoRivalError as error:
                rounds.skipped[rival.name] = str(error)
                rounds.rivals.pop(rival.name, None)
    return rounds.figures()


def run(events: int, repeat: int, table: Path | None, rivals: Sequence[Rival] = RIVALS) -> dict[str, Any]:
    """The synthetic shop's events, and a table's beside them."""
    with kafka_server() as bootstrap, redis_server() as redis_url:
        tag = f"bench-{uuid.uuid4().hex[:8]}"
        figures = measure(Servers(bootstrap, redis_url, f"{tag}-shop"), list(of_shop(events)), repeat, rivals)
        if table is None:
            return figures
        if not table.exists():
            return figures | {"table": {"skipped": f"there is no {table.name}"}}
        now = wall_micros()
        messages = list(of_table(list(read_events(table, now=now)), min(events, TABLE_EVENTS), now))
        beside = measure(Servers(bootstrap, redis_url, f"{tag}-table"), messages, repeat, rivals)
        return figures | {"table": {"name": table.name, **beside}}


def show(figures: dict[str, Any], indent: str = "") -> None:
    """A line for each figure."""
    for name, value in figures.items():
        if isinstance(value, dict):
            print(f"{indent}{name}")
            show(value, f"{indent}  ")
        else:
            print(f"{indent}{name:36} {value if isinstance(value, str) else format(value, ','):>14}")


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--table", type=Path, default=ONLINE_RETAIL, help="of orders, in columns that `replay` knows (Online Retail)"
    )
    parser.add_argument("--no-table", dest="table", action="store_const", const=None, help="the synthetic shop only")
    parser.add_argument("--no-rivals", action="store_true", help="without Quix Streams, Bytewax and Faust")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    arguments = parser.parse_args()
    figures = run(arguments.events, arguments.repeat, arguments.table, () if arguments.no_rivals else RIVALS)
    if arguments.json:
        print(json.dumps(figures))
    else:
        show(figures)


if __name__ == "__main__":
    main()
