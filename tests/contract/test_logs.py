"""One suite over every log: what the interface promises holds for Kafka, Redis Streams and memory alike."""

import random
import time
from collections.abc import Callable
from concurrent.futures import Future

import pytest
from redis import Redis

from contracts.partitioning import partition_of
from logs.base import (
    Batch,
    LogChangedError,
    LogMissingError,
    LogReader,
    Logs,
    LogSpec,
    Placed,
    Polled,
    PositionGoneError,
    RecordTooLargeError,
    count_between,
)
from logs.kafka_client import KafkaCluster
from logs.kafka_log import KafkaLogs
from logs.memory import MemoryLogs
from logs.redis_log import RedisLogs
from tests.servers.secured import kafka_security_of_tests

DEADLINE = 90.0


class Backend:
    """One implementation under test, with what a test needs beside it."""

    def __init__(self, logs: Logs, delete: Callable[[str], None], partitions: int) -> None:
        self.logs = logs
        self.delete = delete
        self.partitions = partitions


def memory_backend(request):
    logs = MemoryLogs()
    yield Backend(logs, logs.delete, 4)


def redis_backend(request):
    url = request.getfixturevalue("one_redis_url")
    logs = RedisLogs(url, session_timeout=3.0)
    client = Redis.from_url(url)
    yield Backend(logs, lambda name: client.delete(*client.keys(f"livesegments-log:{{{name}}}*")), 1)
    client.close()
    logs.close()


def kafka_backend(request):
    bootstrap = request.getfixturevalue("kafka_bootstrap")
    security = kafka_security_of_tests()
    logs = KafkaLogs(bootstrap, security=security, session_timeout=6.0, heartbeat=0.3)
    admin = KafkaCluster(bootstrap, security).admin()
    yield Backend(logs, lambda name: admin.delete_topics([name]), 4)
    admin.close()
    logs.close()


BACKENDS = {"memory": memory_backend, "redis": redis_backend, "kafka": kafka_backend}


@pytest.fixture(params=BACKENDS)
def backend(request):
    yield from BACKENDS[request.param](request)


@pytest.fixture
def log(backend, unique) -> str:
    backend.logs.create(LogSpec(unique, backend.partitions))
    return unique


@pytest.fixture
def writer(backend):
    writer = backend.logs.writer()
    yield writer
    writer.close(10)


@pytest.fixture
def join(backend, log):
    """Joins the group "g" of the log, as often as called."""
    readers: list[LogReader] = []

    def join_group(group: str = "g") -> LogReader:
        readers.append(backend.logs.reader(log, group))
        return readers[-1]

    yield join_group
    for reader in readers:
        reader.close()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"


class Consumption:
    """A reader with everything it was told, and positions of its own, as a worker keeps them."""

    def __init__(self, reader: LogReader, start: dict[int, int] | None = None) -> None:
        self.reader = reader
        self.start = start or {}
        self.held: set[int] = set()
        self.batches: list[Batch] = []

    def step(self, timeout: float = 0.2) -> Polled:
        polled = self.reader.poll(timeout)
        self.held -= polled.revoked
        for batch in polled.batches:
            assert batch.partition in self.held, "records of a partition that is not ours"
            self.start[batch.partition] = batch.positions[-1] + 1
        self.held |= polled.assigned
        for partition in polled.assigned:
            self.reader.seek(partition, self.start.get(partition))
        self.batches += polled.batches
        return polled

    @property
    def values(self) -> list[bytes]:
        return [value for batch in self.batches for value in batch.values]

    def until(self, condition: Callable[[], object]) -> None:
        until(lambda: self.step() and condition())


def ended(futures: list[Future[Placed]]) -> list[Placed]:
    return [future.result(DEADLINE) for future in futures]


def test_creating_again_leaves_the_log_as_it_is(backend, log):
    first = backend.logs.describe(log)
    assert first.partitions == backend.partitions
    assert first.name == log
    assert backend.logs.create(LogSpec(log, backend.partitions + 3)) == first


def test_a_log_that_is_not_there_is_missing(backend, unique, writer):
    with pytest.raises(LogMissingError):
        backend.logs.describe(unique)
    with pytest.raises(LogMissingError):
        backend.logs.reader(unique, "g")
    with pytest.raises(LogMissingError):
        backend.logs.read_all(unique)
    with pytest.raises(LogMissingError):
        writer.append(unique, b"k", b"v").result(DEADLINE)


def test_records_come_back_whole_in_order_and_with_the_time_of_the_log(backend, log, writer, join):
    before = time.time_ns() // 1000
    placed = ended(
        [
            writer.append(log, b"a", b"\x00\xff", partition=0),
            writer.append(log, None, b"", partition=0, headers=[("h", b"\x01"), ("h", b"2")]),
            writer.append(log, b"c", b"x" * 100_000, partition=0),
        ]
    )
    after = time.time_ns() // 1000
    consumption = Consumption(join())
    consumption.until(lambda: len(consumption.values) == 3)
    batches = consumption.batches
    assert consumption.values == [b"\x00\xff", b"", b"x" * 100_000]
    assert [key for batch in batches for key in batch.keys] == [b"a", None, b"c"]
    assert [position for batch in batches for position in batch.positions] == [each.position for each in placed]
    times = [log_time for batch in batches for log_time in batch.log_times]
    assert all(before - 1000 <= log_time <= after + 1000 for log_time in times)  # whole milliseconds on servers
    headers = {batch.positions[place]: list(pairs) for batch in batches for place, pairs in batch.headers.items()}
    assert headers == {placed[1].position: [("h", b"\x01"), ("h", b"2")]}


def test_the_key_decides_the_partition_by_murmur2(backend, log, writer):
    ids = ["17850", "ä", "Ω" * 40, *(f"customer-{n}" for n in range(50))]
    placed = ended([writer.append(log, each.encode(), b"v") for each in ids])
    assert [each.partition for each in placed] == [partition_of(each, backend.partitions) for each in ids]


def test_nothing_is_delivered_before_the_seek(log, writer, join):
    ended([writer.append(log, b"k", b"v", partition=0)])
    reader = join()
    seen: list[Polled] = []
    until(lambda: seen.append(reader.poll(0.2)) or any(polled.assigned for polled in seen))
    assert reader.lag() is None
    assert not any(polled.batches for polled in [*seen, reader.poll(0.3), reader.poll(0.3)])
    reader.seek(0, None)
    until(lambda: seen.append(reader.poll(0.2)) or seen[-1].batches)


def test_a_seek_goes_on_after_the_record_it_names(log, writer, join):
    placed = ended([writer.append(log, b"k", b"%d" % n, partition=0) for n in range(10)])
    consumption = Consumption(join(), {0: placed[3].position + 1})
    consumption.until(lambda: len(consumption.values) == 6)
    assert consumption.values == [b"%d" % n for n in range(4, 10)]
    consumption.batches.clear()
    consumption.reader.seek(0, placed[8].position)
    consumption.until(lambda: len(consumption.values) == 2)
    assert consumption.values == [b"8", b"9"]


def test_a_pause_holds_until_the_next_seek(log, writer, join):
    consumption = Consumption(join())
    consumption.until(lambda: 0 in consumption.held)
    consumption.reader.pause(0)
    [placed] = ended([writer.append(log, b"k", b"v", partition=0)])
    consumption.step(0.5)
    consumption.step(0.5)
    assert consumption.values == []
    consumption.reader.seek(0, placed.position)
    consumption.until(lambda: consumption.values == [b"v"])


def test_lag_counts_what_is_still_to_come(backend, log, writer, join):
    ended([writer.append(log, b"k", b"%d" % n, partition=0) for n in range(7)])
    consumption = Consumption(join())
    consumption.until(lambda: len(consumption.values) == 7)
    consumption.until(lambda: consumption.reader.lag() == dict.fromkeys(range(backend.partitions), 0))
    assert not consumption.reader.rebalancing
    assert consumption.reader.failing_since is None


def test_a_poll_returns_as_soon_as_there_is_a_record(log, writer, join):
    consumption = Consumption(join())
    consumption.until(lambda: consumption.reader.lag() is not None)
    consumption.step(0.0)
    future = writer.append(log, b"k", b"v", partition=0)
    deadline = time.monotonic() + DEADLINE
    while not consumption.values:
        consumption.step(60.0)  # far beyond the deadline: only waking up early can pass
        assert time.monotonic() < deadline
    assert future.result(DEADLINE).partition == 0


def test_groups_read_independently(log, writer, join):
    ended([writer.append(log, b"k", b"v", partition=0)])
    for group in ("one", "two"):
        consumption = Consumption(join(group))
        consumption.until(lambda c=consumption: c.values == [b"v"])


def test_a_reader_that_leaves_hands_its_partitions_on(backend, log, writer, join):
    first = Consumption(join())
    first.until(lambda: len(first.held) == backend.partitions)
    ended([writer.append(log, b"k%d" % n, b"%d" % n) for n in range(20)])
    first.until(lambda: len(first.values) == 20)
    second = Consumption(join(), first.start)
    second.step(0.2)
    first.reader.close()
    second.until(lambda: len(second.held) == backend.partitions)
    ended([writer.append(log, b"k%d" % n, b"more %d" % n) for n in range(20)])
    second.until(lambda: len(second.values) == 20)
    assert sorted(second.values) == sorted(b"more %d" % n for n in range(20))


def test_closing_twice_is_fine(join):
    reader = join()
    reader.close()
    reader.close()


def test_a_position_beyond_the_end_is_gone(log, writer, join):
    [placed] = ended([writer.append(log, b"k", b"v", partition=0)])
    consumption = Consumption(join(), {0: placed.position + 1000})
    with pytest.raises(PositionGoneError):
        consumption.until(lambda: False)
    assert consumption.values == []


def test_a_position_that_was_trimmed_is_gone(backend, log, writer, join):
    placed = ended([writer.append(log, b"k", b"%d" % n, partition=0) for n in range(10)])
    backend.logs.trim(log, 0, placed[6].position)
    consumption = Consumption(join(), {0: placed[3].position})
    with pytest.raises(PositionGoneError):
        consumption.until(lambda: False)
    assert consumption.values == []


def test_what_was_kept_by_a_trim_is_read_on(backend, log, writer, join):
    placed = ended([writer.append(log, b"k", b"%d" % n, partition=0) for n in range(10)])
    backend.logs.trim(log, 0, placed[5].position + 1)
    consumption = Consumption(join(), {0: placed[5].position + 1})
    consumption.until(lambda: len(consumption.values) == 4)
    assert consumption.values == [b"6", b"7", b"8", b"9"]


def test_a_log_that_was_made_anew_is_not_read_on(backend, log, writer, join):
    ended([writer.append(log, b"k", b"%d" % n, partition=0) for n in range(5)])
    consumption = Consumption(join())
    consumption.until(lambda: len(consumption.values) == 5)
    before = backend.logs.describe(log)
    assert consumption.reader.info == before
    backend.delete(log)

    def created_again() -> bool:  # a cluster may need a moment to forget the old one
        return backend.logs.create(LogSpec(log, backend.partitions)).identity != before.identity

    until(created_again)
    with pytest.raises(LogChangedError):
        consumption.until(lambda: False)


def test_a_record_that_is_too_large_fails_alone(backend, unique, writer):
    backend.logs.create(LogSpec(unique, backend.partitions, max_message_bytes=20_000))
    large = bytes(range(256)) * 4_000  # 1 MB
    futures = [writer.append(unique, b"k", value, partition=0) for value in (b"small", large, b"small too")]
    assert futures[0].result(DEADLINE).partition == 0
    if isinstance(backend.logs, KafkaLogs):  # the batch is compressed, and only then measured
        futures[1] = writer.append(unique, b"k", b"x" * 5_000_000, partition=0)
    with pytest.raises(RecordTooLargeError):
        futures[1].result(DEADLINE)
    assert futures[2].result(DEADLINE).partition == 0
    assert writer.append(unique, b"k", b"later", partition=0).result(DEADLINE).partition == 0
    last = backend.partitions - 1
    assert writer.append(unique, b"k", b"elsewhere", partition=last).result(DEADLINE).partition == last


def test_many_are_appended_and_waited_for_together(backend, log, writer):
    keys = [f"c{n % 7}".encode() for n in range(500)]
    assert writer.append_all(log, [(key, b"%d" % n) for n, key in enumerate(keys)], DEADLINE) == {}
    assert writer.append_all(log, [], DEADLINE) == {}
    found = {int(value): batch.partition for batch in backend.logs.read_all(log) for value in batch.values}
    assert found == {n: partition_of(key.decode(), backend.partitions) for n, key in enumerate(keys)}


def test_of_many_one_that_is_too_large_fails(backend, unique, writer):
    backend.logs.create(LogSpec(unique, backend.partitions, max_message_bytes=20_000))
    large = random.Random(0).randbytes(5_000_000)
    # The last one: kafka-python gives up all that follows it.
    failed = writer.append_all(unique, [(b"a", b"small"), (b"k", large)], DEADLINE)
    assert list(failed) == [1]
    assert isinstance(failed[1], RecordTooLargeError)


def test_many_on_a_log_that_is_not_there_all_fail(unique, writer):
    failed = writer.append_all(unique, [(b"a", b"1"), (b"b", b"2")], DEADLINE)
    assert list(failed) == [0, 1]
    assert all(isinstance(one, LogMissingError) for one in failed.values())


def test_read_all_gives_everything_without_a_group(backend, log, writer):
    assert list(backend.logs.read_all(log)) == []
    ended([writer.append(log, b"k%d" % n, b"%d" % n) for n in range(300)])
    batches = backend.logs.read_all(log)
    values = [int(value) for batch in batches for value in batch.values]
    assert sorted(values) == list(range(300))
    for partition in range(backend.partitions):
        mine = [position for batch in batches if batch.partition == partition for position in batch.positions]
        assert mine == sorted(set(mine))


def test_a_scan_ends_where_the_log_ended_when_it_began(backend, log, writer):
    assert list(backend.logs.scan(log)) == []
    ended([writer.append(log, b"k%d" % n, b"%d" % n) for n in range(300)])
    found = []
    for batch in backend.logs.scan(log):
        if not found:
            ended([writer.append(log, b"k%d" % n, b"late") for n in range(50)])
        found += [(batch.partition, position) for position in batch.positions]
    everything = [(batch.partition, at) for batch in backend.logs.read_all(log) for at in batch.positions]
    assert len(everything) == 350
    assert set(found) <= set(everything)
    assert len(set(found)) == len(found) >= 300


def test_a_scan_may_begin_at_positions(backend, log, writer):
    ended([writer.append(log, b"k%d" % n, b"%d" % n) for n in range(100)])
    ends = dict(enumerate(backend.logs.ends(log)))
    assert list(backend.logs.scan(log, positions=ends)) == []
    later = ended([writer.append(log, b"k%d" % n, b"later") for n in range(20)])
    found = [(batch.partition, at) for batch in backend.logs.scan(log, positions=ends) for at in batch.positions]
    assert sorted(found) == sorted((one.partition, one.position) for one in later)
    some = [at for batch in backend.logs.scan(log, positions={0: ends[0]}) for at in batch.positions]
    everything = list(backend.logs.read_all(log))
    before = sum(at < ends[0] for batch in everything if batch.partition == 0 for at in batch.positions)
    assert len(some) == sum(map(len, everything)) - before


def test_the_ends_are_where_the_next_records_will_stand(backend, log, writer, join):
    ended([writer.append(log, b"%d" % n, b"before") for n in range(20)])
    ends = backend.logs.ends(log)
    assert len(ends) == backend.partitions
    ended([writer.append(log, b"%d" % n, b"after") for n in range(20)])
    consumption = Consumption(join(), dict(enumerate(ends)))
    consumption.until(lambda: len(consumption.values) >= 20)
    assert consumption.values == [b"after"] * 20


def test_nothing_is_missed_after_the_ends_of_an_empty_log(backend, log, writer, join):
    consumption = Consumption(join(), dict(enumerate(backend.logs.ends(log))))
    ended([writer.append(log, b"%d" % n, b"first") for n in range(20)])
    consumption.until(lambda: len(consumption.values) == 20)


def test_the_starts_are_where_the_oldest_records_stand(backend, log, writer, join):
    assert backend.logs.starts(log) == backend.logs.ends(log)
    placed = ended([writer.append(log, None, b"%d" % n, partition=0) for n in range(20)])
    backend.logs.trim(log, 0, placed[12].position)
    start = backend.logs.starts(log)[0]
    assert placed[11].position <= start <= placed[12].position  # on Redis one stays that proves that no other is gone
    assert count_between(start, backend.logs.ends(log)[0]) in {8, 9}
    assert count_between(placed[3].position, start) in {8, 9}


def test_how_long_a_log_keeps_records(backend, unique):
    backend.logs.create(LogSpec(f"{unique}-a", backend.partitions, retention_ms=90_000))
    backend.logs.create(LogSpec(f"{unique}-b", backend.partitions))
    assert backend.logs.retention_ms(f"{unique}-a") == 90_000
    assert backend.logs.retention_ms(f"{unique}-b") is None
    with pytest.raises(LogMissingError):
        backend.logs.retention_ms(unique)
    with pytest.raises(LogMissingError):
        list(backend.logs.scan(unique))


def test_flush_waits_for_all(log, writer):
    futures = [writer.append(log, b"k%d" % n, b"v" * 200) for n in range(2_000)]
    writer.flush(DEADLINE)
    assert all(future.done() for future in futures)
