"""Servers in containers, where Docker has or gets their images."""

import contextlib
import functools
import os
import shutil
import subprocess
from collections.abc import Iterator

from testcontainers.community.redis import RedisContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from logs.redis_server import free_port

RYUK = "testcontainers/ryuk:0.8.1"


def _succeeds(*command: str, seconds: float) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=seconds, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@functools.cache
def docker_has(image: str, pull_seconds: float = 90.0) -> bool:
    """Docker answers and the image is here, or was pulled quickly."""
    if shutil.which("docker") is None or not _succeeds("docker", "info", seconds=10):
        return False
    if not (
        _succeeds("docker", "image", "inspect", image, seconds=10)
        or _succeeds("docker", "pull", "--quiet", image, seconds=pull_seconds)
    ):
        return False
    # testcontainers starts a reaper first; where its image can not be had, our context managers end what they began.
    if not _succeeds("docker", "image", "inspect", RYUK, seconds=10):
        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    return True


@contextlib.contextmanager
def kafka_in_docker(image: str) -> Iterator[str]:
    """The bootstrap address of a broker in a container."""
    # A broker tells clients its address, so the port outside must be known before it starts.
    port = free_port()
    listeners = "PLAINTEXT://:9092,CONTROLLER://:9093,OUTSIDE://:9094"
    environment = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": listeners,
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://localhost:9092,OUTSIDE://127.0.0.1:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,OUTSIDE:PLAINTEXT",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    }
    if "JAVA_TOOL_OPTIONS" in os.environ:
        environment["JAVA_TOOL_OPTIONS"] = os.environ["JAVA_TOOL_OPTIONS"]
    container = DockerContainer(image).with_bind_ports(9094, port)
    for name, value in environment.items():
        container.with_env(name, value)
    container.waiting_for(LogMessageWaitStrategy("Kafka Server started"))
    with container:
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def redis_in_docker(image: str) -> Iterator[str]:
    """The URL of a Redis server in a container."""
    with RedisContainer(image) as container:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
