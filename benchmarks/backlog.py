"""What becomes of a backlog: purchases waited on the log for minutes, and go on coming while a worker catches up.

A worker with everything on has learnt from a small history and stopped; one starts again when the backlog is there.
How far rows and views are behind is noted every half a second: rows by the events that wait, views by the age of the
oldest that is dirty.

    python -m benchmarks.backlog [--minutes N] [--rate N] [--customers N] [--repeat N] [--json]
"""

import argparse
import json
import multiprocessing
import statistics
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from benchmarks.filling import fill, settings_of, spread
from benchmarks.loading import CUSTOMERS, Servers, producer_of
from benchmarks.one_worker import one_worker
from benchmarks.purchases import purchases
from benchmarks.throughput import apart
from consumer.worker import Worker
from tests.servers import kafka_server, redis_server

ITEMS: Final = 2_000
LOOK_SECONDS: Final = 0.5
BEHIND_SECONDS: Final = 10.0
"""Views this much behind are as good as up to date after an outage."""
_REST: Final = 2.0
"""Seconds for which rows and views have to be up with the log before it is over."""
_PATIENCE: Final = 600.0


@dataclass(frozen=True)
class Look:
    """How far a worker is behind."""

    seconds: float
    """Since it took its partitions."""
    records: int
    """Worked off."""
    waiting: int | None
    """Events; None while that is unknown."""
    oldest_dirty_s: float


def catch_up(servers: Servers, rate: int) -> list[Look]:
    """One worker, until rows and views have been up with the log for a while; what it looks like meanwhile."""
    looks: list[Look] = []
    began = rested = 0.0

    def watch(worker: Worker) -> None:
        nonlocal rested
        now = time.perf_counter()
        views = worker.memory.views
        views.observe(worker.memory.held.values())
        lag = worker.lag
        if not looks or now - began - looks[-1].seconds >= LOOK_SECONDS:
            looks.append(Look(now - began, worker.figures.records, lag, views.figures.oldest_dirty_s))
        up_to_date = lag is not None and lag <= rate and views.figures.oldest_dirty_s < 1.0
        rested = (rested or now) if up_to_date else 0.0
        if (rested and now - rested > _REST) or now - began > _PATIENCE:
            worker.stop()

    with one_worker(servers.bootstrap, servers.redis_url, settings_of(servers)) as worker:
        while not worker.memory.holds_all:
            worker.step(0.1)
        began = time.perf_counter()
        worker.run(on_step=watch)
    return looks


def publish(servers: Servers, who: Sequence[str], rate: int, since: float, seconds: float) -> None:
    """Purchases at a steady rate from a moment on: at once those that are due, then as they come due."""
    producer, purchase, tag = producer_of(servers, **{"linger.ms": 5}), purchases(items=ITEMS), uuid.uuid4().hex[:6]
    for number in range(round(rate * seconds)):
        due = since + number / rate
        if due > time.time() + 0.005:
            producer.poll(0)
            time.sleep(max(0.0, due - time.time()))
        customer = who[number % len(who)]
        producer.produce(servers.names.events, purchase(customer, number, tag, due), customer.encode())
    producer.flush()


def run(minutes: float, rate: int, customers: int, repeat: int = 1) -> dict[str, Any]:
    """Wait until there is a backlog of so many minutes, and see it worked off; again and again. Medians."""
    backlog = round(60 * minutes * rate)
    with kafka_server() as bootstrap, redis_server() as redis_url:
        servers = Servers(bootstrap, redis_url, f"backlog-{uuid.uuid4().hex[:8]}")
        who = spread(fill(servers, customers, ITEMS), 50_000)
        turns = [told(_turn(servers, who, minutes, rate), backlog, rate) for _ in range(repeat)]
    turns.sort(key=lambda one: one["events_per_s"] or 0)
    looks = turns[len(turns) // 2].pop("looks")
    figures = {name: _median([one[name] for one in turns]) for name in turns[len(turns) // 2]}
    return {**figures, "runs": repeat, "looks": looks}


def _turn(servers: Servers, who: Sequence[str], minutes: float, rate: int) -> list[Look]:
    publish(servers, who, rate, time.time() - 60 * minutes, 60 * minutes)
    live = multiprocessing.get_context("spawn").Process(
        target=publish, args=(servers, who, rate, time.time(), _PATIENCE)
    )
    live.start()
    try:
        looks: list[Look] = apart(partial(catch_up, servers, rate))
    finally:
        live.kill()
        live.join()
    return looks


def _median(figures: Sequence[float | None]) -> float | None:
    """None: in some run it never came."""
    known = [figure for figure in figures if figure is not None]
    return round(statistics.median(known), 2) if len(known) == len(figures) else None


def told(looks: Sequence[Look], backlog: int, rate: int) -> dict[str, Any]:
    """What the looks come to."""
    rows = next((look for look in looks if look.waiting is not None and look.waiting <= rate), None)
    after = [look for look in looks if rows is not None and look.seconds >= rows.seconds]
    late = [look.seconds for look in looks if look.oldest_dirty_s > BEHIND_SECONDS]
    views = next((look.seconds for look in after if look.oldest_dirty_s < 1.0), None)
    return {
        "backlog_events": backlog,
        "rate": rate,
        "events_per_s": round(rows.records / rows.seconds) if rows else None,
        "rows_up_to_date_s": round(rows.seconds, 1) if rows else None,
        "views_up_to_date_s": round(views, 1) if views is not None else None,
        "views_after_rows_s": round(views - rows.seconds, 1) if rows and views is not None else None,
        "views_10s_behind_until_s": round(max(late, default=0.0), 1),
        "oldest_dirty_view_s": round(max((look.oldest_dirty_s for look in looks), default=0.0), 1),
        "oldest_dirty_view_after_rows_s": round(max((look.oldest_dirty_s for look in after), default=0.0), 1),
        "looks": [[round(look.seconds, 1), look.waiting, round(look.oldest_dirty_s, 2)] for look in looks],
    }


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="for which events waited")
    parser.add_argument("--rate", type=int, default=2_000, help="events a second, then and while it catches up")
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object; `looks`: seconds, waiting, age")
    arguments = parser.parse_args()
    figures = run(arguments.minutes, arguments.rate, arguments.customers, arguments.repeat)
    if arguments.json:
        print(json.dumps(figures))
        return
    looks = figures.pop("looks")
    for name, value in figures.items():
        print(f"{name:32} {value if value is not None else 'never':>12}")
    print("  seconds  events waiting  oldest dirty view (s)")
    for seconds, waiting, age in looks:
        print(f"{seconds:9.1f} {'' if waiting is None else waiting:>15} {age:>22.2f}")


if __name__ == "__main__":
    main()
