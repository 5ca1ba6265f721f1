"""Listening to what changes in Redis, for the near-cache: `CLIENT TRACKING ON BCAST` on a connection of its own.

Redis then names every key under the given prefixes that is written, deleted, evicted or expires.
"""

import asyncio
import contextlib
import os
import socket
import threading
import weakref
from collections.abc import Sequence
from typing import Any, Final

import redis
import structlog

from contracts.keys import Keys
from recommender.near_cache import NearCache

HEARTBEAT_SECONDS: Final = 1.0
"""After so much silence the server is asked for a sign of life, and must give it within as long again."""
RETRY_SECONDS: Final = 0.5
"""Pause before connecting again."""

_log = structlog.get_logger(__name__)


def tracked_prefixes(keys: Keys) -> list[str]:
    """The beginnings of all keys that readers keep; none is the beginning of another, as Redis demands."""
    return [keys.customer(""), keys.cold_start(), keys.popular(), keys.similar(""), keys.withdrawn()]


def _tracking(prefixes: Sequence[str]) -> list[str]:
    return ["CLIENT", "TRACKING", "ON", "BCAST", *(word for prefix in prefixes for word in ("PREFIX", prefix))]


def _cannot(error: redis.ResponseError) -> None:
    _log.warning(
        "no near-cache: the server refuses CLIENT TRACKING, so every answer is read from Redis",
        error=str(error),
        advice="Redis from 6.0 on tracks clients; a user with restricted commands needs +client|tracking and +hello",
    )


class _Heard:
    """What a connection's parser is told to call; the result tells a push from an answer to a ping."""

    def __init__(self, near: NearCache) -> None:
        self._near = near

    def __call__(self, push: Any) -> str:
        changed = push[1]
        # None: the whole database was flushed. A key that is no UTF-8 is not one of ours.
        self._near.invalidate(None if changed is None else [key.decode(errors="replace") for key in changed])
        return "invalidated"


class InvalidationListener:
    """Tells a near-cache of changes, from a daemon thread that connects again for as long as it is not closed.

    Parameters:
        pool: says how connections are made.
        near: to be told.
        keys: of the deployment.
    """

    def __init__(self, pool: redis.ConnectionPool, near: NearCache, keys: Keys) -> None:
        self._pool = pool
        self._near = near
        self._prefixes = tracked_prefixes(keys)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._connection: Any = None
        this = weakref.ref(self)

        def after_fork() -> None:
            if (listener := this()) is not None:
                listener._after_fork()  # noqa: SLF001 - its own

        os.register_at_fork(after_in_child=after_fork)

    def start(self) -> None:
        """Begin to listen, unless that has been done."""
        if self._thread is None:
            with self._starting:
                if self._thread is None and not self._closed.is_set():
                    self._thread = threading.Thread(target=self._run, name="livesegments-near-cache", daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """Stop listening, and wait until that is so."""
        self._closed.set()
        if (connection := self._connection) is not None and (sock := connection._get_socket()) is not None:  # noqa: SLF001
            # Wakes the thread up, which then disconnects. To disconnect from here would pull the parser from under it.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen()
            except redis.ResponseError as error:
                _cannot(error)
                return
            except (redis.RedisError, OSError):
                pass  # said by the reads that fail; those that do not are plain meanwhile
            finally:
                self._near.disconnected()
                if self._connection is not None:
                    self._connection.disconnect()
            self._closed.wait(RETRY_SECONDS)

    def _listen(self) -> None:
        options = self._pool.connection_kwargs | {"protocol": 3, "decode_responses": False}
        self._connection = connection = self._pool.connection_class(**options)
        connection.connect()
        # The one way that redis-py has to hear of invalidations; its own cache does it so.
        connection._parser.set_invalidation_push_handler(_Heard(self._near))  # noqa: SLF001
        connection.send_command(*_tracking(self._prefixes))
        connection.read_response()
        self._near.connected()
        pinged = False
        while not self._closed.is_set():
            if connection.can_read(timeout=HEARTBEAT_SECONDS):
                connection.read_response(push_request=True)
                pinged = False
            elif pinged:
                raise redis.TimeoutError("no sign of life")
            else:
                connection.send_command("PING", check_health=False)
                pinged = True

    def _after_fork(self) -> None:
        """The thread is our parent's, and so is the connection: begin anew at the next question."""
        self._thread = None
        self._connection = None
        self._starting = threading.Lock()
        self._near.after_fork()


class AsyncInvalidationListener:
    """The same in a task of the running event loop.

    Parameters:
        pool: of redis.asyncio; says how connections are made.
    """

    def __init__(self, pool: Any, near: NearCache, keys: Keys) -> None:
        self._pool = pool
        self._near = near
        self._prefixes = tracked_prefixes(keys)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen, unless that has been done."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="livesegments-near-cache")

    async def close(self) -> None:
        """Stop listening, and wait until that is so."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except redis.ResponseError as error:
                _cannot(error)
                return
            except (redis.RedisError, OSError):
                pass  # as above
            finally:
                self._near.disconnected()
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        heard = _Heard(self._near)

        async def on_invalidation(push: Any) -> str:
            return heard(push)

        options = self._pool.connection_kwargs | {"protocol": 3, "decode_responses": False}
        connection = self._pool.connection_class(**options)
        try:
            await connection.connect()
            connection._parser.set_invalidation_push_handler(on_invalidation)  # noqa: SLF001
            await connection.send_command(*_tracking(self._prefixes))
            await connection.read_response()
            self._near.connected()
            pinged = False
            while True:
                # Neither a push nor an answer to a ping is None: that is the time-out.
                if await connection.read_response(timeout=HEARTBEAT_SECONDS, push_request=True) is not None:
                    pinged = False
                elif pinged:
                    raise redis.TimeoutError("no sign of life")
                else:
                    await connection.send_command("PING", check_health=False)
                    pinged = True
        finally:
            await connection.disconnect(nowait=True)
