"""Redis Streams as a log server: one partition, one worker; for the embedded default and for small shops.

Needs nothing newer than Redis 6.2. Compacted logs are kept whole: their readers take the newest record of a key anyway.
"""

import contextlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from redis.exceptions import RedisError

from logs.base import Batch, LogInfo, LogMissingError, LogSpec, gathered
from logs.redis_reader import MAX_BATCH, RedisLogReader
from logs.redis_stream import Entry, StreamKeys, batch_of, connect, entry_id_of, info_of, meaning, position_of, shown
from logs.redis_writer import RedisLogWriter


class RedisLogs:
    """A Redis server. Connects when it is first asked for something.

    Positions are entry ids as integers, milliseconds << 64 | count, and do not fit into 64 bits.

    Args:
        url: redis://[[user]:password@]host:port/db, or rediss:// with TLS.
        session_timeout: Seconds without a poll after which a reader's lease runs out and another may read.
    """

    def __init__(self, url: str, *, session_timeout: float = 10.0) -> None:
        self.url = shown(url)
        self.session_timeout = session_timeout
        self._address = url
        self._client = connect(url)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise meaning(error, self._address) from error

    def create(self, spec: LogSpec) -> LogInfo:
        """Create the log unless it is there; it has one partition whatever is asked for. Raises LogUnavailableError."""
        meta = StreamKeys(spec.name).meta
        retention = "" if spec.retention_ms is None else str(spec.retention_ms)
        # Every field is written once, so that a second creation changes nothing.
        with self._asking(), self._client.pipeline(transaction=True) as create:
            create.hsetnx(meta, "identity", uuid.uuid4().hex)
            create.hsetnx(meta, "max_message_bytes", str(spec.max_message_bytes))
            create.hsetnx(meta, "retention_ms", retention)
            create.execute()
        return self.describe(spec.name)

    def describe(self, name: str) -> LogInfo:
        """The log as it stands. Raises LogMissingError, LogUnavailableError."""
        return info_of(name, self._meta(name))

    def _meta(self, name: str) -> dict[bytes, bytes]:
        with self._asking():
            meta = cast("dict[bytes, bytes]", self._client.hgetall(StreamKeys(name).meta))
        if not meta:
            raise LogMissingError(f"there is no log {name!r} in Redis at {self.url}: create it, or check its name")
        return meta

    def trim(self, name: str, partition: int, position: int) -> None:  # noqa: ARG002 - there is one partition
        """Drop the records before a position, but for the one just before it: it proves that nothing else is gone."""
        keys = StreamKeys(name)
        if position <= 0:
            return
        with self._asking(), self._client.pipeline(transaction=True) as trim:
            trim.hset(keys.meta, "trimmed", position)
            trim.xtrim(keys.stream, minid=entry_id_of(position - 1), approximate=False)
            trim.execute()

    def reader(self, name: str, group: str) -> RedisLogReader:
        """Join a group of which one member reads. Raises LogMissingError, LogUnavailableError."""
        return RedisLogReader(connect(self._address), self.url, self.describe(name), group, self.session_timeout)

    def writer(self) -> RedisLogWriter:
        """A writer to any of the logs. Raises LogUnavailableError."""
        with self._asking():
            self._client.ping()
        return RedisLogWriter(connect(self._address), self.url, self._limit_of)

    def _limit_of(self, name: str) -> int:
        meta = self._meta(name)
        return int(meta.get(b"max_message_bytes", LogSpec(name).max_message_bytes))

    def read_all(self, name: str, timeout: float = 30.0) -> Sequence[Batch]:
        """Every record from the beginning to the end as of now. Raises LogMissingError, LogUnavailableError."""
        return gathered(self.scan(name, timeout), name, timeout)

    def scan(
        self,
        name: str,
        patience: float = 30.0,  # noqa: ARG002 - each call has a timeout
        positions: Mapping[int, int] | None = None,
    ) -> Iterator[Batch]:
        """The same, some at a time. Raises LogMissingError, LogUnavailableError."""
        self.describe(name)
        stream = StreamKeys(name).stream
        with self._asking():
            last = cast("list[Entry]", self._client.xrevrange(stream, count=1))
        start = entry_id_of((positions or {}).get(0, 0))
        while last and position_of(last[0][0]) >= position_of(start.encode()):
            with self._asking():
                entries = cast("list[Entry]", self._client.xrange(stream, min=start, max=last[0][0], count=MAX_BATCH))
            if not entries:
                return
            batch = batch_of(entries)
            start = entry_id_of(batch.positions[-1] + 1)
            yield batch

    def ends(self, name: str) -> Sequence[int]:
        """The position after the last record that is there; whoever appends leaves that one."""
        self.describe(name)
        with self._asking():
            last = cast("list[Entry]", self._client.xrevrange(StreamKeys(name).stream, count=1))
        return [position_of(last[0][0]) + 1 if last else 0]

    def starts(self, name: str) -> Sequence[int]:
        """The position of the oldest record that is there; in an empty log, of the next one to come."""
        self.describe(name)
        with self._asking():
            first = cast("list[Entry]", self._client.xrange(StreamKeys(name).stream, count=1))
        return [position_of(first[0][0]) if first else 0]

    def retention_ms(self, name: str) -> int | None:
        """How long records are kept at least: whoever appends lets go of older ones. Raises LogMissingError."""
        limit = self._meta(name).get(b"retention_ms", b"")
        return int(limit) if limit else None

    def close(self) -> None:
        """Let go of the connection that answers `create` and `describe`."""
        self._client.close()
