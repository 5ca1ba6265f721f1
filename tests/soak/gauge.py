"""What processes and Redis take, read every so often, and whether it grows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from redis import Redis

from contracts.keys import Keys

FLAT_PER_HOUR = 0.03
"""A figure that grows by less than this share of itself in an hour is flat, ..."""
SIGMAS = 2.0
"""... and so is one whose growth is less than so many standard errors."""


@dataclass(frozen=True)
class Trend:
    """A straight line through a figure, after warm-up."""

    mean: float
    per_hour: float
    error: float
    """Standard error of `per_hour`."""
    least: float
    most: float

    @property
    def flat(self) -> bool:
        return self.per_hour <= max(FLAT_PER_HOUR * self.mean, SIGMAS * self.error)

    def __str__(self) -> str:
        verdict = "flat" if self.flat else "GROWS"
        return (
            f"{self.mean:>14,.1f} {self.least:>14,.1f} {self.most:>14,.1f} {self.per_hour:>+12,.1f}"
            f" ± {self.error:<10,.1f} {verdict}"
        )


def trend(seconds: list[float], figures: list[float]) -> Trend | None:
    """Least squares over the medians of two minutes each: neighbours are alike, and what a review takes it gives back.

    None: too few of them.
    """
    bins: dict[int, list[float]] = {}
    for at, figure in zip(seconds, figures, strict=True):
        bins.setdefault(int(at // 120), []).append(figure)
    if len(bins) < 4:
        return None
    t = np.array(sorted(bins), np.float64) / 30  # hours
    y = np.array([np.median(bins[number]) for number in sorted(bins)])
    (slope, _), residuals, *_ = np.polyfit(t, y, 1, full=True)
    spread = float(residuals[0]) if len(residuals) else 0.0
    error = (spread / (len(t) - 2) / float(((t - t.mean()) ** 2).sum())) ** 0.5
    return Trend(float(y.mean()), float(slope), error, min(figures), max(figures))


def of_process(pid: int) -> dict[str, float] | None:
    """Resident MB, threads and descriptors of a process, and of its children the MB and the number; None: gone."""
    try:
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = {child for thread in threads for child in (thread / "children").read_text().split()}
    except (FileNotFoundError, ProcessLookupError):
        return None
    if "VmRSS" not in status:  # dead, and not yet reaped
        return None
    return {
        "rss_mb": int(status["VmRSS"].split()[0]) / 1024,
        "threads": len(threads),
        "descriptors": descriptors,
        "children": len(children),
    }


def of_redis(client: Redis, keys: Keys, partitions: int) -> dict[str, float]:
    """Used and resident MB, keys, clients. Books of days are apart: they are to grow until there are 400 days."""
    memory, clients = client.info("memory"), client.info("clients")
    public = [key for day in ("history", "feedback") for key in client.scan_iter(f"{keys.prefix}:{day}:*", count=5_000)]
    books = [book(number) for book in (keys.days, keys.feedback_days) for number in range(partitions)]
    days = sum(client.memory_usage(key, samples=0) or 0 for key in (*public, *books))
    return {
        "redis_used_mb": (memory["used_memory"] - days) / 2**20,
        "redis_days_mb": days / 2**20,
        "redis_rss_mb": memory["used_memory_rss"] / 2**20,
        "redis_keys": client.dbsize() - len(public),
        "redis_clients": clients["connected_clients"],
    }


def orphans(tag: str) -> list[int]:
    """Processes with the deployment's environment whose parent has gone."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            environment = (process / "environ").read_bytes()
            parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if f"LIVESEGMENTS_GROUP={tag}".encode() in environment and parent == 1:
            found.append(int(process.name))
    return found
