"""What a second worker brings, and how long a partition is without one when it moves.

Throughput of one and of two workers in the same run, on the same broker and Redis. On a machine of two cores these two
servers take their share, so that two workers can not be twice as fast: with as many cores as processes they would.

Hand-over: two partitions of 250,000 customers each. One worker holds both; a second joins and is given one, cleanly;
then the first is killed, and the second takes the other when the session is over. While some events come for each
partition all the time, the pause is the longest time for which the partition's position in Redis stands still.

    python -m benchmarks.workers [--events N] [--customers N] [--json]
"""

import argparse
import json
import multiprocessing
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from typing import Any, Final

import redis

from benchmarks.filling import fill
from benchmarks.loading import PARTITIONS, Servers, create_logs, of_shop, producer_of, put
from benchmarks.one_worker import one_worker
from consumer.worker import Worker
from contracts.keys import Keys
from producer.message import Message
from tests.servers import kafka_server, redis_server

SESSION_SECONDS: Final = 6.0
PATIENCE_SECONDS: Final = 600.0
SEED_EVENTS: Final = 8_000
"""Of real customers, whose rows all others are copies of."""
RATE: Final = 100
"""Events a second while a partition is handed over."""
LOOK_SECONDS: Final = 0.02


class HungError(SystemExit):
    """Something that should have happened did not, within PATIENCE_SECONDS."""


@dataclass
class Hand:
    """What is known of a worker's process, and what it is told."""

    records: Any
    """How many it has worked on."""
    held: Any
    """How many partitions it has."""
    stop: Event
    hold: Event
    """Where this is set, it waits for `go`."""
    go: Event


def work(servers: Servers, hand: Hand) -> None:
    """One worker until `stop`."""
    settings = servers.settings(session_timeout=SESSION_SECONDS)

    def watch(worker: Worker) -> None:
        hand.records.value, hand.held.value = worker.figures.records, len(worker.memory.held)
        if hand.hold.is_set():
            hand.go.wait(PATIENCE_SECONDS)
        if hand.stop.is_set():
            worker.stop()

    with one_worker(servers.bootstrap, servers.redis_url, settings) as worker:
        worker.run(on_step=watch)


@contextmanager
def hands(servers: Servers) -> Iterator[Callable[[], tuple[SpawnProcess, Hand]]]:
    """Starts workers; they end with the block."""
    context = multiprocessing.get_context("spawn")
    started: list[tuple[SpawnProcess, Hand]] = []

    def start() -> tuple[SpawnProcess, Hand]:
        hand = Hand(context.Value("q", 0), context.Value("q", 0), *(context.Event(), context.Event(), context.Event()))
        process = context.Process(target=work, args=(servers, hand))
        process.start()
        started.append((process, hand))
        return process, hand

    try:
        yield start
    finally:
        for _, hand in started:
            hand.stop.set()
            hand.go.set()
        for process, _ in started:
            process.join(30)
            process.kill()
            process.join()


def until(done: Callable[[], bool]) -> None:
    """Wait for something. Raises HungError."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise HungError("a worker hangs")
        time.sleep(LOOK_SECONDS)


class Partitions:
    """What Redis tells of the partitions of a deployment."""

    def __init__(self, servers: Servers, partitions: int) -> None:
        self._client = redis.Redis.from_url(servers.redis_url)
        self._keys = [Keys(servers.tag).meta(number) for number in range(partitions)]

    def field(self, name: str) -> list[bytes | None]:
        """One field of each partition's meta fields."""
        pipe = self._client.pipeline(transaction=False)
        for key in self._keys:
            pipe.hget(key, name)
        return pipe.execute()


def throughput(servers: Servers, messages: Sequence[Message], workers: int) -> float:
    """Events per second that so many workers work off; all are on the log before the first is read."""
    create_logs(servers)
    with hands(servers) as start:
        team = [start()[1] for _ in range(workers)]
        until(lambda: all(hand.held.value == PARTITIONS // workers for hand in team))
        for hand in team:
            hand.hold.set()
        put(servers, messages)
        before: int = sum(hand.records.value for hand in team)
        began = time.perf_counter()
        for hand in team:
            hand.go.set()
        until(lambda: sum(hand.records.value for hand in team) >= len(messages))
        return (len(messages) - before) / (time.perf_counter() - began)


class Trickle:
    """Some events for both partitions all the time, and how long each partition's position stands still."""

    def __init__(self, servers: Servers, ids: list[list[str]]) -> None:
        self._producer = producer_of(servers, **{"linger.ms": 5})
        self._log = servers.names.events
        self._ids = ids
        self._partitions = Partitions(servers, len(ids))
        self._sent = 0
        self._began = time.monotonic()
        self.begin()

    def begin(self) -> None:
        """Measure from now on."""
        self._positions = self._partitions.field("position")
        self._at = [time.monotonic()] * len(self._ids)
        self.pause = [0.0] * len(self._ids)

    def until(self, done: Callable[[], bool]) -> None:
        """Go on until something holds."""

        def look() -> bool:
            while self._sent < (time.monotonic() - self._began) * RATE:
                self._send()
            now = time.monotonic()
            for number, position in enumerate(self._partitions.field("position")):
                self.pause[number] = max(self.pause[number], now - self._at[number])
                if position != self._positions[number]:
                    self._positions[number], self._at[number] = position, now
            return done()

        until(look)

    def lasting(self, seconds: float) -> None:
        """Go on for so long."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end)

    def claims(self) -> list[int]:
        """How often each partition was claimed."""
        return [int(claims or 0) for claims in self._partitions.field("claims")]

    def _send(self) -> None:
        ids = self._ids[self._sent % len(self._ids)]
        who = ids[self._sent % len(ids)]
        event = {
            "type": "purchase",
            "event_id": uuid.uuid4().hex,
            "customer_id": who,
            "occurred_at": datetime.now(UTC).isoformat(),
            "order_id": str(self._sent),
            "currency": "GBP",
            "lines": [{"item_id": "item-1", "quantity": 1, "unit_price": 9.5}],
        }
        self._producer.produce(self._log, json.dumps(event).encode(), who.encode())
        self._producer.poll(0)
        self._sent += 1


def hand_over(servers: Servers, customers: int) -> dict[str, float]:
    """Pauses of a partition that moves cleanly, of one that stays, and of one whose worker is killed."""
    ids = fill(servers, 2 * customers, items=400, partitions=2)
    trickle = Trickle(servers, ids)
    before = trickle.claims()
    with hands(servers) as start:
        first, _ = start()
        trickle.until(lambda: trickle.claims() == [number + 1 for number in before])
        trickle.lasting(20.0)
        trickle.begin()
        start()
        trickle.until(lambda: sum(trickle.claims()) == sum(before) + 3)
        trickle.lasting(10.0)
        moved = next(number for number in (0, 1) if trickle.claims()[number] == before[number] + 2)
        joined, stayed = trickle.pause[moved], trickle.pause[1 - moved]
        trickle.begin()
        first.kill()
        trickle.until(lambda: sum(trickle.claims()) == sum(before) + 4)
        trickle.lasting(10.0)
        killed = trickle.pause[1 - moved]
    return {
        "customers": customers,
        "join_pause_s": round(joined, 2),
        "join_pause_of_what_stays_s": round(stayed, 2),
        "kill_pause_s": round(killed, 2),
        "session_timeout_s": SESSION_SECONDS,
        "kill_pause_without_session_timeout_s": round(killed - SESSION_SECONDS, 2),
    }


def run(events: int, customers: int) -> dict[str, float]:
    """All of it."""
    tag = f"workers-{uuid.uuid4().hex[:8]}"
    messages = list(of_shop(events))
    with kafka_server() as bootstrap, redis_server() as redis_url:
        one = throughput(Servers(bootstrap, redis_url, f"{tag}-one"), messages, 1)
        two = throughput(Servers(bootstrap, redis_url, f"{tag}-two"), messages, 2)
        figures = hand_over(Servers(bootstrap, redis_url, f"{tag}-over"), customers)
    return {
        "events": len(messages),
        "cores": multiprocessing.cpu_count(),
        "one_worker_events_per_s": round(one),
        "two_workers_events_per_s": round(two),
        "ratio": round(two / one, 2),
        **figures,
    }


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--customers", type=int, default=250_000, help="in each of the two partitions handed over")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    arguments = parser.parse_args()
    figures = run(arguments.events, arguments.customers)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:40} {value:>12,}")


if __name__ == "__main__":
    main()
