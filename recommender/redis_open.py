"""A client for whatever a URL of Redis names. Nothing connects until it is used."""

from functools import partial
from typing import Any

from redis import Redis
from redis.sentinel import Sentinel

from recommender.redis_cluster import ATTEMPTS, ClusterClient, connect_to_cluster
from recommender.redis_url import RedisUrl


def open_redis(url: str, *, attempts: int = ATTEMPTS, **options: Any) -> "Redis | ClusterClient":
    """A client; `options` are redis-py's for connections, `attempts` is for a cluster.

    Raises ValueError for a URL that can not be one.
    """
    said = RedisUrl.read(url)
    if said.kind == "server":
        return Redis.from_url(url, **options)
    options = {**options, **said.options()}
    if said.kind == "cluster":
        options.pop("retry", None)
        return ClusterClient(partial(connect_to_cluster, said.servers, attempts=attempts, **options), attempts)
    untyped: Any = Sentinel
    sentinel = untyped(said.servers, sentinel_kwargs=asking_sentinels(said, options))
    master: Redis = sentinel.master_for(said.service, Redis, **options)
    return master


def asking_sentinels(said: RedisUrl, options: dict[str, Any]) -> dict[str, Any]:
    """How Sentinels are connected to: encrypted as the server they name, with a log-in of their own."""
    shared = ("ssl", "socket_timeout", "socket_connect_timeout")
    return {name: value for name, value in options.items() if name.startswith(shared)} | dict(said.sentinel_login)
