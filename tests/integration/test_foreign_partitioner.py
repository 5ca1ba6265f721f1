"""Events placed by librdkafka's default partitioner, which is not Java's: every customer still ends in one row."""

import json
import random
from contextlib import closing
from datetime import timedelta

import pytest
from confluent_kafka import Producer

from consumer.aside import REROUTED
from contracts.events import Erase, Interaction, Line, Profile, Purchase, Return, encode_event
from contracts.partitioning import partition_of
from contracts.times import DAY, EPOCH, HOUR
from tests.against_oracle import wrong_rows
from tests.deployment import Deployment
from tests.oracle import Oracle
from tests.servers.secured import librdkafka_of_tests

PARTITIONS = 12
START = 19_000 * DAY
CUSTOMERS = [f"customer-{n}" for n in range(60)]


def shop_events():
    """Several of every kind for each customer, in order of time; two in three customers are erased in between."""
    rng = random.Random(8)
    events = []
    for who in CUSTOMERS:
        kinds = [Purchase] * 4 + [Return, Profile, Interaction]
        rng.shuffle(kinds)
        if rng.random() < 0.66:
            kinds.insert(rng.randrange(2, 6), Erase)
        for n, kind in enumerate(kinds):
            events.append(build(kind, f"{who}-{n}", who, START + n * 4 * HOUR + rng.randrange(3) * HOUR, rng))
    return sorted(events, key=lambda event: event.occurred_at)


def build(kind, event_id, who, at, rng):
    head = {"event_id": event_id, "customer_id": who, "occurred_at": EPOCH + timedelta(microseconds=at)}
    if kind is Profile:
        return Profile(**head, attributes={"age": rng.randrange(90), "from": event_id})
    if kind is Erase:
        return Erase(**head)
    if kind is Interaction:
        return Interaction(**head, kind="shown", items=("a",))
    lines = tuple(
        Line(item_id=rng.choice("abcdef"), quantity=rng.randint(1, 4), unit_price=rng.randrange(1, 10_000) / 100)
        for _ in range(rng.randint(1, 3))
    )
    return kind(**head, order_id=event_id, lines=lines, currency="GBP")


@pytest.fixture
def deployment(kafka_bootstrap, redis_url, unique):
    return Deployment(f"kafka://{kafka_bootstrap}", redis_url, unique, PARTITIONS)


def publish_by_librdkafka(deployment, events):
    """Its default partitioner: CRC32 of the key."""
    producer = Producer(
        {**librdkafka_of_tests(deployment.log_url.removeprefix("kafka://")), "enable.idempotence": True}
    )
    failed = []
    for event in events:
        producer.produce(
            deployment.names.events,
            key=event.customer_id,
            value=encode_event(event),
            on_delivery=lambda error, _: error and failed.append(error),
        )
    assert producer.flush(30) == 0
    assert not failed


def records(deployment):
    """Every record of the events log: partition, customer, whether it was rerouted."""
    with closing(deployment.logs()) as logs:
        return [
            (
                batch.partition,
                json.loads(value)["customer_id"],
                any(name == REROUTED for name, _ in batch.headers.get(place, ())),
            )
            for batch in logs.read_all(deployment.names.events)
            for place, value in enumerate(batch.values)
        ]


def partitions_of_rows(deployment):
    return {
        who: partition for partition in range(PARTITIONS) for ids, _ in deployment.state.rows(partition) for who in ids
    }


def test_every_customer_ends_in_one_row_in_the_right_partition(deployment):
    events = shop_events()
    publish_by_librdkafka(deployment, events)
    misplaced = [who for partition, who, _ in records(deployment) if partition != partition_of(who, PARTITIONS)]
    assert len(misplaced) > len(events) // 2, "librdkafka's placement differs for most ids"

    worker = deployment.run()

    assert not wrong_rows(deployment.rows(), Oracle().replay(events))
    assert all(partition == partition_of(who, PARTITIONS) for who, partition in partitions_of_rows(deployment).items())
    assert worker.figures.rerouted == len(misplaced)
    assert worker.figures.records == len(events) + len(misplaced)
    after = records(deployment)
    rerouted = [(partition, who) for partition, who, again in after if again]
    assert len(after) == len(events) + len(misplaced), "nothing goes round twice"
    assert sorted(who for _, who in rerouted) == sorted(misplaced)
    assert all(partition == partition_of(who, PARTITIONS) for partition, who in rerouted)
    assert deployment.dead_letters() == []


def test_the_same_customers_by_two_partitioners(deployment):
    """Orders, returns and profiles of one customer in two partitions: in any order within L, some of them twice."""
    events = [event for event in shop_events() if not isinstance(event, Erase | Interaction)]
    publish_by_librdkafka(deployment, events[::2] + events[:20])
    with deployment.writer() as writer:
        for event in events[1::2] + events[:20]:
            writer.append(deployment.names.events, event.customer_id.encode(), encode_event(event))
    worker = deployment.run()
    assert not wrong_rows(deployment.rows(), Oracle().replay(events))
    assert worker.figures.events.total() == len(events)
    assert worker.figures.ignored["repeated"] == 40


def test_a_rerouted_event_in_a_wrong_partition_is_a_dead_letter(deployment):
    event = shop_events()[0]
    right = partition_of(event.customer_id, PARTITIONS)
    wrong = (right + 1) % PARTITIONS
    with deployment.writer() as writer:
        placed = writer.append(
            deployment.names.events,
            event.customer_id.encode(),
            encode_event(event),
            partition=wrong,
            headers=[("trace", b"t"), (REROUTED, b"1")],
        )
        position = placed.result(30).position
    worker = deployment.run()
    assert worker.figures.dead_letters == {"partition": 1}
    assert worker.figures.rerouted == 0
    (letter,) = [json.loads(value) for value in deployment.dead_letters()]
    assert (letter["partition"], letter["offset"], letter["reason"]) == (wrong, position, "partition")
    assert deployment.rows() == {}
    assert len(records(deployment)) == 1
