"""Rows that move to other partitions: none lost, none changed, whatever interrupts the move."""

import json
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from consumer.layout import HEADER, UNFINISHED
from consumer.redis_images import RedisImages
from consumer.redis_state import RedisState
from consumer.repartitioning import NOTE, RepartitionError, repartition
from consumer.state import StateLayoutError
from contracts.documents import HistoryDay
from contracts.events import Erase, encode_event
from contracts.keys import Keys, LogNames
from contracts.partitioning import partition_of
from contracts.times import HOUR, from_micros
from logs.kafka_client import KafkaCluster
from logs.kafka_log import KafkaLogs
from recommender.redis_open import open_redis
from tests.deployment import plain_rows
from tests.dying_images import DyingImages, Killed
from tests.in_process import START, InProcess, comparable, fixed_model
from tests.integration.test_cli import Shell
from tests.integration.test_snapshot import event
from tests.servers.secured import kafka_security_of_tests

BEFORE, AFTER = 2, 5
EVENTS = 400


@pytest.fixture
def client(redis_url):
    with open_redis(redis_url) as client:
        yield client


@pytest.fixture
def shop(client, unique):
    shop = InProcess(BEFORE, state=RedisState(client, Keys(unique)), prefix=unique)
    shop.adopt(fixed_model())
    shop.publish(*map(event, range(EVENTS)))
    shop.run()
    return shop


def more_partitions(shop, partitions=AFTER):
    """The log as it is once it has been given more partitions."""
    return replace(shop.logs.describe(shop.names.events), partitions=partitions)


def move(shop, client, **more):
    return repartition(shop.state, RedisImages(client, shop.keys), more_partitions(shop), **more)


def test_every_row_is_where_its_customer_belongs_and_what_it_was(shop, client):
    before = shop.rows()
    done = move(shop, client)
    assert comparable(plain_rows(shop.state, AFTER)) == comparable(before)
    assert (done.before, done.after, done.customers) == (BEFORE, AFTER, len(before))
    assert 0 < done.moved < len(before)
    for partition in range(AFTER):
        for ids, _ in shop.state.rows(partition):
            assert {partition_of(who, AFTER) for who in ids} <= {partition}
    metas = [shop.state.meta(number) for number in range(AFTER)]
    assert [meta.log_partitions for meta in metas] == [AFTER] * AFTER
    assert [meta.position for meta in metas[BEFORE:]] == [0] * (AFTER - BEFORE)
    assert len({meta.clock for meta in metas}) == 1
    assert NOTE not in shop.state.notes()


def test_views_that_were_written_stay_written_and_others_stay_dirty(shop, client):
    held = RedisImages(client, shop.keys).read(0)
    assert held.meta.views_seq == held.meta.seq, "all views are written"
    key = shop.keys.meta(0)
    client.hset(key, "views_seq", 0)
    move(shop, client)
    dirty = set()
    for partition in range(AFTER):
        image = RedisImages(client, shop.keys).read(partition)
        for who, row in zip(image.customer_ids, image.rows, strict=True):
            if int(np.frombuffer(row[: HEADER.itemsize], HEADER)["changed_seq"][0]) > image.meta.views_seq:
                dirty.add(who)
    assert dirty == set(held.customer_ids)


def test_it_goes_on_after_being_killed_before_any_write(shop, client):
    before = comparable(shop.rows())
    steps = 0
    while True:
        images = DyingImages(client, shop.keys, [steps])
        try:
            done = repartition(shop.state, images, more_partitions(shop))
            break
        except Killed:
            steps += 1
        for number in range(AFTER):
            meta = shop.state.meta(number)
            if meta is not None and meta.layout == UNFINISHED:
                with pytest.raises(StateLayoutError, match="again"):
                    shop.state.claim(number, "token", meta.claims)
    assert steps > 15
    assert comparable(plain_rows(shop.state, AFTER)) == before
    assert done.before == BEFORE
    with pytest.raises(RepartitionError, match="nothing to move"):
        move(shop, client)


def test_each_death_alone_is_survived(client, unique):
    """Killed once at the nth write, then run to its end."""
    for steps in range(0, 24, 3):
        prefix = f"{unique}-{steps}"
        shop = InProcess(BEFORE, state=RedisState(client, Keys(prefix)), prefix=prefix)
        shop.publish(*map(event, range(60)))
        shop.run()
        before = comparable(shop.rows())
        with pytest.raises(Killed):
            repartition(shop.state, DyingImages(client, shop.keys, [steps]), more_partitions(shop))
        move(shop, client)
        assert comparable(plain_rows(shop.state, AFTER)) == before


def test_nothing_is_removed_where_rows_have_not_arrived(shop, client):
    class Losing(RedisImages):
        def put_rows(self, partition, rows):
            super().put_rows(partition, (rows[0][1:], rows[1][1:]))

    before = comparable(shop.rows())
    with pytest.raises(RepartitionError, match="nothing was removed"):
        repartition(shop.state, Losing(client, shop.keys), more_partitions(shop))
    move(shop, client)
    assert comparable(plain_rows(shop.state, AFTER)) == before


def test_what_was_erased_stays_refused(client, unique):
    shop = InProcess(BEFORE, state=RedisState(client, Keys(unique)), prefix=unique)
    events = [one for number in range(EVENTS) if not isinstance(one := event(number), Erase)]
    shop.publish(*events)
    at = from_micros(START + EVENTS * HOUR)
    erased = [f"customer-{number}" for number in range(10)]
    shop.publish(*(Erase(event_id=f"forget-{who}", customer_id=who, occurred_at=at) for who in erased))
    shop.run()
    move(shop, client)
    for who in erased:
        markers = [shop.state.keep(number).markers for number in (partition_of(who, AFTER),)]
        assert all(len(one) >= 1 for one in markers)
        partition = partition_of(who, AFTER)
        everywhere = shop.state.keep(partition_of(who, BEFORE)).markers
        assert set(everywhere) & set(shop.state.keep(partition).markers)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"partitions": BEFORE}, "nothing to do|nothing to move"),
        ({"partitions": 1}, "only more"),
        ({"identity": "x"}, "another key prefix"),
    ],
)
def test_what_can_not_be_moved_is_refused_before_anything_is_written(shop, client, change, text):
    before = comparable(shop.rows())
    log = replace(more_partitions(shop), **change)
    with pytest.raises(RepartitionError, match=text):
        repartition(shop.state, RedisImages(client, shop.keys), log)
    assert comparable(shop.rows()) == before
    assert NOTE not in shop.state.notes()


def test_the_command_on_kafka(kafka_bootstrap, redis_url, unique, tmp_path):
    """Worked off, given more partitions, moved, and gone on from: as if it had had them from the start."""
    settings = {
        "REDIS_URL": redis_url,
        "LOG_URL": f"kafka://{kafka_bootstrap}",
        "CLOCK": "event",
        "PARTITIONS": str(BEFORE),
        "SESSION_TIMEOUT": "6s",
        "KEY_PREFIX": unique,
        "LOG_PREFIX": f"{unique}-",
        "GROUP": unique,
    }
    shell = Shell(tmp_path, {f"LIVESEGMENTS_{name}": value for name, value in settings.items()})
    events = [event(number) for number in range(600)]

    topic = LogNames(f"{unique}-").events

    def publish(some):
        with (
            closing(KafkaLogs(kafka_bootstrap, security=kafka_security_of_tests())) as logs,
            closing(logs.writer()) as writer,
        ):
            for one in some:
                writer.append(topic, one.customer_id.encode(), encode_event(one))
            writer.flush(30)

    shell.run("worker", "--until-idle", "1s")
    publish(events[:300])
    shell.run("worker", "--until-idle", "1s")
    shell.environment["LIVESEGMENTS_PARTITIONS"] = str(AFTER)
    assert "kafka-topics.sh --alter" in shell.run("repartition", status=1)
    publish(events[300:310])
    admin = KafkaCluster(kafka_bootstrap, kafka_security_of_tests()).admin()
    try:
        admin.create_partitions({topic: AFTER})
    finally:
        admin.close()
    assert "livesegments repartition" in shell.run("worker", "--until-idle", "1s", status=1)
    assert "10 events are unread" in shell.run("repartition", status=1)
    assert "2 partitions have become 5" in shell.run("repartition", "--leave-unread")
    assert "nothing to move" in shell.run("repartition", status=1)
    publish(events[310:])
    shell.run("worker", "--until-idle", "1s")

    with open_redis(redis_url) as client:
        moved = plain_rows(RedisState(client, Keys(unique)), AFTER)
        day = client.get(
            Keys(unique).history(max(events, key=lambda one: one.occurred_at).occurred_at.date().isoformat())
        )
    plain = InProcess(AFTER)
    plain.publish(*events)
    plain.run()
    names = ("orders", "spend", "units", "first_at", "newest_at", "seen_at", "erase_floor", "lines", "attributes")
    assert comparable(moved, names) == comparable(plain.rows(), names)
    segments = HistoryDay.model_validate_json(day).segments
    assert sum(one.size for one in segments) == len(moved)
    assert json.loads(shell.run("show", next(iter(moved)), "--json"))["known"]
