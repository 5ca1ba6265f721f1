"""What a reader asks, from the URL of a Redis: one server, a Redis Cluster, or a server that Sentinels watch over."""

from typing import Any

import redis
from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry

from contracts.errors import LivesegmentsError
from contracts.redaction import without_password
from recommender.reader_connections import DirectViews, pool_for_readers
from recommender.reader_line import SharedLine
from recommender.redis_open import asking_sentinels, open_redis
from recommender.redis_url import RedisUrl
from recommender.store import ReadableViews, RedisViews

ATTEMPTS = 2
"""A page is waiting: where a node does not answer the others are asked who serves in its place, once."""


class ReaderUrlError(LivesegmentsError):
    """The URL given to a reader is not one of Redis."""

    @classmethod
    def of(cls, url: str, error: ValueError) -> "ReaderUrlError":
        """The error that says what a URL looks like."""
        # The error may quote a part of a password that has a / in it.
        why = "" if "@" in url else f" ({error})"
        return cls(
            f"{without_password(url)!r} is not a Redis URL{why}; it looks like redis://host:6379/0, rediss://…, unix://…,"
            " redis+cluster://host:6379,host:6379 or redis+sentinel://host:26379,host:26379/service"
        )


def open_for_reader(url: str, timeout: float) -> tuple[ReadableViews, redis.ConnectionPool | None]:
    """A store, and how connections to it are made where it is one server. Raises ReaderUrlError."""
    try:
        if RedisUrl.read(url).kind == "server":
            pool = pool_for_readers(url, timeout)
            return DirectViews(pool), pool
        limits = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
        client = open_redis(url, attempts=ATTEMPTS, retry=Retry(NoBackoff(), ATTEMPTS - 1), **limits)
        return RedisViews(client), None
    except ValueError as error:
        raise ReaderUrlError.of(url, error) from None


def open_for_async_reader(
    url: str, timeout: float, connections: int
) -> tuple["SharedLine | Redis | RedisCluster", bool]:
    """What to ask, and whether it is one server. `connections` are for several. Raises ReaderUrlError."""
    # At once: a server that was restarted has closed what was idle.
    retry = AsyncRetry(NoBackoff(), ATTEMPTS - 1, supported_errors=(redis.ConnectionError,))
    limits: dict[str, Any] = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    try:
        said = RedisUrl.read(url)
        if said.kind == "server":
            return SharedLine(ConnectionPool.from_url(url, retry=retry, **limits), timeout), True
        options = {**limits, **said.options()}
    except ValueError as error:
        raise ReaderUrlError.of(url, error) from None
    if said.kind == "sentinel":
        untyped: Any = Sentinel
        sentinel = untyped(said.servers, sentinel_kwargs=asking_sentinels(said, options))
        master: Redis = sentinel.master_for(said.service, retry=retry, **options)
        return master, False
    options.pop("db", None)
    nodes = [ClusterNode(host, port) for host, port in said.servers]
    return (
        RedisCluster(
            startup_nodes=nodes, require_full_coverage=False, retry=retry, max_connections=connections, **options
        ),
        False,
    )
