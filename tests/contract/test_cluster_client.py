"""The client of a Redis Cluster: many keys at once while slots move and nodes fail, and errors told apart."""

import pytest
import redis
from redis.exceptions import RedisClusterException

from consumer.redis_state import RedisState
from consumer.state import StateUnavailableError, Written
from contracts.keys import Keys
from recommender.redis_cluster import as_redis_error
from recommender.redis_open import open_redis
from tests.contract.test_state import step


def test_answers_come_in_the_order_of_the_commands(cluster_url, unique):
    with open_redis(cluster_url) as client, client.pipeline(transaction=False) as pipe:
        for number in range(500):
            pipe.set(f"{unique}:{number}", number)
            pipe.get(f"{unique}:{number}")
        assert pipe.execute() == [answer for number in range(500) for answer in (True, str(number).encode())]
        assert pipe.execute() == [], "each is sent once"


def test_a_refused_command_is_raised_when_all_were_tried(cluster_url, unique):
    with open_redis(cluster_url) as client, client.pipeline(transaction=False) as pipe:
        client.set(f"{unique}:a", "text")
        pipe.hget(f"{unique}:a", "field")
        for number in range(50):
            pipe.set(f"{unique}:{number}", number)
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            pipe.execute()
        assert client.get(f"{unique}:49") == b"49"


def test_it_goes_on_while_slots_move_and_masters_die(local_cluster):
    keys = [f"t:{number}" for number in range(300)]
    moving = keys[0]
    with open_redis(local_cluster.url) as client:
        state = RedisState(client, Keys("t"))
        state.claim(0, "a", 0)

        def written(value: str) -> None:
            with client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.set(key, value)
                assert pipe.execute() == [True] * len(keys)
            with client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.get(key)
                assert pipe.execute() == [value.encode()] * len(keys)

        written("first")
        assert client.promotions == 0
        # Asked of where the slot was, is on the move, and is: ASK and MOVED.
        local_cluster.move_slot(moving, pause=lambda: written("amid"))
        written("moved")
        assert client.promotions == 0, "a slot that moves loses nothing"

        assert state.checkpoint(0, "a", step(1, rows=[("ann", b"1")])) == Written.NOW
        local_cluster.fail_over(Keys("t").meta(0))
        written("another")
        assert client.promotions == 1
        assert state.checkpoint(0, "a", step(1, rows=[("ann", b"1")])) == Written.BEFORE, "no script is known there"
        assert state.checkpoint(0, "a", step(2, rows=[("ann", b"2")])) == Written.NOW


def test_what_passes_is_told_from_what_does_not(cluster_url):
    assert isinstance(
        as_redis_error(RedisClusterException("Redis Cluster cannot be connected.")), redis.ConnectionError
    )
    with open_redis("redis+cluster://127.0.0.1:1") as client, pytest.raises(StateUnavailableError):
        RedisState(client, Keys("t")).meta(0)
    with open_redis(cluster_url) as client, pytest.raises(redis.ResponseError, match="same key slot"):
        client.mget(["a", "b"])
