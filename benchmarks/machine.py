"""On what a benchmark ran: the machine, and the versions of what counts."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.rivals import RIVALS

_PACKAGES: Final = ("kafka-python", "redis", "river", "numpy", "scipy", "msgspec")


def machine() -> dict[str, Any]:
    """What it is, and what else it does just now (the load of the last minute)."""
    return {
        "processor": _said("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(int((_said("/proc/meminfo", "MemTotal") or "0").split()[0]) / 2**20, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "load": round(os.getloadavg()[0], 1),
    }


def versions() -> dict[str, str]:
    """Of Python, of packages, and of those that ours is held against."""
    ours = {"Python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
    return ours | {rival.title: rival.version for rival in RIVALS}


def _said(file: str, field: str) -> str | None:
    """A field of one of Linux' files of fields; None where there is no such."""
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return None
    return next((text.partition(":")[2].strip() for text in lines if text.startswith(field)), None)
