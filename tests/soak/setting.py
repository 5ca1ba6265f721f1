"""One deployment under soak: its settings, as an environment for worker processes and as an object for ourselves."""

import os

from livesegments.settings import Settings
from tests.soak.stream import LATENESS_DAYS

PARTITIONS = 12
SESSION_SECONDS = 6


def values(*, log_url: str, redis_url: str, tag: str, **more: str) -> dict[str, str]:
    """Settings by name. As much as possible is as it is by default: that is what users run."""
    return {
        "log_url": log_url,
        "redis_url": redis_url,
        "clock": "event",
        "key_prefix": tag,
        "log_prefix": f"{tag}-",
        "group": tag,
        "partitions": str(PARTITIONS),
        "session_timeout": f"{SESSION_SECONDS}s",
        "allowed_lateness": f"{LATENESS_DAYS}d",
        "currency": "GBP",
        "log_format": "json",
        "status_interval": "60s",
        **more,
    }


def settings_of(chosen: dict[str, str]) -> Settings:
    return Settings(**chosen)


def environment_of(chosen: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **{f"LIVESEGMENTS_{name.upper()}": value for name, value in chosen.items()}}
