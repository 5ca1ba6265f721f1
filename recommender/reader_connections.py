"""Reading from one Redis server over connections of our own.

What redis-py does around each command costs more than the command, and a reader needs none of it: retries with pauses,
metrics, a look at the socket before each use.
"""

import os
import time
from collections.abc import Sequence
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from recommender.store import as_bytes, unavailable

IDLE_SECONDS: Final = 30.0
"""A connection unused for so long is not used again: a firewall may have dropped it without a word."""


def pool_for_readers(url: str, timeout: float) -> redis.ConnectionPool:
    """How connections to this URL are made; nothing connects yet. Raises ValueError."""
    return redis.ConnectionPool.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        # Whether to try again, and when, is decided here and by the circuit breaker: a page is waiting.
        retry=Retry(NoBackoff(), 0),
    )


class DirectViews:
    """Documents in one Redis server (see ReadableViews). Safe to use from several threads, and after a fork.

    Parameters:
        pool: says how connections are made, and makes none itself.
    """

    def __init__(self, pool: redis.ConnectionPool) -> None:
        self._pool = pool
        self._idle: list[tuple[Any, float]] = []
        self._process = os.getpid()

    @property
    def one_round_trip(self) -> bool:
        """See ReadableViews."""
        return True

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See ReadableViews."""
        return self._ask("MGET", *keys) if keys else []

    def get_fields(self, key: str, fields: Sequence[str]) -> list[bytes | None]:
        """See ReadableViews."""
        return self._ask("HMGET", key, *fields) if fields else []

    def close(self) -> None:
        """See ReadableViews."""
        if os.getpid() == self._process:
            while self._idle:
                self._idle.pop()[0].disconnect()

    def _ask(self, *command: str) -> list[bytes | None]:
        try:
            connection = self._used_before()
            if connection is not None:
                try:
                    return self._answer(connection, command)
                except redis.ConnectionError:
                    # The server was restarted or closed what was idle: so it has with all others. Reading twice harms
                    # nothing. After a time-out there is no second try: who waited once has waited long enough.
                    self.close()
            return self._answer(self._pool.connection_class(**self._pool.connection_kwargs), command)
        except redis.RedisError as error:
            raise unavailable(error) from error

    def _answer(self, connection: Any, command: Sequence[str]) -> list[bytes | None]:
        try:
            connection.send_packed_command(connection.pack_command(*command), check_health=False)
            reply = connection.read_response()
        except redis.ResponseError:
            self._idle.append((connection, time.monotonic()))
            raise
        except BaseException:
            # Half an answer may still come: nobody may take it for the next one's.
            connection.disconnect()
            raise
        self._idle.append((connection, time.monotonic()))
        return [as_bytes(document) for document in reply]

    def _used_before(self) -> Any:
        """A connection that nobody uses, or None."""
        if os.getpid() != self._process:
            # These are our parent's; it goes on using them.
            self._idle, self._process = [], os.getpid()
        oldest_usable = time.monotonic() - IDLE_SECONDS
        while self._idle:
            try:
                connection, used_at = self._idle.pop()
            except IndexError:
                return None  # another thread was faster
            if used_at >= oldest_usable:
                return connection
            connection.disconnect()
        return None
