"""The lists of `livesegments acl` on a Redis Cluster: the users can do there what they are for, and no more."""

import pytest
import redis
from redis.exceptions import AuthenticationError, NoPermissionError

from consumer.redis_images import RedisImages
from consumer.redis_state import RedisState
from consumer.state import Written
from contracts.keys import Keys, LogNames
from livesegments.access import users
from recommender.reader import CustomerReader
from recommender.redis_open import open_redis
from recommender.redis_url import RedisUrl
from recommender.store import RedisViews, ViewsUnavailableError
from tests.contract.test_state import step

PASSWORD = "p@ss/word"


@pytest.fixture
def url(cluster_url, unique):
    """Of a user of this role; every node knows them all."""
    found = users(Keys(unique), LogNames(f"{unique}-"), cluster=True)
    nodes = RedisUrl.read(cluster_url).servers
    for host, port in nodes:
        with redis.Redis(host=host, port=port) as admin:
            for user in found.values():
                admin.execute_command("ACL", "SETUSER", user.name, *user.rules(PASSWORD).split())
    rest = cluster_url.removeprefix("redis+cluster://")
    yield lambda role: f"redis+cluster://{found[role].name}:p%40ss%2Fword@{rest}"
    for host, port in nodes:
        with redis.Redis(host=host, port=port) as admin:
            admin.execute_command("ACL", "DELUSER", *(user.name for user in found.values()))


def test_each_does_its_work_and_no_more(url, unique):
    keys = Keys(unique)
    with open_redis(url("worker")) as client:
        state, views = RedisState(client, keys), RedisViews(client)
        for partition in range(6):
            state.claim(partition, "a", 0)
            rows = [(f"c{number}", b"row") for number in range(100)]
            assert state.checkpoint(partition, "a", step(1, rows=rows)) == Written.NOW
        assert state.publish_model(1, 1, b'{"version":1}')
        assert state.warnings() == []
        views.set_many({keys.customer(f"c{number}"): b"{}" for number in range(100)})
        assert RedisImages(client, keys).read(3).meta.seq == 1
        with pytest.raises(NoPermissionError):
            client.flushall()

    with CustomerReader(url("reader"), unique) as reader:
        assert reader.model() == {"version": 1}
    with open_redis(url("reader")) as client:
        with pytest.raises(ViewsUnavailableError, match="NoPermission"):
            RedisViews(client).set_many({keys.customer("c1"): b"other"})
        for key in (keys.meta(0), keys.model_fence()):
            with pytest.raises(NoPermissionError):
                client.hgetall(key)
    with open_redis(url("dashboard")) as client:
        assert RedisState(client, keys).meta(5).seq == 1


def test_whoever_may_not_ask_who_serves_what_is_told_so(cluster_url, unique):
    host, port = RedisUrl.read(cluster_url).servers[0]
    with redis.Redis(host=host, port=port) as admin:
        admin.execute_command("ACL", "SETUSER", unique, "on", ">p", "~*", "+get")
        try:
            address = f"{host}:{port}"
            with (
                open_redis(f"redis+cluster://{unique}:p@{address}") as client,
                pytest.raises(NoPermissionError, match="cluster"),
            ):
                client.get("a")
            with (
                open_redis(f"redis+cluster://{unique}:wrong@{address}") as client,
                pytest.raises(AuthenticationError),
            ):
                client.get("a")
        finally:
            admin.execute_command("ACL", "DELUSER", unique)
