"""Apache Kafka as a log server: topics are logs, consumer groups hand out their partitions."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition, errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from logs.base import Batch, LogInfo, LogSpec, LogUnavailableError, gathered
from logs.kafka_client import CLIENT_ERRORS, KafkaCluster, meaning, never_create_topics
from logs.kafka_probe import Verdict, probe
from logs.kafka_reader import KafkaLogReader, batch_of
from logs.kafka_records import read_quickly
from logs.kafka_security import KafkaSecurity
from logs.kafka_topics import create, describe, retention_ms, trim
from logs.kafka_watch import KafkaWatch
from logs.kafka_writer import KafkaLogWriter

HEARTBEAT_SECONDS: Final = 0.3
ENDS_MS: Final = 10_000
CONSUMER: Final[dict[str, Any]] = {
    # No deserializers: one that raises hangs the poll after it.
    "enable_auto_commit": False,
    "auto_offset_reset": "none",  # a jump to either end would be silent
    "allow_auto_create_topics": False,
    "isolation_level": "read_committed",
    "max_poll_records": 20_000,
    "max_partition_fetch_bytes": 4 * 1024 * 1024,
    "fetch_max_bytes": 32 * 1024 * 1024,
    # The broker answers as soon as there is anything: waiting for 16 KiB held records back for a step more, half of
    # them at 2,000 a second. A worker asks twice a step at most, so it is not asked for each record.
    "fetch_min_bytes": 1,
    "fetch_max_wait_ms": 50,
    # In a session the broker leaves out partitions without news: one that was taken and given back between two fetches
    # would have no known end, and so no known lag, until somebody published into it.
    "enable_incremental_fetch_sessions": False,
    "metrics_enabled": False,
}


class KafkaLogs:
    """A Kafka cluster. Connects when it is first asked for something.

    Args:
        bootstrap: host:port[,host:port].
        security: TLS and login.
        session_timeout: Seconds without a heartbeat after which the group gives a reader's partitions to others.
        heartbeat: Seconds between heartbeats: members hear of a rebalance by them, and of each move there are two. At
            most a third of the session's.
        max_poll_interval: Seconds without a poll after which a reader leaves the group, heartbeats or not.
        replication_factor: Of topics that we create; -1 leaves it to the cluster.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        security: KafkaSecurity | None = None,
        session_timeout: float = 10.0,
        heartbeat: float = HEARTBEAT_SECONDS,
        max_poll_interval: float = 300.0,
        replication_factor: int = -1,
    ) -> None:
        self.url = f"kafka://{bootstrap}"
        self.session_timeout = session_timeout
        self._cluster = KafkaCluster(bootstrap, security)
        self._heartbeat = min(heartbeat, session_timeout / 3)
        self._max_poll_interval = max_poll_interval
        self._replication_factor = replication_factor
        self._lock = threading.Lock()
        self._admin: KafkaAdminClient | None = None

    @contextlib.contextmanager
    def _asking(self) -> Iterator[KafkaAdminClient]:
        with self._lock:
            if self._admin is None:
                self._admin = self._cluster.admin()
            try:
                yield self._admin
            except CLIENT_ERRORS as error:
                raise meaning(error) from error

    def create(self, spec: LogSpec) -> LogInfo:
        """Create the topic unless it is there. Raises LogUnavailableError, LogError."""
        with self._asking() as admin:
            return create(admin, spec, self._replication_factor)

    def describe(self, name: str) -> LogInfo:
        """The topic as it stands. Raises LogMissingError, LogUnavailableError."""
        with self._asking() as admin:
            return describe(admin, name)

    def trim(self, name: str, partition: int, position: int) -> None:
        """Drop the partition's records before a position."""
        with self._asking() as admin:
            trim(admin, name, partition, position)

    def probe(self) -> Verdict:
        """How far a connection gets, stage by stage; never raises."""
        return probe(self._cluster.bootstrap, self._cluster.security)

    def reader(self, name: str, group: str) -> KafkaLogReader:
        """Join a consumer group. Raises LogMissingError, LogUnavailableError."""
        info = self.describe(name)
        consumer = self._consumer(
            group_id=group,
            partition_assignment_strategy=[CooperativeStickyAssignor],
            session_timeout_ms=int(self.session_timeout * 1000),
            heartbeat_interval_ms=int(self._heartbeat * 1000),
            max_poll_interval_ms=int(self._max_poll_interval * 1000),
        )
        try:
            return KafkaLogReader(consumer, KafkaWatch(self._cluster, info), info)
        except BaseException:
            consumer.close(autocommit=False, timeout_ms=0)
            raise

    def _consumer(self, **settings: Any) -> KafkaConsumer:
        with self._cluster.connecting():
            consumer = KafkaConsumer(**self._cluster.settings(), **CONSUMER, **settings)
        never_create_topics(consumer._cluster)  # noqa: SLF001
        read_quickly(consumer)
        return consumer

    def writer(self) -> KafkaLogWriter:
        """A producer. Raises LogUnavailableError."""
        return KafkaLogWriter(self._cluster, self.describe)

    def read_all(self, name: str, timeout: float = 30.0) -> Sequence[Batch]:
        """Every record from the beginning to the end as of now. Raises LogMissingError, LogUnavailableError."""
        return gathered(self.scan(name, timeout), name, timeout)

    def scan(self, name: str, patience: float = 30.0, positions: Mapping[int, int] | None = None) -> Iterator[Batch]:
        """The same, some at a time. Raises LogMissingError, LogUnavailableError."""
        places = [TopicPartition(name, partition) for partition in range(self.describe(name).partitions)]
        consumer = self._consumer()
        try:
            consumer.assign(places)
            ends = consumer.end_offsets(places, timeout_ms=int(patience * 1000))
            consumer.seek_to_beginning(*places)
            if positions:
                starts = consumer.beginning_offsets(places, timeout_ms=int(patience * 1000))
                for place in places:
                    consumer.seek(place, max(starts[place], positions.get(place.partition, 0)))
            heard = time.monotonic()
            while any((consumer.position(place, timeout_ms=1000) or 0) < ends[place] for place in places):
                if time.monotonic() - heard > patience:
                    raise LogUnavailableError(f"the topic {name!r} has brought nothing for {patience:.0f} s")
                for place, records in consumer.poll(timeout_ms=200).items():
                    yield batch_of(place.partition, records)
                    heard = time.monotonic()
        except errors.KafkaError as error:
            raise meaning(error) from error
        finally:
            consumer.close(autocommit=False, timeout_ms=0)

    def ends(self, name: str) -> Sequence[int]:
        """Of each partition the position of the next record to come. Raises LogMissingError, LogUnavailableError."""
        return self._bounds(name, KafkaConsumer.end_offsets)

    def starts(self, name: str) -> Sequence[int]:
        """Of each partition the position of the oldest record that is there. Raises LogMissingError."""
        return self._bounds(name, KafkaConsumer.beginning_offsets)

    def _bounds(self, name: str, ask: Callable[..., Mapping[TopicPartition, int]]) -> Sequence[int]:
        places = [TopicPartition(name, partition) for partition in range(self.describe(name).partitions)]
        consumer = self._consumer()
        try:
            found = ask(consumer, places, timeout_ms=ENDS_MS)
            return [found[place] for place in places]
        except errors.KafkaError as error:
            raise meaning(error) from error
        finally:
            consumer.close(autocommit=False, timeout_ms=0)

    def retention_ms(self, name: str) -> int | None:
        """How long the topic keeps records at least: Kafka drops whole files of them. Raises LogMissingError."""
        with self._asking() as admin:
            return retention_ms(admin, name)

    def close(self) -> None:
        """Let go of the connection that answers `create` and `describe`."""
        with self._lock:
            if self._admin is not None:
                self._admin.close()
                self._admin = None
