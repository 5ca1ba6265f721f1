"""The parts of logs that need no server."""

import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.partitioning import partition_of
from logs.assignment import Assignment, share_out
from logs.base import LogSpec
from logs.kafka_client import KafkaCluster
from logs.kafka_log import KafkaLogs
from logs.kafka_noise import OncePerInterval
from logs.kafka_security import KafkaSecurity
from logs.memory import MemoryLogs
from logs.open import LogUrlError, open_logs
from logs.partitioner import Partitioner
from logs.redis_log import RedisLogs
from logs.redis_stream import entry_id_of, position_of


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory://", MemoryLogs),
        ("redis://localhost:6379/3", RedisLogs),
        ("rediss://user:secret@shop.example:6379", RedisLogs),
        ("kafka://localhost:9092", KafkaLogs),
        ("kafka://one:9092,two:9092", KafkaLogs),
    ],
)
def test_a_url_opens_its_log_without_connecting(url, kind):
    logs = open_logs(url)
    assert isinstance(logs, kind)
    assert "secret" not in logs.url
    logs.close()


@pytest.mark.parametrize(
    "url", ["", "localhost:9092", "kafka://", "kafka://host", "kafka://a:1,b", "redis://", "http://x"]
)
def test_a_wrong_url_is_one_readable_line(url):
    with pytest.raises(LogUrlError, match="kafka://host:port") as caught:
        open_logs(url)
    assert "\n" not in str(caught.value)


@given(st.integers(1, 9), st.integers(0, 40), st.data())
def test_partitions_are_shared_evenly_and_no_more_move_than_must(members, partitions, data):
    before = data.draw(st.dictionaries(st.integers(0, max(0, partitions - 1)), st.integers(0, members - 1)))
    before = {partition: owner for partition, owner in before.items() if partition < partitions}
    after = share_out(members, partitions, before)
    counts = [list(after.values()).count(member) for member in range(members)]
    assert sorted(after) == list(range(partitions))
    assert max(counts) - min(counts) <= 1
    kept = sum(after[partition] == owner for partition, owner in before.items())
    quotas = sorted(counts, reverse=True)
    held = sorted((list(before.values()).count(member) for member in range(members)), reverse=True)
    assert kept == sum(min(quota, had) for quota, had in zip(quotas, held, strict=True))


@given(st.lists(st.tuples(st.sampled_from(["gain", "lose", "take"]), st.sets(st.integers(0, 3)))))
def test_what_a_reader_is_told_adds_up_to_what_it_holds(steps):
    assignment = Assignment()
    told: set[int] = set()
    for kind, partitions in [*steps, ("take", set())]:
        if kind == "gain":
            assignment.gain(partitions - assignment.held)
        elif kind == "lose":
            assignment.lose(partitions)
        else:
            gained, lost = assignment.take()
            assert lost <= told
            told = (told - lost) | gained
            assert told == assignment.held
            assert not assignment.changed
    assert all(assignment.ready(partition) for partition in told)


def test_a_partition_that_came_back_is_not_ready_before_that_is_told():
    assignment = Assignment()
    assignment.gain([0])
    assignment.take()
    assignment.lose([0])
    assignment.gain([0])
    assert not assignment.ready(0)
    assert assignment.take() == ({0}, {0})
    assert assignment.ready(0)


@given(st.text(max_size=40).filter(lambda text: text.isprintable()), st.integers(1, 64))
def test_the_writers_partition_is_the_contracts(customer_id, partitions):
    assert Partitioner().partition(customer_id.encode(), partitions) == partition_of(customer_id, partitions)


def test_records_without_a_key_go_round():
    partitioner = Partitioner()
    assert [partitioner.partition(None, 3) for _ in range(6)] == [0, 1, 2, 0, 1, 2]


@given(st.integers(0, 2**50), st.integers(0, 2**40))
def test_entry_ids_are_positions_in_the_same_order(ms, count):
    position = position_of(b"%d-%d" % (ms, count))
    assert entry_id_of(position) == f"{ms}-{count}"
    assert position < position_of(b"%d-%d" % (ms, count + 1)) < position_of(b"%d-%d" % (ms + 1, 0))


def test_memory_takes_its_times_from_the_clock_it_was_given():
    times = iter([5, 7])
    logs = MemoryLogs(now=lambda: next(times))
    logs.create(LogSpec("events", 1))
    writer = logs.writer()
    assert [writer.append("events", None, b"v").result().position for _ in range(2)] == [0, 1]
    [batch] = logs.read_all("events")
    assert list(batch.log_times) == [5, 7]


def test_memory_hands_a_partition_over_at_once_and_tells_both():
    logs = MemoryLogs()
    logs.create(LogSpec("events", 4))
    first = logs.reader("events", "g")
    assert first.poll(0).assigned == {0, 1, 2, 3}
    second = logs.reader("events", "g")
    assert first.rebalancing
    lost = first.poll(0).revoked
    assert second.poll(0).assigned == lost
    assert len(lost) == 2
    logs.writer().append("events", b"k", b"v", partition=min(lost))
    first.seek(min(lost), None)
    assert first.poll(0).batches == ()
    second.seek(min(lost), None)
    assert [batch.partition for batch in second.poll(0).batches] == [min(lost)]


def test_memory_takes_records_from_many_threads():
    logs = MemoryLogs()
    logs.create(LogSpec("events", 3))
    writer = logs.writer()
    threads = [
        threading.Thread(target=lambda: [writer.append("events", b"%d" % n, b"v") for n in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batches = logs.read_all("events")
    assert sum(map(len, batches)) == 2_000
    for batch in batches:
        assert list(batch.positions) == list(range(len(batch)))


def test_kafka_pythons_lines_pass_once_per_interval_and_debug_never(caplog):
    clock = iter([0.0, 1.0, 2.0, 31.0]).__next__
    handler = OncePerInterval(interval=30.0, clock=clock)
    talkative = logging.getLogger("livesegments-test-talkative")
    talkative.propagate = False
    talkative.setLevel(logging.DEBUG)
    talkative.addHandler(handler)
    talkative.debug("password=secret")
    for n in range(4):
        handler.handle(
            logging.makeLogRecord({"name": "kafka.x", "levelno": logging.ERROR, "lineno": 1, "msg": f"down {n}"})
        )
    assert [record.getMessage() for record in caplog.records] == ["down 0", "down 3 (and 2 more like this)"]


def test_a_root_logger_at_debug_does_not_make_kafka_python_talk():
    KafkaCluster("localhost:9092").settings()
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        assert not logging.getLogger("kafka.net.sasl.plain").isEnabledFor(logging.DEBUG)
    finally:
        logging.getLogger().setLevel(level)


def test_security_becomes_kafka_pythons_settings_and_hides_its_password():
    security = KafkaSecurity(tls=True, mechanism="SCRAM-SHA-512", username="worker", password="secret")
    settings = KafkaCluster("one:9093,two:9093", security).settings()
    assert settings["security_protocol"] == "SASL_SSL"
    assert settings["bootstrap_servers"] == ["one:9093", "two:9093"]
    assert settings["sasl_plain_password"] == "secret"
    assert "secret" not in repr(security)
    assert KafkaCluster("one:9092", KafkaSecurity()).settings()["security_protocol"] == "PLAINTEXT"
