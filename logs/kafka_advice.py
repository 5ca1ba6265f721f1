"""What of a topic that others have created is not as it should be, and what to do about it."""

from collections.abc import Iterator, Mapping
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from logs.base import LogSpec
from logs.kafka_client import KafkaCluster, meaning


def topic_advice(cluster: KafkaCluster, spec: LogSpec) -> list[str]:
    """A sentence for each configuration of the topic that differs in a way that matters.

    Raises LogUnavailableError, and LogError where we may not look.
    """
    admin = cluster.admin()
    try:
        # Also what the topic has from the broker's defaults, which differ from ours.
        found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, spec.name)], config_filter="all")
    except KafkaError as error:
        raise meaning(error) from error
    finally:
        admin.close()
    configs: Mapping[str, Any] = found["topic"][spec.name]
    return list(_advice({name: str(config["value"]) for name, config in configs.items()}, spec))


def _advice(configs: Mapping[str, str], spec: LogSpec) -> Iterator[str]:
    """`configs` lacks what the broker does not tell."""
    if configs.get("message.timestamp.type", "LogAppendTime") != "LogAppendTime":
        yield (
            "producers' clocks decide whether an event lies in the future; "
            "set message.timestamp.type=LogAppendTime on the topic"
        )
    compacted = "compact" in configs.get("cleanup.policy", "compact" if spec.compacted else "delete")
    if compacted and not spec.compacted:
        yield "compaction drops events; set cleanup.policy=delete on the topic"
    if spec.compacted and not compacted:
        yield "the newest record of each key must stay; set cleanup.policy=compact on the topic"
    if spec.retention_ms is None and not spec.compacted and int(configs.get("retention.ms", "-1")) >= 0:
        yield "events are dropped after a while, and with them the way to build rows anew; set retention.ms=-1"
