"""Reading a topic as a member of a consumer group."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition, errors
from kafka.consumer.fetcher import ConsumerRecord
from kafka.structs import MemberState, OffsetAndMetadata

from logs.assignment import Assignment
from logs.base import Batch, LogInfo, Polled, PositionGoneError
from logs.kafka_answers import ends_at_hand
from logs.kafka_client import CLIENT_ERRORS, meaning
from logs.kafka_join import keep_answer
from logs.kafka_watch import KafkaWatch

COMMIT_SECONDS: Final = 1.0
CLOSE_MS: Final = 3_000
MAX_OFFSET: Final = 2**63 - 1
SLICE_SECONDS: Final = 0.01
"""For which kafka-python is asked to wait while records come, however long we may."""
MILLISECOND: Final = 0.001
BUSY_SECONDS: Final = 0.1
"""So soon after the last records more are to be expected; a worker with little to do polls as rarely as it may."""

_log = structlog.get_logger(__name__)

_offset, _timestamp, _key, _value, _headers = (
    itemgetter(ConsumerRecord._fields.index(name)) for name in ("offset", "timestamp", "key", "value", "headers")
)


def batch_of(partition: int, records: Sequence[Any]) -> Batch:
    """kafka-python's records of one partition as columns."""
    headers = list(map(_headers, records))
    # Kafka allows a header without a value, but kafka-python would not write it again.
    valued = {
        place: tuple([(name, value or b"") for name, value in pairs]) for place, pairs in enumerate(headers) if pairs
    }
    return Batch(
        partition,
        list(map(_offset, records)),
        list(map(_value, records)),
        list(map(_key, records)),
        [milliseconds * 1000 for milliseconds in map(_timestamp, records)],
        valued,
    )


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # kafka-python is untyped
    """Runs on kafka-python's I/O thread, which must not block: it only parks what came and remembers."""

    def __init__(self, consumer: KafkaConsumer, assignment: Assignment, delivering: set[int]) -> None:
        self.lock = threading.Lock()
        self._consumer = consumer
        self._assignment = assignment
        self._delivering = delivering

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Paused, at a position that says nothing: a partition without one would hold up the poll of all others."""
        with self.lock:
            for partition in assigned:
                self._consumer.pause(partition)
                self._consumer.seek(partition, 0)
            self._assignment.gain(partition.partition for partition in assigned)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Nothing of these is delivered any more."""
        with self.lock:
            lost = {partition.partition for partition in revoked}
            self._assignment.lose(lost)
            self._delivering -= lost

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """The group went on without us; all the same here."""
        self.on_partitions_revoked(lost)


class KafkaLogReader:
    """A consumer that has subscribed to one topic; it owns the consumer and the watch."""

    def __init__(self, consumer: KafkaConsumer, watch: KafkaWatch, info: LogInfo) -> None:
        self.info = info
        self._consumer = consumer
        self._watch = watch
        self._assignment = Assignment()
        self._delivering: set[int] = set()
        self._failing_since: float | None = None
        self._delivered_at = 0.0
        self._uncommitted: dict[int, int] = {}
        self._commit_at = 0.0
        self._listener = _Listener(consumer, self._assignment, self._delivering)
        # Without the topic's metadata at hand the assignor hands out nothing, and under load nobody joins again when
        # the metadata comes: the consumer would sit there for ever with no partition.
        try:
            consumer.partitions_for_topic(info.name)
        except errors.KafkaError as error:
            raise meaning(error) from error
        consumer.subscribe([info.name], listener=self._listener)

    def poll(self, timeout: float) -> Polled:
        """Wait at most so many seconds for records or a change of assignment.

        Raises PositionGoneError, LogChangedError, and LogError where the cluster's ACLs forbid reading.
        """
        self._watch.check()
        self._commit_due()
        fetched = self._wait(timeout)
        with self._listener.lock:
            news = self._assignment.changed
            # kafka-python may hand out records of a partition that it lost in this very poll.
            batches = [
                batch_of(partition.partition, records)
                for partition, records in fetched.items()
                if partition.partition in self._delivering
            ]
        if news:
            self._watch.look()
            self._watch.check()
        with self._listener.lock:
            return Polled(batches, *self._assignment.take())

    def _wait(self, timeout: float) -> Mapping[TopicPartition, Sequence[Any]]:
        """Records, as soon as there are any.

        Slice by slice: where an answer comes just while kafka-python sends the next request, it waits for the answer to
        that one with the records at hand. At 2,000 events a second that happened once a second.
        """
        end = time.monotonic() + timeout
        while True:
            began = time.monotonic()
            left = end - began
            busy = began - self._delivered_at < BUSY_SECONDS
            fetched = self._fetch(max(0.0, min(left, SLICE_SECONDS) if busy else left))
            if fetched:
                self._delivered_at = time.monotonic()
            # kafka-python waits for whole milliseconds: for what is left of one it would only look again and again.
            if fetched or self._assignment.changed or end - time.monotonic() < MILLISECOND:
                return fetched

    def _fetch(self, timeout: float) -> Mapping[TopicPartition, Sequence[Any]]:
        keep_answer(self._consumer)
        try:
            fetched: Mapping[TopicPartition, Sequence[Any]] = self._consumer.poll(timeout_ms=int(timeout * 1000))
        except (errors.OffsetOutOfRangeError, errors.LogTruncationError) as error:
            # A topic that was made anew has lost our position too, but that is not what to tell.
            self._watch.look()
            self._watch.check()
            raise PositionGoneError(
                f"topic {self.info.name!r} no longer holds, or never held, the position to go on from ({error}): "
                "records are missing between the stored state and the log; rebuild the state from what the log holds"
            ) from error
        except (errors.NoOffsetForPartitionError, errors.CommitFailedError, errors.KafkaTimeoutError):
            return {}
        except errors.AuthorizationError as error:
            raise meaning(error) from error
        except CLIENT_ERRORS as error:
            if self._failing_since is None:
                self._failing_since = time.monotonic()
                _log.warning("kafka does not deliver, trying on", topic=self.info.name, error=str(meaning(error)))
            return {}
        self._failing_since = None
        return fetched

    def seek(self, partition: int, position: int | None) -> None:
        """Start delivering a partition from a position; None is the log's beginning.

        Ignored where the partition was taken away: the next poll says so. Whether the log holds the position is
        answered by the broker with the first fetch: PositionGoneError comes from a later poll.
        """
        if position is not None and not 0 <= position <= MAX_OFFSET:
            raise PositionGoneError(f"topic {self.info.name!r}: {position} is no Kafka offset")
        place = TopicPartition(self.info.name, partition)
        with self._listener.lock:
            if not self._assignment.ready(partition):
                return
            if position is None:
                self._consumer.seek_to_beginning(place)
            else:
                self._consumer.seek(place, position)
            self._consumer.resume(place)
            self._delivering.add(partition)

    def pause(self, partition: int) -> None:
        """Stop delivering a partition until the next seek."""
        with self._listener.lock:
            self._delivering.discard(partition)
            if partition in self._assignment.held:
                self._consumer.pause(TopicPartition(self.info.name, partition))

    def lag(self) -> Mapping[int, int] | None:
        """Records not yet delivered, as of the last answer about each partition; asks nothing of the network.

        None while a partition waits for its seek or its first fetch, or the cluster does not answer.
        """
        with self._listener.lock:
            held = set(self._assignment.held)
            if self.failing_since is not None or held != self._delivering:
                return None
        lag: dict[int, int] = {}
        at_hand = ends_at_hand(self._consumer)
        for partition in held:
            place = TopicPartition(self.info.name, partition)
            try:
                end, position = self._consumer.highwater(place), self._consumer.position(place, timeout_ms=0)
            except errors.KafkaError:
                return None
            if end is None or position is None:
                return None
            lag[partition] = max(0, max(end, at_hand.get(place, 0)) - position)
        return lag

    def commit(self, positions: Mapping[int, int]) -> None:
        """Tell lag monitors how far we are: once a second, with the next poll."""
        self._uncommitted.update(positions)

    def _commit_due(self) -> None:
        if not self._uncommitted or (now := time.monotonic()) < self._commit_at:
            return
        self._commit_at = now + COMMIT_SECONDS
        offsets = self._offsets()
        if not offsets:
            return
        try:
            self._consumer.commit_async(offsets, self._on_committed)
        except errors.KafkaError as error:
            _log.debug("offsets for lag monitors not committed", error=str(error))

    def _on_committed(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], answer: object) -> None:
        """Called with a later poll. What failed, amid a rebalance, say, is committed again with what came since."""
        if isinstance(answer, Exception):
            _log.debug("offsets for lag monitors not committed", error=str(answer))
            return
        for place, offset in offsets.items():
            if self._uncommitted.get(place.partition) == offset.offset:
                del self._uncommitted[place.partition]

    def _offsets(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """What is not known to be committed, of the partitions that are still ours."""
        for partition in [partition for partition in self._uncommitted if partition not in self._assignment.held]:
            del self._uncommitted[partition]
        return {
            TopicPartition(self.info.name, partition): OffsetAndMetadata(position, "", -1)
            for partition, position in self._uncommitted.items()
        }

    @property
    def rebalancing(self) -> bool:
        """Whether the group is handing partitions out just now."""
        return self._assignment.changed or self._consumer.group_metadata().state != MemberState.STABLE

    @property
    def failing_since(self) -> float | None:
        """The monotonic time since when the cluster has not answered; None while it does."""
        since = [at for at in (self._failing_since, self._watch.failing_since) if at is not None]
        return min(since, default=None)

    def close(self) -> None:
        """Leave the group."""
        self._watch.close()
        try:
            if self.failing_since is None and (offsets := self._offsets()):
                self._consumer.commit(offsets, timeout_ms=CLOSE_MS)
        except errors.KafkaError as error:
            _log.debug("offsets for lag monitors not committed", error=str(error))
        try:
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_MS)
        except errors.KafkaError as error:
            _log.warning("left the consumer group without saying so", error=str(meaning(error)))
