"""Events for benchmarks, on a log of their own: a synthetic shop's, or a table's as often as it takes."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import confluent_kafka
import msgspec

from consumer.clock import wall_micros
from consumer.settings import WorkerSettings
from contracts.keys import Keys, LogNames
from contracts.times import parse_rfc3339, rfc3339, to_micros
from logs.base import LogSpec
from logs.open import open_logs
from producer.message import PURCHASE, Message
from producer.shop import Shop, ShopSettings

PARTITIONS: Final = 12
CUSTOMERS: Final = 10_000
EVENTS_A_DAY: Final = 500
"""Somewhat less than the customers make: so many days of history have at least the events that are asked for."""


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

    def settings(self, **more: Any) -> WorkerSettings:
        """Of a worker on these logs, by the wall clock; all else as by default but for what is said."""
        usual: dict[str, Any] = {"clock": "wall", "names": self.names, "keys": Keys(self.tag), "group": self.tag}
        return WorkerSettings(**(usual | more))


def create_logs(servers: Servers, partitions: int = PARTITIONS) -> None:
    """Make the logs that a worker needs."""
    with closing(open_logs(f"kafka://{servers.bootstrap}")) as logs:
        for name in (servers.names.events, servers.names.changes, servers.names.dead_letters):
            logs.create(LogSpec(name, partitions))


def producer_of(servers: Servers, **settings: Any) -> confluent_kafka.Producer:
    """One that places events as all others do. librdkafka's, since loading is not what is timed."""
    return confluent_kafka.Producer(
        {
            "bootstrap.servers": servers.bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 2_000_000,
            **settings,
        }
    )


def put(servers: Servers, messages: Iterable[Message]) -> int:
    """Publish messages in their order. How many there were."""
    producer = producer_of(servers)
    count = 0
    for message in messages:
        producer.produce(servers.names.events, message.value, message.key)
        count += 1
        if count % 10_000 == 0:
            producer.poll(0)
    producer.flush()
    return count


def of_shop(events: int, customers: int = CUSTOMERS, **settings: Any) -> Iterator[Message]:
    """The first so many events of the synthetic shop: two years of it, or as many as they take."""
    days = max(730, events * CUSTOMERS // (EVENTS_A_DAY * customers) + 1)
    shop = Shop(ShopSettings(now=wall_micros(), customers=customers, currency="GBP", history_days=days, **settings))
    return islice(shop.history(), events)


def of_table(table: Sequence[Message], events: int, now: int) -> Iterator[Message]:
    """A table's events in time order, the last of them just now; of so many shops alike that there are enough."""
    shops = -(-events // len(table))
    later = now - max(message.occurred_at for message in table)
    for message in sorted(table):
        event = msgspec.json.decode(message.value)
        who, which = event["customer_id"], event["event_id"]
        at = to_micros(parse_rfc3339(event["occurred_at"])) + later
        event["occurred_at"] = rfc3339(at)
        for number in range(shops):
            event["customer_id"], event["event_id"] = f"{who}-{number}", f"{which}-{number}"
            yield Message(at, event["event_id"], event["customer_id"].encode(), msgspec.json.encode(event))


class _Line(msgspec.Struct):
    quantity: int
    unit_price: float


class _Event(msgspec.Struct):
    type: str
    customer_id: str
    lines: list[_Line] = []


read_event: Final = msgspec.json.Decoder(_Event).decode
"""Of an encoded event what is counted."""


@dataclass(frozen=True)
class Tally:
    """What whoever only counts and sums up has to come to."""

    events: int
    customers: int
    """Who has bought."""
    spend: float


def tally(messages: Iterable[Message]) -> Tally:
    """Events, and of purchases the buyers and what they paid."""
    events, spend, who = 0, 0.0, set()
    for message in messages:
        event = read_event(message.value)
        events += 1
        if event.type == PURCHASE:
            who.add(event.customer_id)
            spend += sum(line.quantity * line.unit_price for line in event.lines)
    return Tally(events, len(who), spend)
