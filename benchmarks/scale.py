"""What a worker and Redis need for so many customers, and whether an event costs more the more customers there are.

Rows are put into Redis (`benchmarks.filling`); then one worker with everything on loads them, sweeps, writes the view
of each customer, and works off purchases of customers drawn at random: first while Redis does nothing else, then from
the moment on that it rewrites its append-only file, as it does whenever that has doubled. While some events go on, a
second worker joins, and is handed half of the partitions. Each number of customers has a Redis of its own, unless
REDIS_URL names one.

Another worker works off a few before all that, in small steps, of which hardly any customer has two events, however
many customers there are: `us_per_event_alone`, without sweeps and passes over forecasts, which are over all rows.

    python -m benchmarks.scale [--customers N]… [--items N] [--events N] [--json]

Throughput is held against that with 10,000 customers in the same run. Of several numbers of customers the two largest
are extrapolated to 10,000,000: a straight line, nothing that was measured.
"""

import argparse
import json
import multiprocessing
import queue
import resource
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final

import redis

from benchmarks.filling import fill, settings_of, spread
from benchmarks.loading import Servers, producer_of
from benchmarks.one_worker import one_worker
from benchmarks.purchases import purchases
from benchmarks.workers import Trickle
from consumer import collector
from consumer.worker import Worker
from tests.servers import kafka_server, redis_server

FEW: Final = 10_000
"""Customers of the deployment that all others are held against."""
MANY: Final = 10_000_000
"""What is extrapolated to."""
_PATIENCE: Final = 600.0
AROUND_SECONDS: Final = 5.0
"""Before and after a hand-over, while events come."""
_A_SECOND: Final = 1_000.0
"""Purchases that are worked off follow one another so quickly: of one moment are not more than there would be."""
_EARLIER: Final = 3_600.0
"""Seconds by which those in small steps lie before all others."""
_SMALL_STEP: Final = 200
"""Events of a partition in one of those steps: with 10,000 customers eight of nine are of a customer of their own."""
_MIB: Final = 2**20


def resident_mib() -> float:
    """What this process has in memory now; where the system does not tell, the most it ever had."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * resource.getpagesize() / _MIB


@dataclass
class Talk:
    """Between the first worker's process and this one."""

    wanted: Any
    """A queue: how many events the worker wants to be on the log; it does nothing until they are `published`."""
    published: Event
    figures: Any
    """A queue, to which it gives what it found."""
    stop: Event

    def ask(self, events: int) -> None:
        """Have events published."""
        self.wanted.put(events)
        self.published.wait(_PATIENCE)


def work_alone(servers: Servers, events: int, talk: Talk) -> None:
    """A worker in small steps, until it has its figure."""
    settings = replace(settings_of(servers), batch_events=_SMALL_STEP)
    with one_worker(servers.bootstrap, servers.redis_url, settings) as worker:
        _load(worker)
        _until_idle(worker)
        _quietly(servers)
        talk.ask(events)
        passes = worker.figures.sweeps, worker.figures.forecasts
        before = sum(one.seconds for one in passes)
        seconds = events / _work_off(worker, worker.figures.records + events)
        talk.figures.put({"us_per_event_alone": 1e6 * (seconds - sum(one.seconds for one in passes) + before) / events})
        worker.close()


def work(servers: Servers, events: int, talk: Talk) -> None:
    """The first worker that goes on: it finds its figures, then works until `stop`."""
    figures: dict[str, float] = {}
    with one_worker(servers.bootstrap, servers.redis_url, settings_of(servers)) as worker:
        figures["load_s"] = _load(worker)
        _until_idle(worker)
        figures["sweep_s"] = _per_time(worker)
        figures["views_s"] = _rewrite(worker)
        figures["worker_mib"] = resident_mib()
        with closing(redis.Redis.from_url(servers.redis_url)) as client:
            figures["redis_mib"] = client.info("memory")["used_memory"] / _MIB
            _quietly(servers)
            talk.ask(2 * events)
            before = worker.figures.records
            figures["events_per_s"] = _work_off(worker, before + events)
            _rewrite_file(client)
            figures["events_per_s_rewriting"] = _work_off(worker, before + 2 * events)
            _until(lambda: not _rewriting(client))
        figures["worker_most_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        talk.figures.put(figures)
        worker.run(on_step=lambda worker: worker.stop() if talk.stop.is_set() else None)


def help_out(servers: Servers, stop: Event) -> None:
    """The second worker, until `stop`."""
    with one_worker(servers.bootstrap, servers.redis_url, settings_of(servers)) as worker:
        worker.run(on_step=lambda worker: worker.stop() if stop.is_set() else None)


def _load(worker: Worker) -> float:
    """Seconds for claiming and loading all partitions, without waiting for the group."""
    passed = 0.0
    while not worker.memory.holds_all:
        held, began = len(worker.memory.held), time.perf_counter()
        worker.step(0.1)
        if len(worker.memory.held) > held:
            passed += time.perf_counter() - began
    return passed


def _until_idle(worker: Worker) -> None:
    while not worker.idle:
        worker.step(0.1)


def _per_time(worker: Worker) -> float:
    sweeps = worker.figures.sweeps
    return sweeps.seconds / sweeps.times


def _rewrite(worker: Worker) -> float:
    """Seconds for everybody's view, as after an item review."""
    memory = worker.memory
    memory.views.rewrite_all(memory.held.values())
    began = time.perf_counter()
    while memory.views.pending(memory.held.values()):
        worker.step(0.0)
    return time.perf_counter() - began


def _rewrite_file(client: redis.Redis) -> None:
    """Have Redis begin to rewrite its append-only file; it waits for one that is under way."""
    _until(lambda: not _rewriting(client))
    client.bgrewriteaof()


def _quietly(servers: Servers) -> None:
    """Have Redis rewrite its append-only file now, so that it need not for a while."""
    with closing(redis.Redis.from_url(servers.redis_url)) as client:
        _rewrite_file(client)
        _until(lambda: not _rewriting(client))


def _rewriting(client: redis.Redis) -> bool:
    persistence = client.info("persistence")
    return bool(persistence["aof_rewrite_in_progress"] or persistence["aof_rewrite_scheduled"])


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise SystemExit("Redis did not end to rewrite its append-only file")
        time.sleep(0.1)


def _work_off(worker: Worker, until: int) -> float:
    """Events per second until the worker has taken so many, all of them on the log before the first is read."""
    before = worker.figures.records
    began = time.perf_counter()
    while worker.figures.records < until:
        with collector.later():
            worker.step(0.1)
    return (worker.figures.records - before) / (time.perf_counter() - began)


def publish(servers: Servers, ids: list[list[str]], items: int, events: int, ago: float) -> None:
    """Purchases of customers drawn at random, in a shop that sells a thousand a second; the last some seconds ago."""
    purchase, producer, tag = purchases(items=items), producer_of(servers), uuid.uuid4().hex[:6]
    began = time.time() - ago - events / _A_SECOND
    for number, who in enumerate(spread(ids, events)):
        producer.produce(servers.names.events, purchase(who, number, tag, began + number / _A_SECOND), who.encode())
    producer.flush()


def hand_over(servers: Servers, ids: list[list[str]], stop: Event) -> dict[str, float]:
    """Pauses while a second worker joins and is given half: of the partitions that move, and of those that stay."""
    trickle = Trickle(servers, ids)
    trickle.lasting(AROUND_SECONDS)
    before = trickle.claims()
    trickle.begin()
    second = multiprocessing.get_context("spawn").Process(target=help_out, args=(servers, stop))
    second.start()
    trickle.until(lambda: sum(trickle.claims()) >= sum(before) + len(ids) // 2)
    trickle.lasting(AROUND_SECONDS)
    moved = [after > claims for after, claims in zip(trickle.claims(), before, strict=True)]
    pauses = list(zip(trickle.pause, moved, strict=True))
    stop.set()
    second.join(_PATIENCE)
    return {
        "moved_partitions": sum(moved),
        "hand_over_pause_s": max(pause for pause, moves in pauses if moves),
        "pause_of_what_stays_s": max((pause for pause, moves in pauses if not moves), default=0.0),
    }


@contextmanager
def _worker(
    work: Callable[[Servers, int, Talk], None], servers: Servers, events: int, put: Callable[[int], None]
) -> Iterator[Talk]:
    """A worker in a process of its own, which has the events that it wants; it is stopped when the block ends."""
    context = multiprocessing.get_context("spawn")
    talk = Talk(context.Queue(), context.Event(), context.Queue(), context.Event())
    process = context.Process(target=work, args=(servers, events, talk))
    process.start()
    try:
        put(_wanted(talk, process))
        talk.published.set()
        yield talk
    finally:
        talk.stop.set()
        process.join(60)
        process.kill()


def _wanted(talk: Talk, worker: BaseProcess) -> int:
    """How many events the worker wants."""
    while True:
        try:
            number: int = talk.wanted.get(timeout=1)
        except queue.Empty:
            if not worker.is_alive():
                raise SystemExit("the worker ended before it had written all views") from None
        else:
            return number


def measure(bootstrap: str, customers: int, items: int, events: int) -> dict[str, float]:
    """Everything about one number of customers."""
    with redis_server() as redis_url:
        servers = Servers(bootstrap, redis_url, f"scale-{uuid.uuid4().hex[:8]}")
        began = time.perf_counter()
        ids = fill(servers, customers, items)
        fill_s = time.perf_counter() - began
        put = partial(publish, servers, ids, items)
        with _worker(work_alone, servers, max(1, events // 5), partial(put, ago=_EARLIER)) as talk:
            figures = talk.figures.get(timeout=_PATIENCE)
        with _worker(work, servers, events, partial(put, ago=0.0)) as talk:
            figures |= talk.figures.get(timeout=_PATIENCE) | hand_over(servers, ids, talk.stop)
        with closing(redis.Redis.from_url(redis_url)) as client:
            for key in client.scan_iter(f"{servers.tag}:*", count=10_000):
                client.unlink(key)
    customers = sum(map(len, ids))
    return {
        "customers": customers,
        "items": items,
        "fill_s": round(fill_s, 1),
        **{name: round(value, 2) for name, value in figures.items()},
        "views_per_s": round(customers / figures["views_s"]),
    }


def run(sizes: list[int], items: int, events: int, few: int = FEW) -> list[dict[str, Any]]:
    """All sizes, the smallest first; what is measured with few customers for comparison only is left out."""
    with kafka_server() as bootstrap:
        measured = {size: measure(bootstrap, size, items, events) for size in sorted({few, *sizes})}
    base = measured[few]["events_per_s"]
    figures: list[dict[str, Any]] = [
        {**measured[size], "throughput_vs_10k": round(measured[size]["events_per_s"] / base, 3)}
        for size in sorted(sizes)
    ]
    if len(figures) > 1:
        figures.append(extrapolated(*figures[-2:]))
    return figures


def extrapolated(less: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """A straight line through two sizes."""
    share = (MANY - less["customers"]) / (more["customers"] - less["customers"])
    names = ("load_s", "sweep_s", "views_s", "worker_mib", "redis_mib")
    line = {name: round(less[name] + share * (more[name] - less[name]), 1) for name in names}
    return {"customers": MANY, "extrapolated": True, **line}


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, action="append", help="again for several (10000, 100000, 1000000)")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=200_000, help="worked off twice with each number of customers")
    parser.add_argument("--json", action="store_true", help="print a JSON object for each number, one a line")
    arguments = parser.parse_args()
    for one in run(arguments.customers or [FEW, 100_000, 1_000_000], arguments.items, arguments.events):
        print(json.dumps(one) if arguments.json else "  ".join(f"{name} {value:,}" for name, value in one.items()))


if __name__ == "__main__":
    main()
