"""From a URL to a log server."""

from collections.abc import Callable
from urllib.parse import urlsplit

from logs.base import LogError, Logs
from logs.kafka_security import KafkaSecurity
from logs.memory import MemoryLogs, wall_clock

EXPECTED = "expected kafka://host:port[,host:port], redis://host:port/db or memory://"


class LogUrlError(LogError):
    """The URL names no log server."""


def open_logs(url: str, *, security: KafkaSecurity | None = None, now: Callable[[], int] = wall_clock) -> Logs:  # noqa: ARG001
    """The log server that a URL names. Connects only when it is used.

    `security` is for kafka://; `now`, in microseconds UTC, gives memory:// its log times.
    Raises LogUrlError where the URL is not understood.
    """
    match urlsplit(url).scheme:
        case "memory":
            return MemoryLogs(now)
        case scheme:
            raise LogUrlError(f"log URL {url!r}: unknown scheme {scheme!r}; {EXPECTED}")
