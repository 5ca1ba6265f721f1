"""Appending to topics: acknowledged by all replicas, nothing twice, nothing lost between retries."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Final

from kafka import KafkaProducer, TopicPartition, errors
from kafka.partitioner import Partitioner as KafkaPartitioner

from logs.base import Headers, LogError, LogInfo, LogUnavailableError, Placed, unacknowledged
from logs.kafka_client import KafkaCluster, meaning, never_create_topics
from logs.kafka_refusals import survive_refusals
from logs.partitioner import Partitioner

QUEUE_BYTES: Final = 16 * 1024 * 1024
RECORD_OVERHEAD: Final = 128
"""What a queued record costs besides its bytes, roughly."""

SETTINGS: Final[dict[str, Any]] = {
    "acks": "all",
    "enable_idempotence": True,
    "compression_type": "lz4",
    "linger_ms": 5,
    "batch_size": 256 * 1024,
    "max_request_size": 8 * 1024 * 1024,  # the topic's own max.message.bytes decides below that
    "max_block_ms": 10_000,
    "allow_auto_create_topics": False,
}


class _Murmur2(KafkaPartitioner):  # type: ignore[misc] # kafka-python is untyped
    """kafka-python's default partitioner, with the hashes of recent keys at hand."""

    def __init__(self) -> None:
        self._partitioner = Partitioner()

    def partition(
        self, topic: str, _key: Any, serialized_key: bytes | None, _value: Any, _serialized_value: Any, cluster: Any
    ) -> int:
        """The partition of a record."""
        return self._partitioner.partition(serialized_key, len(cluster.partitions_for_topic(topic)))


class _Queue:
    """How many bytes wait to be acknowledged; kafka-python itself sets no bound."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._room = threading.Condition()

    def enter(self, size: int) -> None:
        with self._room:
            while self._bytes and self._bytes + size > self._limit:
                self._room.wait()
            self._bytes += size

    def leave(self, size: int) -> None:
        with self._room:
            self._bytes -= size
            self._room.notify_all()


class _Pending:
    """A record on its way. Slots, not closures: the garbage collector took two thirds of the time with those."""

    __slots__ = ("_future", "_queue", "_size")

    def __init__(self, queue: _Queue, size: int, future: Future[Placed]) -> None:
        self._queue = queue
        self._size = size
        self._future = future

    def placed(self, metadata: Any) -> None:
        self._queue.leave(self._size)
        self._future.set_result(Placed(metadata.partition, metadata.offset))

    def failed(self, error: BaseException) -> None:
        self._queue.leave(self._size)
        self._future.set_exception(meaning(error))


class KafkaLogWriter:
    """One producer for all topics. Raises LogUnavailableError where no broker answers at the start."""

    def __init__(self, cluster: KafkaCluster, describe: Callable[[str], LogInfo]) -> None:
        self._describe = describe
        self._known: set[str] = set()
        self._queue = _Queue(QUEUE_BYTES)
        self._partitioner = Partitioner()
        with cluster.connecting():
            self._producer = KafkaProducer(**cluster.settings(), **SETTINGS, partitioner=_Murmur2())
        never_create_topics(self._producer._metadata)  # noqa: SLF001
        survive_refusals(self._producer)

    def append(
        self, log: str, key: bytes | None, value: bytes, *, partition: int | None = None, headers: Headers = ()
    ) -> Future[Placed]:
        """Queue a record; the future ends when every replica has it, or in a LogError.

        Blocks while 16 MiB wait for their acknowledgement.
        """
        future: Future[Placed] = Future()
        size = len(value) + len(key or b"") + RECORD_OVERHEAD
        try:
            self._must_exist(log)
            self._queue.enter(size)
            try:
                sent = self._producer.send(log, value=value, key=key, headers=list(headers), partition=partition)
            except BaseException:
                self._queue.leave(size)
                raise
        except LogError as error:
            future.set_exception(error)
            return future
        except errors.KafkaError as error:
            future.set_exception(meaning(error))
            return future

        pending = _Pending(self._queue, size, future)
        sent.add_callback(pending.placed)
        sent.add_errback(pending.failed)
        return future

    def append_all(self, log: str, records: Sequence[tuple[bytes, bytes]], timeout: float) -> dict[int, LogError]:
        """Append keys and values, and wait until every replica has them; what failed, by place.

        A third less work than a future of ours each: kafka-python ends whole batches at once.
        """
        try:
            self._must_exist(log)
        except LogError as error:
            return dict.fromkeys(range(len(records)), error)
        sizes = [len(key) + len(value) + RECORD_OVERHEAD for key, value in records]
        waiting, failed = sum(sizes), dict[int, LogError]()
        self._queue.enter(waiting)
        try:
            sent = self._sent(log, records, failed)
            deadline = time.monotonic() + timeout
            for place, future in sent.items():
                if not future.is_done:
                    with contextlib.suppress(errors.KafkaError):
                        future.get(max(0.0, deadline - time.monotonic()))
                if not future.is_done:
                    failed[place] = unacknowledged(timeout)
                    # It goes on taking room until kafka-python gives it up.
                    waiting -= sizes[place]
                    left = partial(self._leave, sizes[place])
                    future.add_callback(left)
                    future.add_errback(left)
                elif future.exception is not None:
                    failed[place] = meaning(future.exception)
        finally:
            self._queue.leave(waiting)
        return failed

    def _sent(self, log: str, records: Sequence[tuple[bytes, bytes]], failed: dict[int, LogError]) -> dict[int, Any]:
        """kafka-python's futures, by place; what it does not even take goes to `failed`."""
        sent = dict[int, Any]()
        try:
            partitions = self._partitions(log)
        except errors.KafkaError as error:
            failed.update(dict.fromkeys(range(len(records)), meaning(error)))
            return sent
        # What `send` does before it comes to these takes as long as they do, and needs to be done once for all.
        append, wake_up = self._producer._accumulator.append, self._producer._sender.wakeup  # noqa: SLF001
        fits = self._producer._ensure_valid_record_size  # noqa: SLF001
        for place, (key, value) in enumerate(records):
            try:
                fits(len(key) + len(value) + RECORD_OVERHEAD)
                to = partitions[self._partitioner.partition(key, len(partitions))]
                sent[place], is_full, is_new, _ = append(to, None, key, value, [])
            except errors.KafkaError as error:
                failed[place] = meaning(error)
                continue
            if is_full or is_new:
                wake_up()
        return sent

    def _partitions(self, log: str) -> list[TopicPartition]:
        """Where records of a log can go. Raises KafkaError."""
        known = self._producer.partitions_for(log)
        return [TopicPartition(log, number) for number in range(len(known))]

    def _leave(self, size: int, _: Any) -> None:
        self._queue.leave(size)

    def _must_exist(self, log: str) -> None:
        # Asked once: kafka-python waits `max_block_ms` for a topic that is not there.
        if log not in self._known:
            self._describe(log)
            self._known.add(log)

    def flush(self, timeout: float | None = None) -> None:
        """Wait until every queued record has ended. Raises LogUnavailableError after `timeout` seconds."""
        try:
            self._producer.flush(timeout)
        except errors.KafkaTimeoutError as error:
            raise LogUnavailableError(f"not all records were acknowledged within {timeout} s") from error

    def close(self, timeout: float | None = None) -> None:
        """Flush and let go. Raises LogUnavailableError after `timeout` seconds."""
        try:
            self.flush(timeout)
        finally:
            self._producer.close(timeout=0 if timeout is not None else None)
