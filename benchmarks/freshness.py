"""How long it takes from publishing a purchase until the buyer's view can be read in Redis, at a steady rate.

One worker with everything on, a real broker, a real Redis, each in a process of its own. Every twentieth purchase is of
somebody new, and that buyer is timed: from when the purchase was *due* to be published (so that a producer held up by
the system under test hides nothing: coordinated omission) until Redis tells of the view's first write. Sweeps, reviews
of the segments and solves of what goes with what are due thrice a minute meanwhile, far more often than in a shop.

    python -m benchmarks.freshness [--rate N | --rate 70%]… [--seconds N] [--repeat N] [--json]

A rate in per cent is one of the maximum: of the events per second at which the same worker works off its history.
"""

import argparse
import json
import multiprocessing
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any, Final

import numpy as np
import redis

from benchmarks.loading import CUSTOMERS, Servers, create_logs, of_shop, producer_of, put
from benchmarks.one_worker import one_worker
from benchmarks.purchases import purchases
from consumer.worker import Worker
from contracts.keys import Keys
from contracts.times import SECOND
from online_model.settings import ModelSettings
from recommender.settings import RecommenderSettings
from tests.servers import kafka_server, redis_server

HISTORY = 200_000
"""Events of known customers before it begins: so many that the blend is not tuned anew meanwhile."""
EVERY: Final = 20 * SECOND
"""A sweep, a review and a solve are due after so long: one of each while 20 s are timed."""
BACKGROUND: Final = ("sweeps", "reviews", "item_reviews", "forecast_reviews")
TIMED = 20
"""One purchase in so many is of somebody new."""
WARM_UP = 30.0
"""Seconds at the first rate before anything is timed: a broker begins by compiling itself."""
_SETTLE: Final = 1 / 6
"""As much of that before each later time."""
_QUIET: Final = 2.0
"""Seconds without a record taken after which there is none."""
_TICK = 0.001
"""Seconds: purchases are published in ticks of that, each so much before it is due at most."""
GRACE = 10.0
"""Seconds after the last purchase for views to come; what has not come by then counts as so late."""


@dataclass
class Told:
    """What the worker's process tells this one."""

    ready: Event
    stop: Event
    maximum: Any
    """Events per second at which it worked off the history."""
    done: Any
    """How often each of BACKGROUND was done."""
    records: Any
    """How many records it has taken."""

    def read_all(self) -> None:
        """Wait until the worker has read what there is: a rate beyond what it can do leaves it a backlog."""
        before = -1
        while before < self.records.value:
            before = self.records.value
            time.sleep(_QUIET)


def work(servers: Servers, history: int, told: Told) -> None:
    """One worker until `stop`; `ready` once it has caught up with the history, and learnt what there is to learn."""
    settings = servers.settings(
        sweep_interval_wall=EVERY,
        model=ModelSettings(review_interval=EVERY),
        recommender=RecommenderSettings(item_review_interval=EVERY),
    )
    began = 0.0

    def watch(worker: Worker) -> None:
        nonlocal began
        memory, figures = worker.memory, worker.figures
        if not figures.records:
            began = time.perf_counter()
        if not told.maximum.value and figures.records >= history:
            told.maximum.value = history / (time.perf_counter() - began)
        learnt = memory.learner.model is not None and memory.item_model is not None
        if not told.ready.is_set() and figures.records >= history and learnt and worker.idle:
            told.ready.set()
        told.records.value = figures.records
        told.done[:] = [getattr(figures, name).times for name in BACKGROUND]
        if told.stop.is_set():
            worker.stop()

    with one_worker(servers.bootstrap, servers.redis_url, settings) as worker:
        worker.run(on_step=watch)


class Arrivals(threading.Thread):
    """Notes when the view of each new customer is written for the first time, as Redis tells it."""

    def __init__(self, servers: Servers, prefix: str) -> None:
        super().__init__(daemon=True)
        self.at: dict[str, float] = {}
        self._stopped = threading.Event()
        client = redis.Redis.from_url(servers.redis_url, decode_responses=True)
        client.config_set("notify-keyspace-events", "K$")
        self._channel = f"__keyspace@0__:{Keys(servers.tag).customer(prefix)}"
        self._heard = client.pubsub(ignore_subscribe_messages=True)
        self._heard.psubscribe(f"{self._channel}*")

    def run(self) -> None:
        """Listen until `stop`."""
        skip = len(self._channel)
        while not self._stopped.is_set():
            message = self._heard.get_message(timeout=0.1)
            if message is not None:
                self.at.setdefault(message["channel"][skip:], time.time())
        self._heard.close()

    def stop(self) -> None:
        """Listen no longer."""
        self._stopped.set()
        self.join()


def publish(servers: Servers, rate: int, warm_up: float, seconds: float, prefix: str) -> tuple[dict[str, float], float]:
    """Publish purchases at a steady rate. When each new customer's was due, epoch seconds, after the warm-up.

    And how late the producer itself was at worst, seconds: above some milliseconds this machine is too busy to tell.
    """
    producer = producer_of(servers, **{"linger.ms": 2, "compression.type": "none"})
    purchase = purchases()
    due_at: dict[str, float] = {}
    late = 0.0
    began = time.time()
    for number in range(round(rate * (warm_up + seconds))):
        due = began + number / rate
        if due - time.time() > _TICK:
            producer.poll(0)
            time.sleep(max(0.0, due - time.time()))
        new = number % TIMED == 0
        customer = f"{prefix}{number}" if new else f"c{number % CUSTOMERS}"
        if new and due - began >= warm_up:
            due_at[str(number)] = due
            late = max(late, time.time() - due)
        producer.produce(servers.names.events, purchase(customer, number, prefix, due), customer.encode())
    producer.flush()
    return due_at, late


def measure(servers: Servers, told: Told, rate: int, warm_up: float, seconds: float) -> dict[str, float]:
    """Percentiles at one rate."""
    prefix = f"new-{uuid.uuid4().hex[:6]}-"
    arrivals = Arrivals(servers, prefix)
    arrivals.start()
    before = list(told.done)
    due_at, producer_late = publish(servers, rate, warm_up, seconds, prefix)
    done = [after - first for after, first in zip(told.done, before, strict=True)]
    end = time.time() + GRACE
    while time.time() < end and not due_at.keys() <= arrivals.at.keys():
        time.sleep(0.01)
    late = time.time()
    arrivals.stop()
    took = np.array([arrivals.at.get(number, late) - due for number, due in due_at.items()]) * 1e3
    p50, p99, p999 = np.percentile(took, [50, 99, 99.9])
    return {
        "rate": rate,
        "views": len(took),
        "missing": len(due_at.keys() - arrivals.at.keys()),
        "p50_ms": round(float(p50), 1),
        "p99_ms": round(float(p99), 1),
        "p999_ms": round(float(p999), 1),
        "max_ms": round(float(took.max()), 1),
        "producer_late_ms": round(producer_late * 1e3, 1),
        **dict(zip(BACKGROUND, done, strict=True)),
    }


def run(
    rates: Sequence[Callable[[float], int]],
    seconds: float,
    repeat: int = 1,
    *,
    history: int = HISTORY,
    warm_up: float = WARM_UP,
) -> list[dict[str, float]]:
    """Every rate in turn, on one worker, as often as said; medians. A rate may depend on the maximum."""
    context = multiprocessing.get_context("spawn")
    with kafka_server() as bootstrap, redis_server() as redis_url:
        servers = Servers(bootstrap, redis_url, f"fresh-{uuid.uuid4().hex[:8]}")
        create_logs(servers)
        history = put(servers, of_shop(history))
        numbers = context.Value("d", 0.0), context.Array("q", len(BACKGROUND)), context.Value("q", 0)
        told = Told(context.Event(), context.Event(), *numbers)
        worker = context.Process(target=work, args=(servers, history, told), daemon=False)
        worker.start()
        try:
            while not told.ready.wait(1):
                if not worker.is_alive():
                    raise SystemExit("the worker ended before it had read the history")
            maximum: float = told.maximum.value
            found: list[list[dict[str, float]]] = [[] for _ in rates]
            for _ in range(repeat):
                for rate, figures in zip(rates, found, strict=True):
                    told.read_all()
                    figures.append(measure(servers, told, rate(maximum), warm_up, seconds))
                    warm_up = min(warm_up, WARM_UP * _SETTLE)
            return [{"maximum": round(maximum), "runs": repeat, **medians(one)} for one in found]
        finally:
            told.stop.set()
            worker.join(30)
            worker.kill()


def medians(figures: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each figure."""
    return {name: statistics.median(one[name] for one in figures) for name in figures[0]}


def rate_of(text: str) -> Callable[[float], int]:
    """A rate, from the maximum: so many a second, or so many per cent of it."""
    share = text.endswith("%")
    number = float(text.removesuffix("%"))
    if number <= 0:
        raise argparse.ArgumentTypeError(f"a rate is above 0, not {text}")
    return lambda maximum: max(1, round(maximum * number / 100 if share else number))


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rate", type=rate_of, action="append", help="purchases a second, or 70%%: of the maximum; again for several"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="for which each rate is timed")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print a JSON object for each rate, one a line")
    arguments = parser.parse_args()
    for one in run(arguments.rate or [rate_of("2000")], arguments.seconds, arguments.repeat):
        print(json.dumps(one) if arguments.json else "  ".join(f"{name} {value:,}" for name, value in one.items()))


if __name__ == "__main__":
    main()
