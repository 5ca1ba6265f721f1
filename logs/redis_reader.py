"""Reading a Redis stream: by plain XRANGE from the position we keep, with a lease in place of a consumer group."""

import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

import structlog
from redis import Redis
from redis.exceptions import RedisError

from logs.assignment import Assignment
from logs.base import Batch, LogChangedError, LogInfo, Polled, PositionGoneError
from logs.redis_errors import may_pass
from logs.redis_stream import (
    Entry,
    StreamKeys,
    batch_of,
    count_of,
    entry_id_of,
    meaning,
    position_of,
    script,
)

MAX_BATCH: Final = 5_000
BLOCK_SECONDS: Final = 2.0
"""Below the socket's timeout of 5 s: beyond it redis-py tries for a minute."""
RETRY_SECONDS: Final = 0.5

_log = structlog.get_logger(__name__)


class RedisLogReader:
    """The only reader of its group; further ones wait, holding nothing, until its lease runs out or is given back."""

    def __init__(self, client: Redis, url: str, info: LogInfo, group: str, lease_seconds: float) -> None:
        self.info = info
        self.failing_since: float | None = None
        """The monotonic time since when Redis has not answered; None while it does."""
        self._client = client
        self._url = url
        self._keys = StreamKeys(info.name)
        self._lease_key = self._keys.lease(group)
        self._lease_seconds = lease_seconds
        self._token = uuid.uuid4().hex
        self._lease = client.register_script(script("redis_lease.lua"))
        self._renew_at = 0.0
        self._waiting = False
        self._assignment = Assignment()
        self._position: int | None = None
        """The position to go on from; None while nothing is to be delivered."""
        self._from_beginning = False
        self._end: int | None = None
        """Records that the log had taken in at our last look."""

    def poll(self, timeout: float) -> Polled:
        """Wait at most so many seconds for records or the lease.

        Raises PositionGoneError, LogChangedError, and LogError where Redis refuses for good.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                batch = self._look(deadline)
            except RedisError as error:
                if not may_pass(error):
                    raise meaning(error, self._url) from error
                self._failed(error)
                batch = None
                time.sleep(max(0.0, min(RETRY_SECONDS, deadline - time.monotonic())))
            else:
                self.failing_since = None
            if batch or self._assignment.changed:
                return Polled((batch,) if batch else (), *self._assignment.take())
            if time.monotonic() >= deadline:
                return Polled()

    def _failed(self, error: Exception) -> None:
        if self.failing_since is None:
            self.failing_since = time.monotonic()
            _log.warning("redis does not answer, trying on", log=self.info.name, error=str(error))

    def _look(self, deadline: float) -> Batch | None:
        if time.monotonic() >= self._renew_at:
            self._renew()
        if self._assignment.changed:
            return None
        if self._position is None:
            time.sleep(max(0.0, min(RETRY_SECONDS, deadline - time.monotonic())))
            return None
        if batch := self._read(self._position):
            return batch
        wait = min(deadline, self._renew_at) - time.monotonic()
        if wait > 0:
            after = entry_id_of(self._position - 1) if self._position else "0-0"
            milliseconds = max(1, int(min(wait, BLOCK_SECONDS) * 1000))
            self._client.xread({self._keys.stream: after}, count=1, block=milliseconds)
        return None

    def _renew(self) -> None:
        self._check(self._client.hget(self._keys.meta, "identity"))
        state = self._lease(keys=[self._lease_key], args=[self._token, int(self._lease_seconds * 1000)]).decode()
        self._renew_at = time.monotonic() + self._lease_seconds / 3
        if state != "renewed":
            self._assignment.lose([0])
            self._position = None
        if state == "taken":
            self._assignment.gain([0])
        if (state == "other") != self._waiting:
            self._waiting = state == "other"
            if self._waiting:
                _log.warning("another worker reads this log; waiting for its lease", log=self.info.name)
        if self._waiting:
            self._renew_at = time.monotonic() + min(RETRY_SECONDS, self._lease_seconds / 3)

    def _read(self, position: int) -> Batch | None:
        # From the entry before ours on: that it is there proves that nothing between was trimmed.
        anchored = position > 0 and not self._from_beginning
        start = entry_id_of(position - 1 if anchored else position)
        with self._client.pipeline(transaction=True) as look:
            look.hget(self._keys.meta, "identity")
            look.hget(self._keys.meta, "trimmed")
            look.xrange(self._keys.stream, min=start, count=MAX_BATCH + 1)
            look.xrevrange(self._keys.stream, count=1)
            answers: list[Any] = look.execute()
        self._check(answers[0])
        trimmed, last = answers[1], answers[3]
        entries: list[Entry] = answers[2]
        first = position_of(entries[0][0]) if entries else None
        if anchored and first not in {position - 1, position}:
            raise self._gone(position)
        if position == 0 and trimmed is not None and not self._from_beginning:
            raise self._gone(position)
        self._end = count_of(position_of(last[0][0])) + 1 if last else 0
        if entries and first == position - 1:
            del entries[0]
        if not entries:
            return None
        batch = batch_of(entries)
        self._position = batch.positions[-1] + 1
        self._from_beginning = False
        return batch

    def _check(self, identity: bytes | str | None) -> None:
        if identity != self.info.identity.encode():
            raise LogChangedError(
                f"the log {self.info.name!r} in Redis was deleted, or created again, while it was read: what was "
                "counted so far no longer belongs to it; clear this deployment's state"
            )

    def _gone(self, position: int) -> PositionGoneError:
        return PositionGoneError(
            f"the log {self.info.name!r} no longer holds, or never held, entry {entry_id_of(max(0, position - 1))}: "
            "records are missing between the stored state and the log; rebuild the state from what the log holds"
        )

    def seek(self, partition: int, position: int | None) -> None:
        """Start delivering from a position; None is the log's beginning.

        Ignored where the lease was lost: the next poll says so. PositionGoneError comes from a later poll.
        """
        if self._assignment.ready(partition):
            self._position = position or 0
            self._from_beginning = position is None

    def pause(self, partition: int) -> None:
        """Stop delivering until the next seek."""
        if partition == 0:
            self._position = None

    def lag(self) -> Mapping[int, int] | None:
        """Records not yet delivered, as of the last poll; None while that is unknown."""
        if not self._assignment.held:
            return {}
        if self._position is None or self._end is None or self.failing_since is not None:
            return None
        return {0: max(0, self._end - count_of(self._position))}

    def commit(self, positions: Mapping[int, int]) -> None:
        """No monitor looks at a Redis stream."""

    @property
    def rebalancing(self) -> bool:
        """Whether the next poll will tell of a change."""
        return self._assignment.changed or self._renew_at == 0.0

    def close(self) -> None:
        """Give the lease back."""
        try:
            self._lease(keys=[self._lease_key], args=[self._token, 0])
        except RedisError as error:
            _log.warning("lease not given back; it runs out by itself", log=self.info.name, error=str(error))
        self._client.close()
