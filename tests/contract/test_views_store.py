"""What every store of views promises, held against memory and a real Redis."""

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from recommender.redis_open import open_redis
from recommender.store import MemoryViews, RedisViews, ViewStore, ViewsUnavailableError


@pytest.fixture(params=["memory", "redis", "redis-decoding", "cluster", "cluster-decoding"])
def store(request):
    server, _, decoding = request.param.partition("-")
    if server == "memory":
        opened: ViewStore = MemoryViews(lambda: 0)
    else:
        url = request.getfixturevalue(f"{server}_url")
        opened = RedisViews(open_redis(url, decode_responses=bool(decoding)))
    yield opened
    opened.close()


def test_what_is_set_is_there(store, unique):
    store.set_many({f"{unique}:a": b"1", f"{unique}:b": "ü€".encode()})
    assert store.get(f"{unique}:a") == b"1"
    assert store.get_many([f"{unique}:b", f"{unique}:none", f"{unique}:a"]) == ["ü€".encode(), None, b"1"]


def test_what_is_not_there_is_none(store, unique):
    assert store.get(f"{unique}:a") is None
    assert store.get_many([]) == []


def test_setting_again_replaces(store, unique):
    store.set_many({f"{unique}:a": b"1"})
    store.set_many({f"{unique}:a": b"2"})
    assert store.get(f"{unique}:a") == b"2"


def test_deleting_takes_away_and_may_be_repeated(store, unique):
    store.set_many({f"{unique}:a": b"1", f"{unique}:b": b"2"})
    for _ in range(2):
        store.delete_many([f"{unique}:a", f"{unique}:never"])
    assert store.get_many([f"{unique}:a", f"{unique}:b"]) == [None, b"2"]


def test_nothing_to_do_is_fine(store):
    store.set_many({})
    store.delete_many([])


def test_more_than_one_pipeline_holds(store, unique):
    views = {f"{unique}:{i}": str(i).encode() for i in range(2_345)}
    store.set_many(views, ttl_ms=60_000)
    assert store.get_many(list(views)) == list(views.values())
    store.delete_many(list(views)[:-1])
    assert store.get_many(list(views)) == [None] * 2_344 + [b"2344"]


def test_memory_forgets_when_the_time_is_over():
    now = [0]
    store = MemoryViews(lambda: now[0])
    store.set_many({"a": b"1"}, ttl_ms=2)
    store.set_many({"b": b"1"})
    now[0] = 1_999
    assert store.get_many(["a", "b"]) == [b"1", b"1"]
    now[0] = 2_000
    assert store.get_many(["a", "b"]) == [None, b"1"]


def test_redis_is_told_the_time_to_live_and_each_write_renews_it(redis_url, unique):
    with open_redis(redis_url) as client:
        store = RedisViews(client)
        store.set_many({unique: b"1"}, ttl_ms=50_000)
        store.set_many({unique: b"1"}, ttl_ms=90_000)
        assert 50_000 < client.pttl(unique) <= 90_000
        store.set_many({unique: b"1"})
        assert client.pttl(unique) == -1


def test_a_server_that_is_gone_is_one_readable_error(local_redis):
    store = RedisViews(redis.Redis.from_url(local_redis.url, retry=Retry(NoBackoff(), 0)))
    store.set_many({"a": b"1"})
    local_redis.kill()
    for question in (
        lambda: store.get("a"),
        lambda: store.get_many(["a"]),
        lambda: store.set_many({"a": b"2"}),
        lambda: store.delete_many(["a"]),
    ):
        with pytest.raises(ViewsUnavailableError, match="check that it runs"):
            question()
    local_redis.start()
    assert store.get("a") == b"1"


def test_a_full_server_is_the_same_error(local_redis):
    with redis.Redis.from_url(local_redis.url) as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(ViewsUnavailableError, match="memory"):
            RedisViews(client).set_many({"a": b"1"}, ttl_ms=1_000)


def test_what_was_begun_is_written_when_its_end_was_waited_for(store, unique):
    for number in (0, 3, 300):
        views = {f"{unique}:{number}:{place}": str(place).encode() for place in range(number)}
        end = store.begin_set_many(views, 60_000)
        end()
        assert store.get_many(list(views)) == list(views.values())


def test_what_was_begun_on_a_server_that_goes_is_written_anew_or_an_error(local_redis):
    store = RedisViews(redis.Redis.from_url(local_redis.url, retry=Retry(NoBackoff(), 0)))
    store.begin_set_many({"a": b"1"}, 60_000)()
    local_redis.freeze()
    end = store.begin_set_many({"a": b"2"}, 60_000)
    local_redis.kill()
    with pytest.raises(ViewsUnavailableError, match="check that it runs"):
        end()
    end = store.begin_set_many({"a": b"3"}, 60_000)
    local_redis.start()
    end()
    assert store.get("a") == b"3"
    local_redis.freeze()
    end = store.begin_set_many({"a": b"4"}, 60_000)
    local_redis.kill()
    local_redis.start()
    end()
    assert store.get("a") == b"4"


def test_what_is_begun_on_a_server_that_has_never_seen_the_script_is_written(local_redis):
    with redis.Redis.from_url(local_redis.url) as client:
        store = RedisViews(client)
        client.script_flush()
        store.begin_set_many({"a": b"1"}, 60_000)()
        assert store.get("a") == b"1"
