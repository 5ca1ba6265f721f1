"""Where views live: one small interface, Redis and its memory twin."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Protocol

import redis
from redis.cluster import RedisCluster

from contracts.errors import LivesegmentsError
from recommender.redis_cluster import ClusterClient
from recommender.redis_script import RedisScript

_CHUNK: Final = 1_000
"""Commands per pipeline: enough to hide the round trip, few enough for Redis to serve others in between."""
_AT_ONCE: Final = 256
"""Documents that one command writes, for which Redis does nothing else: half a millisecond."""


class ViewsUnavailableError(LivesegmentsError):
    """The store of views does not answer, or refuses."""


class ReadableViews(Protocol):
    """Keys to documents, as readers need them. Every method raises ViewsUnavailableError where nothing answers."""

    @property
    def one_round_trip(self) -> bool:
        """Whether documents of any keys are read together; in a Redis Cluster each node is asked for itself."""

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Documents in the order of their keys, None where there is none; in one round trip if possible."""

    def get_fields(self, key: str, fields: Sequence[str]) -> list[bytes | None]:
        """Fields of one hash in their order, None where there is none; in one round trip."""

    def close(self) -> None:
        """Let go of connections; nothing may be asked afterwards."""


class ViewStore(ReadableViews, Protocol):
    """Keys to documents, as workers need them, too."""

    def set_many(self, views: Mapping[str, bytes], ttl_ms: int | None = None) -> None:
        """Write documents; each expires after so many milliseconds, or never. What is there is replaced."""

    def begin_set_many(self, views: Mapping[str, bytes], ttl_ms: int) -> Callable[[], None]:
        """Begin to `set_many`; what is returned is called once, and waits for the end of it.

        Nothing else may be asked of these keys in between. Either of both raises what `set_many` does.
        """

    def delete_many(self, keys: Sequence[str]) -> None:
        """Delete documents; missing ones are no error."""

    def get(self, key: str) -> bytes | None:
        """One document, None where there is none."""

    @property
    def promotions(self) -> int:
        """Rises when another server has taken over: documents written just before may be lost."""


class MemoryViews:
    """Documents in this process.

    Parameters:
        now: gives the time in microseconds, for expiry.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._documents: dict[str, tuple[bytes, int | None]] = {}
        self._hashes: dict[str, dict[str, bytes]] = {}

    @property
    def one_round_trip(self) -> bool:
        """See ReadableViews."""
        return True

    def set_many(self, views: Mapping[str, bytes], ttl_ms: int | None = None) -> None:
        """See ViewStore."""
        until = None if ttl_ms is None else self._now() + ttl_ms * 1_000
        for key, document in views.items():
            self._documents[key] = (document, until)

    def begin_set_many(self, views: Mapping[str, bytes], ttl_ms: int) -> Callable[[], None]:
        """See ViewStore."""
        self.set_many(views, ttl_ms)
        return at_end

    def delete_many(self, keys: Sequence[str]) -> None:
        """See ViewStore."""
        for key in keys:
            self._documents.pop(key, None)
            self._hashes.pop(key, None)

    def get(self, key: str) -> bytes | None:
        """See ViewStore."""
        document, until = self._documents.get(key, (None, None))
        if until is not None and until <= self._now():
            del self._documents[key]
            return None
        return document

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See ViewStore."""
        return [self.get(key) for key in keys]

    def get_fields(self, key: str, fields: Sequence[str]) -> list[bytes | None]:
        """See ReadableViews."""
        found = self._hashes.get(key, {})
        return [found.get(name) for name in fields]

    def set_fields(self, key: str, fields: Mapping[str, bytes]) -> None:
        """Write fields of one hash, which in Redis the leader does by its script."""
        self._hashes.setdefault(key, {}).update(fields)

    @property
    def promotions(self) -> int:
        """See ViewStore."""
        return 0

    def close(self) -> None:
        """See ViewStore."""


class RedisViews:
    """Documents in Redis or Redis Cluster, one string each. Safe to use from several threads.

    Parameters:
        client: is closed with this object.
    """

    def __init__(self, client: "redis.Redis | RedisCluster | ClusterClient") -> None:
        if isinstance(client, RedisCluster):
            cluster = client
            client = ClusterClient(lambda: cluster)
        self._cluster = client if isinstance(client, ClusterClient) else None
        # redis-py's annotations unite what sync and async clients return; Any keeps that out of every line below.
        self._client: Any = client
        self._set_views = RedisScript(self._client, "recommender", "set_views.lua")
        self._address: tuple[str, int] | None = None
        self._promoted = 0

    @property
    def one_round_trip(self) -> bool:
        """See ReadableViews."""
        return self._cluster is None

    @property
    def promotions(self) -> int:
        """See ViewStore. Of a server that no Sentinels watch over nothing is known."""
        if self._cluster is not None:
            return self._cluster.promotions
        address = getattr(self._client.connection_pool, "master_address", None)
        if address != self._address:
            self._promoted += self._address is not None
            self._address = address
        return self._promoted

    def set_many(self, views: Mapping[str, bytes], ttl_ms: int | None = None) -> None:
        """See ViewStore. Not a transaction: after an error some documents may be written."""
        todo = iter(views.items())
        try:
            if self._cluster is None:
                while some := list(islice(todo, _AT_ONCE)):
                    self._set(some, ttl_ms)
            else:
                while some := list(islice(todo, _CHUNK)):
                    self._set_one_by_one(some, ttl_ms)
        except redis.RedisError as error:
            raise unavailable(error) from error

    def begin_set_many(self, views: Mapping[str, bytes], ttl_ms: int) -> Callable[[], None]:
        """See ViewStore. On a single server what fits into one command is written while the caller goes on."""
        if self._cluster is not None or not 0 < len(views) <= _AT_ONCE:
            self.set_many(views, ttl_ms)
            return at_end
        answer = self._set_views.begin([(list(views), [ttl_ms, *views.values()])])

        def end() -> None:
            try:
                answer()
            except redis.RedisError as error:
                raise unavailable(error) from error

        return end

    def _set(self, views: Sequence[tuple[str, bytes]], ttl_ms: int | None) -> None:
        """One command: packing, sending and answering one for each document took four times as long."""
        if ttl_ms is None:
            self._client.mset(dict(views))
        else:
            self._set_views([key for key, _ in views], [ttl_ms, *(document for _, document in views)])

    def _set_one_by_one(self, views: Sequence[tuple[str, bytes]], ttl_ms: int | None) -> None:
        """Keys in many slots of a cluster."""
        with self._client.pipeline(transaction=False) as pipeline:
            for key, document in views:
                if ttl_ms is None:
                    pipeline.execute_command("SET", key, document)
                else:
                    pipeline.execute_command("SET", key, document, "PX", ttl_ms)
            pipeline.execute()

    def delete_many(self, keys: Sequence[str]) -> None:
        """See ViewStore."""
        try:
            for start in range(0, len(keys), _CHUNK):
                with self._client.pipeline(transaction=False) as pipeline:
                    for key in keys[start : start + _CHUNK]:
                        # Not DEL: freeing happens outside Redis's one thread.
                        pipeline.unlink(key)
                    pipeline.execute()
        except redis.RedisError as error:
            raise unavailable(error) from error

    def get(self, key: str) -> bytes | None:
        """See ViewStore."""
        try:
            return as_bytes(self._client.get(key))
        except redis.RedisError as error:
            raise unavailable(error) from error

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See ViewStore."""
        if not keys:
            return []
        try:
            if self._cluster is None:
                return [as_bytes(document) for document in self._client.mget(keys)]
            with self._cluster.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.get(key)
                return [as_bytes(document) for document in pipeline.execute()]
        except redis.RedisError as error:
            raise unavailable(error) from error

    def get_fields(self, key: str, fields: Sequence[str]) -> list[bytes | None]:
        """See ReadableViews."""
        try:
            return [as_bytes(value) for value in self._client.hmget(key, list(fields))]
        except redis.RedisError as error:
            raise unavailable(error) from error

    def close(self) -> None:
        """See ViewStore."""
        self._client.close()


def at_end() -> None:
    """Of what was done when it was begun."""


def as_bytes(document: Any) -> bytes | None:
    """What a client answers; one made with decode_responses=True answers str."""
    return document.encode() if isinstance(document, str) else document


def unavailable(error: redis.RedisError) -> ViewsUnavailableError:
    """The error that says what to look at."""
    return ViewsUnavailableError(
        f"Redis did not serve the views ({type(error).__name__}: {error}); check that it runs, that its URL and "
        "password are right, and that it has memory left"
    )
