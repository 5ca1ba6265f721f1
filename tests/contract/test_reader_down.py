"""What a reader answers when Redis is down, slow, or a cluster."""

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
import redis
from redis.cluster import RedisCluster

from contracts.documents import ColdStart, CustomerView, SimilarItems, Withdrawn
from contracts.keys import Keys
from contracts.times import DAY, from_micros
from logs.child_process import end, start_tied
from logs.redis_server import find_redis_server, free_port
from recommender.reader import CustomerReader
from recommender.reader_async import AsyncCustomerReader
from recommender.store import ViewsUnavailableError
from tests.blocking import Blocking
from tests.conftest import missing

AS_OF = from_micros(15_000 * DAY)
KEYS = Keys()
READERS = {
    "sync": CustomerReader,
    "async": lambda *args, **kwargs: Blocking(lambda: AsyncCustomerReader(*args, **kwargs)),
}


@pytest.fixture(params=READERS)
def open_reader(request):
    return READERS[request.param]


def fill(client) -> None:
    view = CustomerView(
        customer_id="anna",
        segment=None,
        items=(("red", 0.5, "again"), ("green", 0.25, "popular"), ("blue", 0.1, "because:red")),
        as_of=AS_OF,
        model_version=1,
        written_by=(1, "t"),
    )
    cold = ColdStart(items=(("black", 0.5, "popular"), ("green", 0.25, "popular")), as_of=AS_OF, model_version=1)
    similar = SimilarItems(item_id="red", items=(("blue", 0.5),), as_of=AS_OF)
    client.set(KEYS.customer("anna"), view.encode())
    client.set(KEYS.cold_start(), cold.encode())
    client.set(KEYS.similar("red"), similar.encode())
    client.set(KEYS.withdrawn(), Withdrawn(version=1, items=("green",)).encode())
    client.set(KEYS.catalogue_version(), 1)


def ids(answer) -> list[str]:
    return [item.item_id for item in answer.items]


def until(condition, what: str, seconds: float = 60.0):
    """Wait for a condition; its first true value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)
    return value


def test_when_redis_is_down_there_is_the_last_answer_marked_stale_and_then_a_fresh_one(open_reader, local_redis):
    with open_reader(local_redis.url) as reader:
        with redis.Redis.from_url(local_redis.url) as client:
            fill(client)
        fresh, similar = reader.get("anna"), reader.similar_items("red")
        assert (fresh.stale, similar.stale) == (False, False)
        local_redis.kill()
        answer = reader.get("anna", n=1, exclude=["red"])
        assert (answer.stale, answer.known, ids(answer)) == (True, True, ["blue"])
        never_asked = reader.get("bert")
        assert (never_asked.stale, never_asked.known, never_asked.customer_id, ids(never_asked)) == (
            *(True, False),
            *("bert", ["black"]),
        )
        assert {name: ids(each) for name, each in reader.get_many(["anna", "bert"]).items()} == {
            "anna": ["red", "blue"],
            "bert": ["black"],
        }
        assert (ids(reader.similar_items("red")), reader.similar_items("red").stale) == (["blue"], True)
        assert (reader.similar_items("blue").items, reader.similar_items("blue").stale) == ((), True)
        assert (ids(reader.popular()), reader.popular().stale) == (["black"], True)
        in_category = reader.get("anna", category="warm")
        assert (in_category.items, in_category.stale) == ((), True)
        with pytest.raises(ViewsUnavailableError):
            reader.segments()
        local_redis.start()
        until(lambda: reader.get("anna") == fresh, "the fresh answer")


def test_a_server_that_hangs_keeps_one_question_waiting_and_no_other(open_reader, local_redis):
    """Told by what the server is asked, not by time: while it hangs, one question a pause reaches it."""
    with open_reader(local_redis.url, timeout=0.2) as reader:
        with redis.Redis.from_url(local_redis.url) as client:
            fill(client)
            before = client.info("commandstats")["cmdstat_mget"]["calls"] if reader.get("anna") else 0
        os.kill(local_redis.pid, 19)
        try:
            assert all(reader.get("anna").stale for _ in range(1_000))
        finally:
            os.kill(local_redis.pid, 18)
        until(lambda: not reader.get("anna").stale, "a fresh answer")
        with redis.Redis.from_url(local_redis.url) as client:
            asked = client.info("commandstats")["cmdstat_mget"]["calls"] - before
        assert asked < 20


def test_an_idle_connection_that_the_server_has_closed_is_no_failure(open_reader, local_redis):
    with open_reader(local_redis.url) as reader, redis.Redis.from_url(local_redis.url) as client:
        fill(client)
        for _ in range(3):
            assert not reader.get("anna").stale
            client.client_kill_filter(_type="normal", skipme=True)
        assert not reader.get("anna").stale


def test_a_refused_command_is_an_error_that_says_so_and_the_connection_goes_on(one_redis_url, unique):
    keys = Keys(unique)
    with redis.Redis.from_url(one_redis_url) as client, CustomerReader(one_redis_url, unique) as reader:
        client.hset(keys.segments(), "not", "a string")
        assert reader.segments() is None, "MGET takes another type for nothing"
        client.set(keys.catalogue(), "no hash")
        fill_one = CustomerView(
            customer_id="a",
            segment=None,
            items=(("x", 1.0, "again"),),
            as_of=AS_OF,
            model_version=1,
            written_by=(1, ""),
        )
        client.set(keys.customer("a"), fill_one.encode())
        assert reader.get("a", category="c").stale, "HMGET is refused: there are no categories"


@pytest.fixture(scope="module")
def cluster_port():
    """A Redis Cluster of one node: its slots are as strict as those of many."""
    binary = find_redis_server()
    if binary is None:
        missing("no redis-server")
    folder = Path(tempfile.mkdtemp(prefix="livesegments-test-cluster-"))
    # Nodes talk to each other on the port 10,000 above: where there is none, the server ends at once.
    port = next(port for port in iter(free_port, None) if port + 10_000 < 65_536)
    options = {"port": port, "dir": folder, "save": "", "bind": "127.0.0.1", "cluster-enabled": "yes"}
    command = [str(binary), *(str(word) for name, value in options.items() for word in (f"--{name}", value))]
    process = start_tied(command, output=folder / "log")
    try:
        with redis.Redis(port=port) as client:

            def answers() -> bool:
                try:
                    return client.ping()
                except redis.ConnectionError:
                    return False

            until(answers, "the node")
            client.execute_command("CLUSTER ADDSLOTS", *range(16_384))
            until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok", "the cluster")
        yield port
    finally:
        end(process, grace=5)
        shutil.rmtree(folder, ignore_errors=True)


CLUSTER_READERS = {
    "sync": lambda port: CustomerReader(RedisCluster(host="127.0.0.1", port=port), near_cache=True),
    "async": lambda port: Blocking(
        lambda: AsyncCustomerReader(redis.asyncio.RedisCluster(host="127.0.0.1", port=port), near_cache=True)
    ),
}


@pytest.mark.parametrize("kind", CLUSTER_READERS)
def test_a_cluster_answers_everything_although_its_slots_are_asked_one_by_one(cluster_port, kind):
    with RedisCluster(host="127.0.0.1", port=cluster_port) as client:
        fill(client)
        client.hset(KEYS.catalogue(), "red", b'{"category":"warm"}')
        with CLUSTER_READERS[kind](cluster_port) as reader:
            assert ids(reader.get("anna")) == ["red", "blue"]
            many = reader.get_many(["anna", "bert", "carla"])
            assert [ids(each) for each in many.values()] == [["red", "blue"], ["black"], ["black"]]
            assert ids(reader.get("anna", category="warm")) == ["red"]
            assert ids(reader.similar_items("red")) == ["blue"]
            client.set(KEYS.withdrawn(), Withdrawn(version=2, items=("red",)).encode())
            client.incr(KEYS.catalogue_version())
            until(lambda: ids(reader.get("anna")) == ["green", "blue"], "red gone, green back")
