"""Reading from one Redis server over one connection that all questions of an event loop share.

Questions are sent as they come, without waiting for answers to those before, and Redis answers in order. redis-py's
asyncio client lends each question a connection of its own, and what it does around it (the pool, retries, streams,
a timer) takes several times as long as the question.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, cast

import hiredis
import redis

from recommender.store import as_bytes

IDLE_SECONDS: Final = 30.0
"""A connection unused for so long is not used again: a firewall may have dropped it without a word."""

_INCOMPLETE: Final = object()


class SharedLine:
    """Documents in one Redis server. For use in one event loop.

    Parameters:
        pool: of redis.asyncio; says how connections are made, and makes none itself.
        timeout: seconds that an answer may take.
    """

    def __init__(self, pool: Any, timeout: float) -> None:
        self.connection_pool = pool
        self._timeout = timeout
        self._line: _Line | None = None
        self._opening: asyncio.Task[_Line] | None = None

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Documents by their keys. Raises redis.RedisError, as all here do."""
        return await self._ask("MGET", *keys)

    async def hmget(self, key: str, fields: Sequence[str]) -> list[bytes | None]:
        """Fields of one hash."""
        return await self._ask("HMGET", key, *fields)

    async def aclose(self) -> None:
        """Let go of the connection."""
        if self._opening is not None:
            self._opening.cancel()
        if self._line is not None:
            self._line.give_up(redis.ConnectionError("the reader was closed"))

    async def _ask(self, *command: str) -> list[bytes | None]:
        packed = hiredis.pack_command(cast("tuple[str]", command))  # its types know of one word only
        line = self._line
        if line is not None and line.usable():
            try:
                return await line.ask(packed)
            except redis.ConnectionError:
                # The server was restarted, or closed what was idle. Reading twice harms nothing. After a time-out
                # there is no second try: who waited once has waited long enough.
                pass
        return await (await self._opened()).ask(packed)

    async def _opened(self) -> "_Line":
        """A new connection: the same for all who wait for one."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
            self._opening.add_done_callback(self._no_longer_opening)
        # Whoever goes away meanwhile takes it from nobody else.
        return await asyncio.shield(self._opening)

    async def _open(self) -> "_Line":
        connection = self.connection_pool.connection_class(**self.connection_pool.connection_kwargs)
        await connection.connect()
        self._line = _Line(connection, self._timeout)
        return self._line

    def _no_longer_opening(self, task: "asyncio.Task[_Line]") -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # has been raised to all who still waited


class _Line(asyncio.Protocol):
    """A connection that redis-py has made, logged in and prepared; from then on its bytes come here.

    Parameters:
        connection: of redis.asyncio, connected.
        timeout: seconds that an answer may take.
    """

    def __init__(self, connection: Any, timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._timeout = timeout
        self._replies = hiredis.Reader(
            protocolError=redis.InvalidResponse,
            replyError=connection._parser.parse_error,  # noqa: SLF001 - knows what each error means
            notEnoughData=_INCOMPLETE,
        )
        self._transport: Any = connection._writer.transport  # noqa: SLF001
        self._streams = self._transport.get_protocol()
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._unsent: list[bytes] = []
        self._watch: asyncio.TimerHandle | None = None
        self._used_at = self._loop.time()
        self._over: redis.RedisError | None = None
        self._transport.set_protocol(self)

    def usable(self) -> bool:
        """Whether to ask here, rather than over a new connection."""
        if self._over is not None or self._transport.is_closing():
            return False
        if self._waiting or self._loop.time() - self._used_at < IDLE_SECONDS:
            return True
        self.give_up(redis.ConnectionError("unused for long"))
        return False

    async def ask(self, command: bytes) -> list[bytes | None]:
        """The answer to a command that is packed."""
        if self._over is not None:
            raise self._over
        self._used_at = now = self._loop.time()
        answer = self._loop.create_future()
        self._waiting.append((answer, now))
        if not self._unsent:
            # What others ask in the same turn of the loop goes out with it.
            self._loop.call_soon(self._send)
        self._unsent.append(command)
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout, self._look)
        return [as_bytes(document) for document in await answer]

    def give_up(self, error: redis.RedisError) -> None:
        """Close; all who wait are told why."""
        if self._over is not None:
            return
        self._over = error
        if self._watch is not None:
            self._watch.cancel()
        while self._waiting:
            answer, _ = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(error)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._replies.feed(data)
        try:
            while (reply := self._replies.gets()) is not _INCOMPLETE and self._over is None:
                # Nothing that the server says of its own accord is of interest.
                if not isinstance(reply, hiredis.PushNotification):
                    answer, _ = self._waiting.popleft()
                    if answer.done():
                        pass  # who asked went away
                    elif isinstance(reply, Exception):
                        answer.set_exception(reply)
                    else:
                        answer.set_result(reply)
        except (redis.InvalidResponse, IndexError) as error:
            self.give_up(redis.InvalidResponse(f"not what Redis answers: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.give_up(redis.ConnectionError(f"the connection was lost: {error or 'closed by the server'}"))
        # redis-py's own end of it.
        self._streams.connection_lost(error)
        self._connection._close()  # noqa: SLF001 - its `disconnect` waits for streams that no longer are

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._over is None:
            self._transport.write(b"".join(unsent))

    def _look(self) -> None:
        """Whether whoever has waited longest has waited too long: one timer for all."""
        self._watch = None
        if not self._waiting:
            return
        until = self._waiting[0][1] + self._timeout
        if until <= self._loop.time():
            self.give_up(redis.TimeoutError(f"no answer within {self._timeout:g} s"))
        else:
            self._watch = self._loop.call_at(until, self._look)
