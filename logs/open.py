"""From a URL to a log server."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from contracts.redaction import without_password
from logs.base import LogError, Logs
from logs.kafka_log import KafkaLogs
from logs.kafka_security import KafkaSecurity
from logs.memory import MemoryLogs, wall_clock
from logs.redis_log import RedisLogs

EXPECTED: Final = "expected kafka://host:port[,host:port], redis://host:port/db or memory://"


class LogUrlError(LogError):
    """The URL names no log server."""


def open_logs(
    url: str,
    *,
    security: KafkaSecurity | None = None,
    session_timeout: float = 10.0,
    now: Callable[[], int] = wall_clock,
) -> Logs:
    """The log server that a URL names. Connects only when it is used.

    `security` is for kafka://; after `session_timeout` seconds of silence a reader's partitions go to others; `now`,
    in microseconds UTC, gives memory:// its log times. Raises LogUrlError where the URL is not understood.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "kafka" if all(
            ":" in server and server.rpartition(":")[2].isdigit() for server in parts.netloc.split(",")
        ):
            return KafkaLogs(
                parts.netloc,
                security=security,
                session_timeout=session_timeout,
            )
        case "redis" | "rediss" if parts.hostname:
            return RedisLogs(url, session_timeout=session_timeout)
        case "memory":
            return MemoryLogs(now)
    raise LogUrlError(f"the log URL {without_password(url)!r} is not understood: {EXPECTED}")
