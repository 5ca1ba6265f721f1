"""Kafka's own ways to fail, on a real broker: rebalances, a broker that dies or freezes, topics changed under us."""

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from kafka import errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.partitioner import murmur2 as kafka_murmur2

from contracts.partitioning import murmur2
from logs import kafka_log
from logs.base import LogChangedError, LogReader, LogSpec, LogUnavailableError, Polled
from logs.kafka_client import KafkaCluster
from logs.kafka_log import KafkaLogs
from logs.kafka_watch import KafkaWatch
from logs.redis_server import free_port
from tests.servers.secured import kafka_security_of_tests

DEADLINE = 120.0
PARTITIONS = 6


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"


class Store:
    """What checkpoints would keep, shared by all workers: positions, and who may move them."""

    def __init__(self) -> None:
        self.positions: dict[int, int] = {}
        self.owner: dict[int, object] = {}
        self.values: list[bytes] = []
        self.refused = 0
        self.lock = threading.Lock()


class Worker:
    """Reads as the consumer does: claims what it is assigned, and applies a batch only under its claim."""

    def __init__(self, reader: LogReader, store: Store) -> None:
        self.reader = reader
        self.store = store
        self.claims: dict[int, object] = {}

    @property
    def held(self) -> set[int]:
        return set(self.claims)

    def step(self, timeout: float = 0.1) -> Polled:
        polled = self.reader.poll(timeout)
        assert not {batch.partition for batch in polled.batches} & polled.revoked
        for partition in polled.revoked:
            del self.claims[partition]
        with self.store.lock:
            for batch in polled.batches:
                claim = self.claims[batch.partition]  # a batch of what was never claimed is an error
                if self.store.owner[batch.partition] is not claim:
                    self.store.refused += 1
                    continue
                assert batch.positions[0] == self.store.positions.get(batch.partition, 0), "a gap or a repetition"
                self.store.positions[batch.partition] = batch.positions[-1] + 1
                self.store.values += batch.values
            for partition in polled.assigned:
                self.claims[partition] = self.store.owner[partition] = object()
        for partition in polled.assigned:
            self.reader.seek(partition, self.store.positions.get(partition))
        return polled


@pytest.fixture
def logs(kafka_bootstrap):
    logs = KafkaLogs(kafka_bootstrap, security=kafka_security_of_tests(), session_timeout=6.0, heartbeat=0.3)
    yield logs
    logs.close()


@pytest.fixture
def admin(kafka_bootstrap):
    admin = KafkaCluster(kafka_bootstrap, kafka_security_of_tests()).admin()
    yield admin
    admin.close()


@pytest.fixture
def log(logs, unique) -> str:
    logs.create(LogSpec(unique, PARTITIONS))
    return unique


def test_our_murmur2_is_kafka_pythons():
    for key in (b"", b"1", b"ab", b"abc", b"abcd", "Ω€ß".encode(), bytes(range(256))):
        assert murmur2(key) & 0x7FFFFFFF == kafka_murmur2(key) & 0x7FFFFFFF


def test_a_topic_we_create_keeps_its_own_time_and_everything(logs, admin, unique):
    logs.create(LogSpec(unique, 3))
    logs.create(LogSpec(f"{unique}-changes", 3, retention_ms=30 * 86_400_000))
    logs.create(LogSpec(f"{unique}-catalog", 1, compacted=True))

    def settings(name: str) -> dict[str, str]:
        resource = ConfigResource(ConfigResourceType.TOPIC, name)
        described = admin.describe_configs([resource], config_filter="all")["topic"][name]
        return {setting: value["value"] for setting, value in described.items()}

    events = settings(unique)
    assert events["message.timestamp.type"] == "LogAppendTime"
    assert events["retention.ms"] == "-1"
    assert events["cleanup.policy"] == "delete"
    assert settings(f"{unique}-changes")["retention.ms"] == str(30 * 86_400_000)
    assert settings(f"{unique}-catalog")["cleanup.policy"] == "compact"


def test_partitions_move_between_readers_without_gap_or_repetition(logs, log):
    store = Store()
    workers = [Worker(logs.reader(log, log), store)]
    writer = logs.writer()
    sent = 0

    def send(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            writer.append(log, b"key %d" % sent, b"%d" % sent)
            sent += 1

    def run(condition: Callable[[], object]) -> None:
        def step() -> object:
            send(5)
            for worker in workers:
                worker.step()
            return condition()

        until(step)

    run(lambda: len(workers[0].held) == PARTITIONS)
    workers.append(Worker(logs.reader(log, log), store))
    run(lambda: [len(worker.held) for worker in workers] == [3, 3])
    kept = set(workers[0].held)
    workers.append(Worker(logs.reader(log, log), store))
    run(lambda: [len(worker.held) for worker in workers] == [2, 2, 2])
    assert workers[0].held < kept, "a cooperative rebalance moves no more than it must"
    workers.pop(0).reader.close()
    run(lambda: sum(len(worker.held) for worker in workers) == PARTITIONS)
    writer.flush(DEADLINE)
    run_out = time.monotonic() + DEADLINE
    while len(store.values) < sent and time.monotonic() < run_out:
        for worker in workers:
            worker.step()
    assert Counter(store.values) == Counter(b"%d" % n for n in range(sent))
    for worker in workers:
        worker.reader.close()
    writer.close(DEADLINE)


def test_readers_that_only_glance_at_the_log_get_their_partitions_and_leave_the_group_in_peace(logs, log):
    """As a worker does that has work in hand, and the follower of the catalogue: polls of no length, far apart."""
    readers = [logs.reader(log, log)]
    held: list[set[int]] = [set(), set()]
    apart = threading.Event()

    def glance() -> None:
        for place, reader in enumerate(readers):
            polled = reader.poll(0.0)
            held[place] = (held[place] | set(polled.assigned)) - set(polled.revoked)
        apart.wait(0.2)  # longer than an answer takes

    def settled(*shares: int) -> bool:
        glance()
        return [len(one) for one in held] == list(shares) and not any(reader.rebalancing for reader in readers)

    until(lambda: settled(PARTITIONS, 0))
    readers.append(logs.reader(log, log))
    until(lambda: settled(3, 3))
    generation = readers[0]._consumer.group_metadata().generation_id
    assert generation <= 5, "one for the first, at most two rounds for the second and one to settle"
    for reader in readers:
        reader.close()


def test_a_reader_that_stood_still_is_told_that_its_partitions_came_back_or_went(kafka_bootstrap, logs, log):
    """The group gives up a reader that does not poll in time; its first poll after that says so."""
    store = Store()
    impatient = KafkaLogs(
        kafka_bootstrap, security=kafka_security_of_tests(), session_timeout=6.0, heartbeat=0.3, max_poll_interval=2.0
    )
    slow, fast = (Worker(each.reader(log, log), store) for each in (impatient, logs))
    until(lambda: slow.step() and fast.step() and {len(slow.held), len(fast.held)} == {3})
    had = set(slow.held)
    until(lambda: fast.step() and len(fast.held) == PARTITIONS)
    with contextlib.closing(logs.writer()) as writer:
        for n in range(60):
            writer.append(log, b"key %d" % n, b"%d" % n)
    told: set[int] = set()
    until(lambda: told.update(slow.step().revoked) or (fast.step() and told >= had and len(slow.held) == 3))
    until(lambda: (slow.step(), fast.step()) and len(store.values) == 60)
    assert Counter(store.values) == Counter(b"%d" % n for n in range(60))
    slow.reader.close()
    fast.reader.close()
    impatient.close()


def test_a_topic_that_gets_more_partitions_stops_its_readers(logs, admin, log):
    worker = Worker(logs.reader(log, log), Store())
    until(lambda: worker.step() and worker.held)
    admin.create_partitions({log: PARTITIONS + 2})
    with pytest.raises(LogChangedError, match="partitions"):
        until(lambda: worker.step() and False)
    worker.reader.close()


def test_the_lag_of_a_quiet_partition_is_known_again_after_it_was_taken_and_given_back(logs, log):
    worker = Worker(logs.reader(log, log), Store())
    until(lambda: worker.step() and worker.reader.lag() == dict.fromkeys(range(PARTITIONS), 0))
    for state in worker.reader._consumer._subscription.assignment.values():
        state.highwater = None  # as kafka-python begins with a partition that it is given
    assert worker.reader.lag() is None
    until(lambda: worker.step() and worker.reader.lag() == dict.fromkeys(range(PARTITIONS), 0))
    worker.reader.close()


def test_all_of_a_backlog_is_known_while_its_first_records_are_handed_out(logs, log, monkeypatch):
    monkeypatch.setitem(kafka_log.CONSUMER, "max_poll_records", 10)
    store = Store()
    worker = Worker(logs.reader(log, log), store)
    until(lambda: worker.step() and worker.reader.lag() == dict.fromkeys(range(PARTITIONS), 0))
    writer = logs.writer()
    futures = [writer.append(log, b"k", b"%d" % n, partition=n % PARTITIONS) for n in range(100 * PARTITIONS)]
    assert all(future.result(DEADLINE) for future in futures)
    told = []

    def step():
        got = len(store.values)
        worker.step()
        if len(store.values) > got:
            told.append((len(futures) - len(store.values), sum(worker.reader.lag().values())))

    until(lambda: step() or len(store.values) == len(futures))
    # The first answer was sent when the first record was published, and knows of no other.
    later = told[len(told) // 2 :]
    assert [lag for _, lag in later] == [left for left, _ in later]
    worker.reader.close()
    writer.close(DEADLINE)


def test_a_deleted_topic_stays_deleted_and_stops_its_readers(logs, admin, log):
    """Brokers make topics that clients ask for, unless they are told not to: ours do not ask for that."""
    worker = Worker(logs.reader(log, log), Store())
    until(lambda: worker.step() and len(worker.held) == PARTITIONS)
    admin.delete_topics([log])
    with pytest.raises(LogChangedError, match="was deleted while"):
        until(lambda: worker.step() and False)
    assert log not in admin.list_topics()
    worker.reader.close()


def test_what_is_committed_is_seen_by_lag_monitors(logs, admin, log):
    worker = Worker(logs.reader(log, "monitored"), Store())
    until(lambda: worker.step() and len(worker.held) == PARTITIONS)
    worker.reader.commit({0: 0, 1: 0})
    worker.step()
    worker.reader.close()
    committed = admin.list_group_offsets(["monitored"])["monitored"]
    assert {place.partition for place, offset in committed.items() if offset.offset == 0} == {0, 1}


def test_a_commit_that_the_group_refused_is_made_again(logs, admin, log, monkeypatch):
    """As it does amid a rebalance, or where the answer was lost with the connection."""
    worker = Worker(logs.reader(log, log), Store())
    until(lambda: worker.step() and len(worker.held) == PARTITIONS)
    monkeypatch.setattr(
        worker.reader._consumer,
        "commit_async",
        lambda offsets, callback: callback(offsets, errors.RebalanceInProgressError()),
    )
    worker.reader.commit({0: 0})
    worker.step()
    worker.reader.close()
    assert [place.partition for place in admin.list_group_offsets([log])[log]] == [0]


def test_a_broker_that_is_killed_and_comes_back_loses_and_doubles_nothing(local_kafka):
    logs = KafkaLogs(local_kafka.bootstrap, session_timeout=6.0, heartbeat=0.5)
    logs.create(LogSpec("events", PARTITIONS))
    store = Store()
    worker = Worker(logs.reader("events", "events"), store)
    writer = logs.writer()
    futures = []

    def send(count: int) -> None:
        futures.extend(
            writer.append("events", b"key %d" % n, b"%d" % n) for n in range(len(futures), len(futures) + count)
        )

    send(100)
    until(lambda: worker.step() and len(store.values) == 100)
    assert worker.reader.failing_since is None
    local_kafka.kill()
    send(100)
    until(lambda: worker.step() and worker.reader.failing_since is not None)
    assert worker.reader.lag() is None
    local_kafka.start()
    until(lambda: worker.step() and len(store.values) == 200 and worker.reader.failing_since is None)
    assert all(future.result(DEADLINE) for future in futures)
    assert Counter(store.values) == Counter(b"%d" % n for n in range(200))
    writer.close(DEADLINE)
    worker.reader.close()
    logs.close()


def test_a_frozen_broker_is_survived(local_kafka):
    logs = KafkaLogs(local_kafka.bootstrap, session_timeout=6.0, heartbeat=0.5)
    logs.create(LogSpec("events", PARTITIONS))
    store = Store()
    worker = Worker(logs.reader("events", "events"), store)
    writer = logs.writer()
    until(lambda: worker.step() and len(worker.held) == PARTITIONS)
    writer.append("events", b"before", b"before").result(DEADLINE)
    until(lambda: worker.step() and store.values == [b"before"])
    local_kafka.freeze()
    futures = [writer.append("events", b"key %d" % n, b"%d" % n) for n in range(50)]
    until(lambda: worker.step() and worker.reader.failing_since is not None)
    local_kafka.thaw()
    until(lambda: worker.step() and len(store.values) == 51 and worker.reader.failing_since is None)
    assert all(future.result(DEADLINE) for future in futures)
    writer.close(DEADLINE)
    worker.reader.close()
    logs.close()


def test_a_client_that_is_closed_under_a_question_counts_as_no_answer(kafka_bootstrap, logs, log):
    """kafka-python raises a bare RuntimeError there, which ended the watch's thread."""
    cluster = KafkaCluster(kafka_bootstrap, kafka_security_of_tests())
    watch = KafkaWatch(cluster, logs.describe(log))
    watch._admin.close()
    watch.look()
    assert watch.failing_since is not None
    watch.close()


def test_no_broker_at_the_start_is_said_at_once():
    address = f"127.0.0.1:{free_port()}"
    logs = KafkaLogs(address)
    for ask in (logs.writer, lambda: logs.describe("events"), lambda: logs.reader("events", "events")):
        with pytest.raises(LogUnavailableError, match=address):
            ask()


def test_kafka_python_never_logs_below_warning_and_repeats_itself_little(caplog, logs, log):
    logging.getLogger().setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        worker = Worker(logs.reader(log, log), Store())
        until(lambda: worker.step() and worker.held)
        worker.reader.close()
    assert [
        record for record in caplog.records if record.name.startswith("kafka") and record.levelno < logging.INFO
    ] == []
