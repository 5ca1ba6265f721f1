"""What `livesegments check` says of a cluster and of Sentinels, and of URLs that name the wrong kind of server."""

import pytest
import redis

from consumer.redis_state import RedisState
from consumer.state import StateError
from contracts.keys import Keys
from livesegments.redis_probe import probe


def first(cluster_url: str) -> str:
    return cluster_url.removeprefix("redis+cluster://").split(",")[0]


def test_a_cluster_that_is_fine(cluster_url, unique):
    verdict = probe(cluster_url, unique)
    assert verdict.ok
    assert "Cluster of 3 masters, writable" in verdict.text
    assert verdict.remarks == ()


def test_one_node_that_answers_is_enough(cluster_url, unique):
    assert probe(f"redis+cluster://127.0.0.1:1,{first(cluster_url)}", unique).ok


def test_a_node_is_not_taken_for_a_server(cluster_url, unique):
    verdict = probe(f"redis://{first(cluster_url)}/0", unique)
    assert not verdict.ok
    assert "write redis+cluster://" in verdict.text


def test_a_server_is_not_taken_for_a_cluster(local_redis, unique):
    verdict = probe("redis+cluster://" + local_redis.url.partition("://")[2].partition("/")[0], unique)
    assert not verdict.ok
    assert "write redis://" in verdict.text


def test_nobody_there(unique):
    verdict = probe("redis+cluster://127.0.0.1:1,127.0.0.1:2", unique)
    assert not verdict.ok
    assert "connection refused" in verdict.text


def test_sentinels(local_sentinel, unique):
    assert probe(local_sentinel.url, unique).ok
    assert "Sentinels' log-in" in probe(local_sentinel.url.replace("/shop", "/other"), unique, timeout=2).text
    verdict = probe(f"redis://127.0.0.1:{local_sentinel.port}/0", unique)
    assert not verdict.ok
    assert "write redis+sentinel://" in verdict.text


def test_a_worker_is_told_that_its_server_is_a_node(cluster_url):
    """By the first command on a key that lies elsewhere."""
    with redis.Redis.from_url(f"redis://{first(cluster_url)}/0") as client:
        state = RedisState(client, Keys("t"))
        with pytest.raises(StateError, match=r"redis\+cluster://"):
            _ = [state.meta(number) for number in range(10)]
