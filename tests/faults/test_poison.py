"""Whatever can be put onto the log: what is an event counts once, everything else is a dead letter with its reason."""

import gzip
import json
import time
from contextlib import closing

import pytest
from kafka import KafkaProducer

from consumer.clock import wall_micros
from contracts.events import Line, Purchase, encode_event
from contracts.times import from_micros
from logs.kafka_client import KafkaCluster
from tests.faults.scenario import SPOILT, Scenario
from tests.servers.secured import kafka_security_of_tests

CODECS = (None, "gzip", "snappy", "lz4", "zstd")
HOSTILE = ("*", "{}", "a:b", "{p0}:meta", "..", "%s", "𝔘𝔫𝔦", "x" * 128)
"""Ids that are allowed, and would do harm in a key that is put together carelessly."""


def purchase(event_id: str, customer_id: str) -> bytes:
    return encode_event(
        Purchase(
            event_id=event_id,
            customer_id=customer_id,
            occurred_at=from_micros(wall_micros()),
            order_id="o",
            currency="GBP",
            lines=(Line(item_id="a", quantity=1, unit_price=2.5),),
        )
    )


def spoilt() -> list[bytes | None]:
    """Records that are no events, each in its own way."""
    good = json.loads(purchase(SPOILT, "ann"))

    def but(**other) -> bytes:
        return json.dumps({**good, **other}).encode()

    line = good["lines"][0]
    return [
        None,
        b"",
        b"\x00",
        b"null",
        b"[]",
        b"{",
        purchase("cut", "ann")[:-20],
        purchase("latin", "ann").replace(b"ann", b"\xe4nn"),
        purchase("utf-16", "ann").decode().encode("utf-16"),
        gzip.compress(purchase("packed", "ann")),
        but(type="purchase-made"),
        but(v=99),
        but(customer_id=""),
        but(customer_id="new\nline"),
        but(customer_id="x" * 10_000),
        but(customer_id=None),
        but(occurred_at="2099-01-01T00:00:00Z"),
        but(occurred_at="yesterday"),
        but(occurred_at="2020-01-01T00:00:00"),
        but(lines=[]),
        but(lines=[{**line, "quantity": 0}]),
        but(lines=[{**line, "quantity": 10**30}]),
        but(lines=[{**line, "quantity": 1.5}]),
        but(lines=[{**line, "unit_price": -1}]),
        but(lines=[{**line, "unit_price": "ten"}]),
        but(lines=[{**line, "unit_price": 1e300}]),
        but(currency="XXX"),
        json.dumps({**good, "lines": [{**line, "unit_price": float("nan")}]}).encode(),
        json.dumps({**good, "lines": [{**line, "unit_price": float("inf")}]}).encode(),
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        but(note="x" * 1_900_000, customer_id=7),
    ]


@pytest.mark.timeout(400)
def test_poison_of_every_kind_stops_nothing(kafka_bootstrap, deployment, fault_report):
    servers = KafkaCluster(kafka_bootstrap, kafka_security_of_tests()).settings()
    with Scenario(deployment) as shop:
        shop.start(2)
        shop.load()
        topic = deployment.names.events
        # Every codec, hostile ids, and keys that are missing or say something else than the event.
        for codec in CODECS:
            with closing(KafkaProducer(**servers, compression_type=codec)) as producer:
                for number, who in enumerate(HOSTILE):
                    key = (who.encode(), None, b"another key")[number % 3]
                    producer.send(topic, value=purchase(f"{codec}-{number}", who), key=key)
                producer.flush()
        bad = spoilt()
        with closing(KafkaProducer(**servers, max_request_size=4_000_000)) as producer:
            placed = [producer.send(topic, value=value, key=None if n % 2 else b"ann") for n, value in enumerate(bad)]
            wanted = {(one.get(30).partition, one.get(30).offset) for one in placed}
        # Control records: at the end of a partition they are all that a reader is still behind.
        transactional = KafkaProducer(**servers, transactional_id=deployment.tag)
        with closing(transactional) as producer:
            producer.init_transactions()
            for number, ends in enumerate((producer.commit_transaction, producer.abort_transaction) * 2):
                producer.begin_transaction()
                for partition in range(deployment.partitions):
                    producer.send(topic, value=purchase(f"t-{number}-{partition}", f"in doubt {number}"), key=b"any")
                ends()
        took = shop.recovered(time.monotonic())
        rows = shop.checked()
        found = {(one["partition"], one["offset"]) for one in map(json.loads, deployment.dead_letters())}
        assert found == wanted
        known = deployment.rows()
        assert set(HOSTILE) <= set(known)
        assert {"in doubt 0", "in doubt 2"} <= set(known), "committed"
        assert not {"in doubt 1", "in doubt 3"} & set(known), "aborted"
        fault_report(
            f"{len(wanted)} records that are no events (tombstones, half JSON, nested JSON, encodings, NaN, 2 MB),"
            f" {len(HOSTILE)} hostile ids, wrong and missing keys, five codecs, committed and aborted transactions",
            f"{rows} rows exact, {len(found)} dead letters, each with its place and reason",
            took,
        )
