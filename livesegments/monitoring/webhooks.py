"""What the process that tells webhooks shows of itself: figures by endpoint, whether it is alive and ready."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from livesegments.monitoring.health import ALIVE_SECONDS, Verdict
from livesegments.monitoring.metrics import PREFIX
from livesegments.monitoring.server import serving

if TYPE_CHECKING:
    from livesegments.webhooks.running import Running

_LABEL: Final = "endpoint"


class WebhookHealth:
    """Looked at by the process' own thread, asked from any other."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._hindered: str | None = "starting"

    def look(self, running: "Sequence[Running]") -> None:
        """See how it stands."""
        self._looked_at = self._monotonic()
        errors = [f"{one.endpoint.name}: {one.delivery.error}" for one in running if one.delivery.error]
        self._hindered = errors[0] if errors else None

    def alive(self) -> Verdict:
        """Whether the loop turns."""
        passed = self._monotonic() - self._looked_at
        if passed <= ALIVE_SECONDS:
            return Verdict(ok=True, text="alive")
        return Verdict(ok=False, text=f"the loop has stood still for {passed:.0f} s")

    def ready(self) -> Verdict:
        """Whether the log and Redis answer. An endpoint that fails is not our failure: a figure tells of it."""
        if not (alive := self.alive()).ok:
            return alive
        return Verdict(ok=self._hindered is None, text=self._hindered or "ready")


class WebhookMetrics(Collector):
    """What there was to tell at the last look."""

    def __init__(self, health: WebhookHealth) -> None:
        self._health = health
        self._told: tuple[Metric, ...] = ()

    def look(self, running: "Sequence[Running]") -> None:
        """Copy the figures; for the process' own thread."""
        self._told = (*_counters(running), *_gauges(running), *_requests(running))

    def collect(self) -> Iterable[Metric]:
        """How it stands now, and the figures of the last look; from any thread."""
        yield GaugeMetricFamily(f"{PREFIX}_ready", "Whether /readyz says so.", float(self._health.ready().ok))
        yield from self._told


def _counters(running: "Sequence[Running]") -> Iterable[Metric]:
    told = {one.endpoint.name: one.delivery for one in running}
    sent = {name: one.dispatcher for name, one in told.items()}
    for name, what, counts in (
        ("delivered", "Changes that endpoints took in.", {name: one.delivered for name, one in sent.items()}),
        ("given_up", "Changes that became dead letters.", {name: one.given_up for name, one in sent.items()}),
        ("lost", "Records that the log let go of unsent.", {name: one.lost for name, one in told.items()}),
        ("unreadable", "Records that are no change we know.", {name: one.unreadable for name, one in told.items()}),
    ):
        family = CounterMetricFamily(f"{PREFIX}_webhook_{name}", what, labels=[_LABEL])
        for endpoint, count in counts.items():
            family.add_metric([endpoint], count)
        yield family


def _gauges(running: "Sequence[Running]") -> Iterable[Metric]:
    waiting = GaugeMetricFamily(
        f"{PREFIX}_webhook_waiting", "Changes still to be sent, and records still to be looked at.", labels=[_LABEL]
    )
    failing = GaugeMetricFamily(
        f"{PREFIX}_webhook_failing_seconds", "For how long an endpoint has failed; 0: it does not.", labels=[_LABEL]
    )
    for one in running:
        if (count := one.delivery.waiting) is not None:
            waiting.add_metric([one.endpoint.name], count)
        failing.add_metric([one.endpoint.name], one.delivery.dispatcher.failing_seconds or 0.0)
    yield waiting
    yield failing


def _requests(running: "Sequence[Running]") -> Iterable[Metric]:
    ended = CounterMetricFamily(
        f"{PREFIX}_webhook_requests", "Requests, by how they ended.", labels=[_LABEL, "outcome"]
    )
    seconds = SummaryMetricFamily(f"{PREFIX}_webhook_request_seconds", "How long they took.", labels=[_LABEL])
    for one in running:
        requests = one.sender.requests
        for meaning, count in requests.count.items():
            ended.add_metric([one.endpoint.name, meaning.value], count)
        seconds.add_metric([one.endpoint.name], sum(requests.count.values()), requests.seconds)
    yield ended
    yield seconds


@contextlib.contextmanager
def webhooks_monitored(address: str) -> Iterator[Callable[["Sequence[Running]"], None]]:
    """What is to be called every second; does nothing without an address. Raises AddressError."""
    if not address:
        yield lambda _: None
        return
    health = WebhookHealth()
    metrics = WebhookMetrics(health)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    ProcessCollector(registry=registry)

    def look(running: "Sequence[Running]") -> None:
        health.look(running)
        metrics.look(running)

    with serving(address, health, registry):
        yield look
