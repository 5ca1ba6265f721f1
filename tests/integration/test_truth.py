"""Names promise something of customers: after 120 silent days nobody is left where the promise is broken."""

import numpy as np
import pytest

from benchmarks.in_time_order import TimeOrdered, in_slices, segments_only
from consumer.clock import wall_micros
from consumer.columns import Columns
from consumer.settings import WorkerSettings
from contracts.documents import CAUSES
from contracts.times import DAY, MINUTE
from online_model.by_rule import RULE_SEGMENTS
from online_model.features import bought, days_since
from online_model.model import SPECIAL_SEGMENTS
from online_model.settings import ModelSettings
from producer.replay import read_events
from tests.in_process import step_until
from tests.online_retail import FILE

pytestmark = pytest.mark.slow

SILENT_DAYS = 120
LIVELY = ("Champions", "Loyal", "New customers")


class Shown:
    """Who is published where at one moment, columns of everybody who ever bought."""

    def __init__(self, worker):
        memory = worker.memory
        model, store = memory.learner.model, memory.store
        rows = np.flatnonzero(store.partition[: store.used] >= 0)
        columns = Columns.of_store(store, rows)
        self.rows = rows[bought(columns)]
        header = store.header[self.rows]
        self.version = model.version
        self.segments = header["segment"].copy()
        self.causes = [CAUSES[cause] for cause in header["cause"].tolist()]
        self.silent_days = days_since(header["last_at"], worker.clock.now)
        self.clusters = memory.learner.clusters(self.rows).copy()
        self.sums = memory.learner.sums
        names = {one.id: one.name for one in model.segments} | {one: named.name for one, named in RULE_SEGMENTS.items()}
        names |= SPECIAL_SEGMENTS
        self.names = np.array([names[segment] for segment in self.segments.tolist()])

    def lively(self):
        return np.array([name.startswith(LIVELY) for name in self.names.tolist()])


@pytest.fixture(scope="module")
def silence(data_folder):
    """The year, and then the year and 120 days in which nobody bought."""
    messages = list(read_events(data_folder / FILE, now=wall_micros()))
    settings = segments_only(WorkerSettings(clock="event", model=ModelSettings(k=5, k_interval=1_000 * DAY)))
    newest = max(message.occurred_at for message in messages)
    with TimeOrdered(settings, log_time=newest + MINUTE) as deployment:
        for part in in_slices(messages, 1_000, 14 * DAY):
            deployment.publish(part)
        worker = deployment.worker
        before = Shown(worker)
        worker.clock.hear([newest + SILENT_DAYS * DAY])
        deployment.publish([])
        step_until(worker, lambda: worker.idle and not worker.memory.learner.sweeping)
        yield worker, before, Shown(worker)


def test_a_third_of_customers_move_and_the_model_does_not(silence):
    _, before, after = silence
    assert after.version == before.version
    moved = before.segments != after.segments
    assert moved.mean() >= 0.30
    assert {cause for cause, has in zip(after.causes, moved.tolist(), strict=True) if has} == {"time"}


def test_nobody_silent_is_in_a_segment_whose_name_promises_activity(silence):
    worker, before, after = silence
    lapse_days = worker.memory.learner.model.lapse_days
    for shown in (before, after):
        assert not np.any(shown.lively() & (shown.silent_days > max(90, lapse_days)))
        assert not np.any(shown.lively() & (shown.silent_days > lapse_days))
    assert before.lively().any(), "there were lively customers to begin with"
    assert after.silent_days.min() >= SILENT_DAYS - 1
    assert not after.lively().any()


def test_the_guard_leaves_clusters_alone(silence):
    """It is about what is published: votes are those of the nearest centroid, whatever it is called."""
    worker, _, after = silence
    model, store = worker.memory.learner.model, worker.memory.store
    X = model.features_of(Columns.of_store(store, after.rows), worker.clock.now)
    assert np.array_equal(after.clusters, model.assign(X))
