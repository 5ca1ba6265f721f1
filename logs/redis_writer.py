"""Appending to Redis streams: batches of what is queued, each under a number that makes its repetition harmless."""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from logs.base import (
    Headers,
    LogError,
    LogMissingError,
    LogUnavailableError,
    Placed,
    RecordTooLargeError,
    failures,
)
from logs.redis_errors import may_pass
from logs.redis_stream import SEQUENCE_BITS, StreamKeys, meaning, pack_headers, script

QUEUE_BYTES: Final = 16 * 1024 * 1024
BATCH_RECORDS: Final = 500
BATCH_BYTES: Final = 1024 * 1024
DELIVERY_SECONDS: Final = 120.0
"""How long a batch is tried before its records fail."""
REMEMBER_SECONDS: Final = 3_600
RETRY_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class _Record:
    log: str
    key: bytes
    value: bytes
    headers: bytes
    future: Future[Placed]

    @property
    def size(self) -> int:
        return len(self.key) + len(self.value) + len(self.headers)


class RedisLogWriter:
    """One thread that sends what `append` queued, in order."""

    def __init__(self, client: Redis, url: str, limit_of: Callable[[str], int]) -> None:
        self._client = client
        self._url = url
        self._limit_of = limit_of
        self._limits: dict[str, int] = {}
        self._append = client.register_script(script("redis_append.lua"))
        self._producer = uuid.uuid4().hex
        self._number = 0
        self._queue: deque[_Record] = deque()
        self._bytes = 0
        self._unfinished = 0
        self._changed = threading.Condition()
        self._closed = False
        self._gave_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="redis-log-writer", daemon=True)
        self._thread.start()

    def append(
        self, log: str, key: bytes | None, value: bytes, *, partition: int | None = None, headers: Headers = ()
    ) -> Future[Placed]:
        """Queue a record; the future ends when Redis has it, or in a LogError. Blocks while 16 MiB are queued."""
        future: Future[Placed] = Future()
        record = _Record(log, key or b"", value, pack_headers(headers), future)
        try:
            limit = self._limit(log)
        except LogError as error:
            future.set_exception(error)
            return future
        if partition not in {None, 0}:
            future.set_exception(LogError(f"a log in Redis has the one partition 0, not {partition}"))
            return future
        if record.size > limit:
            future.set_exception(RecordTooLargeError(f"{record.size} bytes; the log {log!r} takes {limit}"))
            return future
        with self._changed:
            if self._closed:
                raise LogError("this writer is closed")
            while self._queue and self._bytes + record.size > QUEUE_BYTES:
                self._changed.wait()
            self._queue.append(record)
            self._bytes += record.size
            self._unfinished += 1
            self._changed.notify_all()
        return future

    def _limit(self, log: str) -> int:
        if log not in self._limits:
            self._limits[log] = self._limit_of(log)
        return self._limits[log]

    def _run(self) -> None:
        while batch := self._take():
            self._number += 1
            try:
                first = self._send(batch)
            except LogError as error:
                for record in batch:
                    record.future.set_exception(error)
            else:
                for place, record in enumerate(batch):
                    record.future.set_result(Placed(0, first + place))
            with self._changed:
                self._unfinished -= len(batch)
                self._changed.notify_all()

    def _take(self) -> list[_Record]:
        """What is queued for one log, as much as a batch may hold; empty only when closed."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            batch: list[_Record] = []
            size = 0
            while self._queue and len(batch) < BATCH_RECORDS:
                record = self._queue[0]
                if batch and (record.log != batch[0].log or size + record.size > BATCH_BYTES):
                    break
                size += record.size
                batch.append(self._queue.popleft())
            self._bytes -= size
            self._changed.notify_all()
            return batch

    def _send(self, batch: list[_Record]) -> int:
        """Append until it succeeds or the time is up; the position of the first record."""
        keys = StreamKeys(batch[0].log)
        arguments: list[int | bytes] = [self._number, REMEMBER_SECONDS, len(batch)]
        for record in batch:
            arguments += (record.key, record.value, record.headers)
        deadline = time.monotonic() + DELIVERY_SECONDS
        while True:
            try:
                ms, n = self._append(keys=[keys.stream, keys.meta, keys.producer(self._producer)], args=arguments)
                return int(ms) << SEQUENCE_BITS | int(n)
            except RedisError as error:
                if "NOLOG" in str(error):
                    raise LogMissingError(f"the log {keys.name!r} is not in Redis (any more): create it") from error
                over = not may_pass(error) or time.monotonic() > deadline
                if over or self._gave_up.wait(RETRY_SECONDS):
                    raise meaning(error, self._url) from error

    def append_all(self, log: str, records: Sequence[tuple[bytes, bytes]], timeout: float) -> dict[int, LogError]:
        """Append keys and values, and wait until all are there; what failed, by place."""
        return failures([self.append(log, key, value) for key, value in records], timeout)

    def flush(self, timeout: float | None = None) -> None:
        """Wait until every queued record has ended. Raises LogUnavailableError after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._unfinished == 0, timeout):
                raise LogUnavailableError(f"not all records were acknowledged within {timeout} s")

    def close(self, timeout: float | None = None) -> None:
        """Flush and let go. Raises LogUnavailableError after `timeout` seconds; what is queued then fails."""
        try:
            self.flush(timeout)
        finally:
            self._gave_up.set()
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            self._thread.join()
            self._client.close()
