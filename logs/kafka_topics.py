"""Topics as logs: creating, describing, trimming."""

from typing import Any

from kafka import KafkaAdminClient, TopicPartition, errors
from kafka.admin import ConfigResource, ConfigResourceType

from logs.base import LogInfo, LogMissingError, LogSpec, LogUnavailableError


def describe(admin: KafkaAdminClient, name: str) -> LogInfo:
    """The topic as it stands. Raises LogMissingError, LogUnavailableError and kafka-python's errors."""
    topic = admin.describe_topics([name])[0]
    error = errors.for_code(topic["error_code"])
    if error is errors.UnknownTopicOrPartitionError:
        raise LogMissingError(f"there is no topic {name!r} on this Kafka cluster: create it, or check its name")
    if error is errors.LeaderNotAvailableError:
        raise LogUnavailableError(f"the topic {name!r} has no leader yet")
    if error is not errors.NoError:
        raise error(name)
    return LogInfo(name, str(topic["topic_id"]), len(topic["partitions"]))


def create(admin: KafkaAdminClient, spec: LogSpec, replication_factor: int) -> LogInfo:
    """Create the topic unless it is there, and wait until its partitions have leaders."""
    try:
        return describe(admin, spec.name)
    except LogMissingError:
        pass
    topic: dict[str, Any] = {
        "num_partitions": spec.partitions,
        "replication_factor": replication_factor,
        "configs": {
            "cleanup.policy": "compact" if spec.compacted else "delete",
            "retention.ms": str(-1 if spec.retention_ms is None else spec.retention_ms),
            "retention.bytes": "-1",
            "max.message.bytes": str(spec.max_message_bytes),
            # Producers' clocks must not decide whether an event lies in the future.
            "message.timestamp.type": "LogAppendTime",
        },
    }
    try:
        admin.create_topics({spec.name: topic}, wait_for_metadata=True)
    except errors.TopicAlreadyExistsError:
        admin.wait_for_topics([spec.name])
    return describe(admin, spec.name)


def trim(admin: KafkaAdminClient, name: str, partition: int, position: int) -> None:
    """Drop the partition's records before a position."""
    admin.delete_records({TopicPartition(name, partition): position})


def retention_ms(admin: KafkaAdminClient, name: str) -> int | None:
    """How long the topic keeps records; None for ever."""
    describe(admin, name)  # says where there is none
    found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
    configs: dict[str, Any] = found["topic"][name]
    limit = int(configs["retention.ms"]["value"])
    return None if limit < 0 or "delete" not in configs["cleanup.policy"]["value"] else limit
