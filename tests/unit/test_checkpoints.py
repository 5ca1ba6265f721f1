"""Steps of several partitions: written together or one behind the other, each for itself."""

import threading

import pytest

from consumer.changes import ChangePublisher
from consumer.checkpoints import Checkpoints
from consumer.clock import Clock
from consumer.feed import Feed
from consumer.held import claim, load
from consumer.memory import Memory
from consumer.memory_state import MemoryState
from consumer.patience import Patience
from consumer.settings import WorkerSettings
from contracts.keys import LogNames
from logs.base import LogSpec
from logs.memory import MemoryLogs
from recommender.store import MemoryViews

PARTITIONS = 4
TAKEN = 1
"""Another worker claims it before the steps are written."""


class CountingState(MemoryState):
    """Knows which partitions were written together."""

    def __init__(self):
        super().__init__()
        self.together = []

    def begin_checkpoints(self, work):
        self.together.append([partition for partition, _, _ in work])
        return super().begin_checkpoints(work)


@pytest.mark.parametrize(
    ("rows", "together"),
    [
        pytest.param([3, 3, 3, 3], [[0, 1, 2, 3]], id="few rows"),
        pytest.param([2000, 1500, 500, 10], [[0], [1, 2], [3]], id="many rows"),
    ],
)
def test_each_partition_is_written_noted_and_published_whatever_became_of_others(rows, together):
    names, logs = LogNames("shop-"), MemoryLogs()
    info = logs.create(LogSpec(names.events, PARTITIONS))
    logs.create(LogSpec(names.changes, PARTITIONS))
    settings, clock, state = WorkerSettings(clock="event"), Clock("event"), CountingState()
    memory = Memory(settings, clock, PARTITIONS, MemoryViews(lambda: 0), lambda: 0.0)
    changes = ChangePublisher(logs.writer(), names)
    feed = Feed(clock, memory.learner, settings.quiet_after)
    checkpoints = Checkpoints(memory, state, changes, Patience(threading.Event()), lambda: 0.0, feed=feed)
    work = []
    for number, count in enumerate(rows):
        held, _ = claim(state, number, info, 0.0)
        memory.take_in(held, load(state, memory.store, held))
        asked = [memory.store.add(held.rows, f"{number}-{one}") for one in range(count)]
        prepared = checkpoints.prepare(held, asked, position=10)
        prepared.step.outbox["change"] = b'{"customer_id": "%d"}' % number
        work.append(prepared)
    claim(state, TAKEN, info, 0.0)
    meanwhile = []
    lost = checkpoints.write(work, lambda: meanwhile.append(len(meanwhile)))
    assert lost == [work[TAKEN]]
    assert meanwhile == [0]
    assert state.together == together
    others = [one for one in work if one.held.number != TAKEN]
    for one in others:
        assert one.held.seq == state.meta(one.held.number).seq == 1
        assert sum(len(ids) for ids, _ in state.rows(one.held.number)) == len(one.held.dirty) == len(one.rows)
    assert work[TAKEN].held.seq == 0
    published = [value for batch in logs.read_all(names.changes) for value in batch.values]
    assert sorted(published) == [b'{"customer_id": "%d"}' % one.held.number for one in others]
