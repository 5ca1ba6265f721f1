"""A worker's figures as Prometheus metrics: copied now and then by the worker's thread, told whenever somebody asks.

While the loop stands still, as when it waits for a server, so does the copy; whether it is ready is told as of now.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from contracts.documents import CAUSES
from contracts.times import SECOND, to_micros
from livesegments import __version__
from livesegments.monitoring.health import Health

if TYPE_CHECKING:
    from consumer.worker import Worker

PREFIX: Final = "livesegments"


def registry(worker_metrics: "WorkerMetrics") -> CollectorRegistry:
    """Those of the worker, and memory, processor time and open files of its process (on Linux)."""
    made = CollectorRegistry(auto_describe=False)
    made.register(worker_metrics)
    ProcessCollector(registry=made)
    return made


class WorkerMetrics(Collector):
    """What there was to tell at the last look. Nothing here is shared with the worker, so nobody waits for anybody."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._told: tuple[Metric, ...] = ()

    def look(self, worker: "Worker", lag_seconds: float | None) -> None:
        """Copy the worker's figures; for its own thread."""
        self._told = (
            *_counters(worker),
            *_gauges(worker, lag_seconds),
            *_models(worker),
            *_durations(worker),
        )

    def collect(self) -> Iterable[Metric]:
        """How it stands now, and the figures of the last look; from any thread."""
        yield _build()
        yield _gauge("ready", "Whether /readyz says so.", float(self._health.ready().ok))
        yield _gauge("loop_age_seconds", "Since the loop last turned.", self._health.turned_ago)
        yield from self._told


def _build() -> Metric:
    return InfoMetricFamily(f"{PREFIX}_build", "The version that runs.", {"version": __version__})


def _counters(worker: "Worker") -> Iterable[Metric]:
    # Imported late: with the worker come river and scipy, which nobody else waits for.
    from consumer.applied import Ignored  # noqa: PLC0415
    from consumer.dead_letters import Reason  # noqa: PLC0415
    from consumer.event_columns import Kind  # noqa: PLC0415

    figures, views = worker.figures, worker.memory.views.figures
    # All labels from the beginning: the first of a kind would be no rise otherwise.
    kinds = [kind.name.lower() for kind in Kind]
    yield _labelled("events", "Events that counted.", "type", kinds, figures.events)
    yield _labelled("ignored_events", "Valid events that changed nothing.", "reason", Ignored, figures.ignored)
    yield _labelled("dead_letters", "Events that could not be used.", "reason", Reason, figures.dead_letters)
    yield _labelled("moves", "Customers who changed segment.", "cause", CAUSES, figures.moves)
    for name, what, value in (
        ("rerouted_events", "Events published again into their own partition.", figures.rerouted),
        ("batches", "Cuts of the log that were worked on.", figures.batches),
        ("checkpoints", "Atomic steps written.", figures.checkpoints),
        ("claim_conflicts", "Times that a partition turned out to be another worker's.", figures.conflicts),
        ("views_written", "Customers' views written.", views.written),
        ("views_deleted", "Views of erased customers deleted.", views.deleted),
    ):
        yield CounterMetricFamily(f"{PREFIX}_{name}", what, value=value)


def _gauges(worker: "Worker", lag_seconds: float | None) -> Iterable[Metric]:
    memory = worker.memory
    if (lag := worker.lag) is not None:
        yield _gauge("lag_events", "Records not yet taken in, while the log says.", lag)
    if lag_seconds is not None:
        yield _gauge("lag_seconds", "How long the record that waits longest has waited, at most.", lag_seconds)
    yield _gauge("partitions", "Partitions held.", len(memory.held))
    yield _gauge("log_partitions", "Partitions of the event log.", memory.partitions)
    yield _gauge("customers", "Customers of the partitions held.", len(memory.store))
    yield _gauge(
        "dirty_views", "Customers whose view is to be rewritten.", sum(len(x.dirty) for x in memory.held.values())
    )
    oldest = memory.views.figures.oldest_dirty_s
    yield _gauge("oldest_dirty_view_seconds", "How long the view that waits longest has waited.", oldest)


def _models(worker: "Worker") -> Iterable[Metric]:
    memory, now = worker.memory, worker.clock.now
    if (model := memory.learner.model) is not None:
        yield _gauge("model_version", "Of the segments.", model.version)
        age = max(0, now - model.adopted_at) / SECOND
        yield _gauge("model_age_seconds", "Since the version was adopted, by the deployment's clock.", age)
    if memory.item_model is not None:
        yield _gauge("item_model_version", "Of what was learnt about items.", memory.item_version)
        age = max(0, now - memory.item_model.as_of) / SECOND
        yield _gauge("item_model_age_seconds", "Since items were learnt, by the deployment's clock.", age)
    if (forecasts := memory.forecasts.forecaster.document) is not None:
        yield _gauge("forecast_version", "Of what is forecast by.", memory.forecasts.version)
        age = max(0, now - to_micros(forecasts.at)) / SECOND
        yield _gauge("forecast_age_seconds", "Since forecasts were learnt, by the deployment's clock.", age)


def _durations(worker: "Worker") -> Iterable[Metric]:
    figures, freshness = worker.figures, worker.figures.freshness
    buckets = [("+Inf" if bound == float("inf") else str(bound), count) for bound, count in freshness.buckets]
    yield HistogramMetricFamily(
        f"{PREFIX}_freshness_seconds",
        "From a record's log time until its customer's view is written; a batch counts with its oldest record.",
        buckets=buckets,
        sum_value=freshness.seconds,
    )
    yield SummaryMetricFamily(
        f"{PREFIX}_sweep_seconds",
        "Passes over every row.",
        count_value=figures.sweeps.times,
        sum_value=figures.sweeps.seconds,
    )
    yield SummaryMetricFamily(
        f"{PREFIX}_forecast_seconds",
        "Slices of passes that work out everybody's forecast.",
        count_value=figures.forecasts.times,
        sum_value=figures.forecasts.seconds,
    )
    reviews = SummaryMetricFamily(f"{PREFIX}_review_seconds", "Reviews, where this worker leads.", labels=["kind"])
    for kind, spent in (
        ("segments", figures.reviews),
        ("items", figures.item_reviews),
        ("forecasts", figures.forecast_reviews),
    ):
        reviews.add_metric([kind], spent.times, spent.seconds)
    yield reviews


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", what, value=value)


def _labelled(name: str, what: str, label: str, values: Iterable[str], counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}_{name}", what, labels=[label])
    for value in values:
        family.add_metric([value], counts.get(value, 0))
    return family
