"""How long it takes from publishing a purchase until the buyer's view can be read in Redis, at a steady rate.

One worker with everything on, a real broker, a real Redis, each in a process of its own. Every twentieth purchase is of
somebody new, and that buyer is timed: from when the purchase was *due* to be published (so that a producer held up by
the system under test hides nothing: coordinated omission) until Redis tells of the view's first write.

    python -m benchmarks.freshness [--rate N]… [--seconds N] [--json]
"""

import argparse
import json
import multiprocessing
import threading
import time
import uuid
from datetime import UTC, datetime
from itertools import islice
from multiprocessing.synchronize import Event

import confluent_kafka
import numpy as np
import redis

from benchmarks.one_worker import one_worker
from benchmarks.throughput import CUSTOMERS, Servers, load
from consumer.clock import wall_micros
from consumer.settings import WorkerSettings
from consumer.worker import Worker
from contracts.keys import Keys
from producer.shop import Shop, ShopSettings
from tests.servers import kafka_server, redis_server

HISTORY = 200_000
"""Events of known customers before it begins: so many that the blend is not tuned anew meanwhile."""
TIMED = 20
"""One purchase in so many is of somebody new."""
WARM_UP = 30.0
"""Seconds at the rate before anything is timed: a broker begins by compiling itself."""
_TICK = 0.001
"""Seconds: purchases are published in ticks of that, each so much before it is due at most."""
GRACE = 10.0
"""Seconds after the last purchase for views to come; what has not come by then counts as so late."""


def work(servers: Servers, ready: Event, stop: Event) -> None:
    """One worker until `stop`; `ready` once it has caught up with the history, and learnt what there is to learn."""
    settings = WorkerSettings(clock="wall", names=servers.names, keys=Keys(servers.tag), group=servers.tag)

    def watch(worker: Worker) -> None:
        memory = worker.memory
        learnt = memory.learner.model is not None and memory.item_model is not None
        if worker.figures.records >= HISTORY and learnt and worker.idle:
            ready.set()
        if stop.is_set():
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


def bodies() -> list[str]:
    """What purchases of the synthetic shop have in common, as JSON: what they bought, and in which currency."""
    shop = Shop(ShopSettings(now=wall_micros(), customers=CUSTOMERS, currency="GBP", history_days=30))
    events = (json.loads(message.value) for message in islice(shop.history(), 5_000))
    parts = [{"currency": "GBP", "lines": event["lines"]} for event in events if event["type"] == "purchase"]
    return [json.dumps(part)[1:] for part in parts]


def publish(servers: Servers, rate: int, seconds: float, prefix: str) -> tuple[dict[str, float], float]:
    """Publish purchases at a steady rate. When each new customer's was due, epoch seconds, after the warm-up.

    And how late the producer itself was at worst, seconds: above some milliseconds this machine is too busy to tell.
    """
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": servers.bootstrap, "partitioner": "murmur2_random", "linger.ms": 2}
    )
    rests = bodies()
    due_at: dict[str, float] = {}
    late = 0.0
    began = time.time()
    for number in range(round(rate * (WARM_UP + seconds))):
        due = began + number / rate
        if due - time.time() > _TICK:
            producer.poll(0)
            time.sleep(max(0.0, due - time.time()))
        new = number % TIMED == 0
        customer = f"{prefix}{number}" if new else f"c{number % CUSTOMERS}"
        if new and due - began >= WARM_UP:
            due_at[str(number)] = due
            late = max(late, time.time() - due)
        # Put together by hand: this process shares the machine with those that are measured.
        head = (
            f'{{"type": "purchase", "event_id": "{prefix}{number}", "customer_id": "{customer}", '
            f'"order_id": "{number}", "occurred_at": "{datetime.fromtimestamp(due, UTC).isoformat()}", '
        )
        producer.produce(servers.names.events, (head + rests[number % len(rests)]).encode(), customer.encode())
    producer.flush()
    return due_at, late


def measure(servers: Servers, rate: int, seconds: float) -> dict[str, float]:
    """Percentiles at one rate."""
    prefix = f"new-{uuid.uuid4().hex[:6]}-"
    arrivals = Arrivals(servers, prefix)
    arrivals.start()
    due_at, producer_late = publish(servers, rate, seconds, prefix)
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
    }


def run(rates: list[int], seconds: float) -> list[dict[str, float]]:
    """Every rate in turn, on one worker."""
    context = multiprocessing.get_context("spawn")
    with kafka_server() as bootstrap, redis_server() as redis_url:
        servers = Servers(bootstrap, redis_url, f"fresh-{uuid.uuid4().hex[:8]}")
        load(servers, HISTORY)
        ready, stop = context.Event(), context.Event()
        worker = context.Process(target=work, args=(servers, ready, stop), daemon=False)
        worker.start()
        try:
            while not ready.wait(1):
                if not worker.is_alive():
                    raise SystemExit("the worker ended before it had read the history")
            return [measure(servers, rate, seconds) for rate in rates]
        finally:
            stop.set()
            worker.join(30)
            worker.kill()


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, action="append", help="purchases a second (again for several; 2000)")
    parser.add_argument("--seconds", type=float, default=30.0, help="for which each rate is timed")
    parser.add_argument("--json", action="store_true", help="print one JSON array and nothing else")
    arguments = parser.parse_args()
    figures = run(arguments.rate or [2_000], arguments.seconds)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for one in figures:
            print("  ".join(f"{name} {value:,}" for name, value in one.items()))


if __name__ == "__main__":
    main()
