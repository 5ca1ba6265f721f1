"""What `livesegments audience sync-run` shows of itself: figures by sync, whether it is alive and ready."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from contracts.times import SECOND
from livesegments.monitoring.health import Verdict
from livesegments.monitoring.metrics import PREFIX
from livesegments.monitoring.server import serving

if TYPE_CHECKING:
    from livesegments.audience_sync.running import Schedule

_NAME: Final = f"{PREFIX}_audience_sync"
_LABEL: Final = "sync"


class SyncHealth:
    """A sync may take an hour, and one that fails is tried again: figures tell of both, a restart cures neither."""

    def alive(self) -> Verdict:
        """Whoever answers is alive."""
        return Verdict(ok=True, text="alive")

    def ready(self) -> Verdict:
        """It serves nobody, so there is nothing to wait for."""
        return Verdict(ok=True, text="ready")


class SyncMetrics(Collector):
    """How the syncs stood at the last look."""

    def __init__(self) -> None:
        self._told: tuple[Metric, ...] = ()

    def look(self, schedule: "Schedule") -> None:
        """Copy the figures; for the thread that does the syncs."""
        self._told = tuple(_families(schedule))

    def collect(self) -> Iterable[Metric]:
        """The figures of the last look; from any thread."""
        yield from self._told


def _families(schedule: "Schedule") -> Iterable[Metric]:
    every = GaugeMetricFamily(f"{_NAME}_every_seconds", "How often it is due.", labels=[_LABEL])
    last = GaugeMetricFamily(f"{_NAME}_last_timestamp_seconds", "When it was done last.", labels=[_LABEL])
    failures = GaugeMetricFamily(f"{_NAME}_failures", "How often it has failed in a row.", labels=[_LABEL])
    members = GaugeMetricFamily(f"{_NAME}_members", "Whom the receiver knows of.", labels=[_LABEL])
    left_out = GaugeMetricFamily(f"{_NAME}_left_out", "Members who are not handed on.", labels=[_LABEL, "why"])
    told = CounterMetricFamily(f"{_NAME}_told", "Contacts handed on.", labels=[_LABEL, "change"])
    for name, standing in schedule.standing.items():
        every.add_metric([name], schedule.syncs[name].every / SECOND)
        failures.add_metric([name], standing.failures)
        if standing.done_at is not None:
            last.add_metric([name], standing.done_at / SECOND)
        if standing.members is not None:
            members.add_metric([name], standing.members)
            for why, count in asdict(standing.left_out).items():
                left_out.add_metric([name, why], count)
        for change in ("full", "entered", "left"):
            told.add_metric([name, change], standing.told[change])
    return every, last, failures, members, left_out, told


@contextlib.contextmanager
def syncs_monitored(address: str) -> Iterator[Callable[["Schedule"], None]]:
    """What is to be called when syncs were done; does nothing without an address. Raises AddressError."""
    if not address:
        yield lambda _: None
        return
    metrics = SyncMetrics()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    ProcessCollector(registry=registry)
    with serving(address, SyncHealth(), registry):
        yield metrics.look
