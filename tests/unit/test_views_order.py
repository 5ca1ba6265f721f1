"""Whose view is written first where more wait than can be written."""

import json

import pytest

from recommender.store import MemoryViews, ViewsUnavailableError
from tests.in_process import LOG_TIME, InProcess
from tests.kinds import purchase_event

BUYERS = 600


class RecordingViews(MemoryViews):
    """Keeps which views were written together; each time takes a second."""

    def __init__(self):
        super().__init__(lambda: LOG_TIME)
        self.written = []
        self.seconds = 0.0

    def set_many(self, views, ttl_ms=None):
        self.written.append(list(views))
        self.seconds += 1
        super().set_many(views, ttl_ms)


def shop_of_buyers(views=None):
    """A worker that has read one purchase of each buyer, its only partition, views that keep order, and the shop."""
    views = views or RecordingViews()
    shop = InProcess(views=views, partitions=1)
    shop.publish(*(json.dumps(purchase_event(number)).encode() for number in range(BUYERS)))
    worker = shop.worker(monotonic=lambda: views.seconds)
    shop.run(worker)
    (held,) = worker.memory.held.values()
    views.written.clear()
    return worker, held, views, shop


def first_piece(*, lagging, waited=0.0):
    """Places among the buyers, as they became dirty, of those whose views are written first in half a second."""
    worker, held, views, shop = shop_of_buyers()
    ids = [f"c{number}" for number in range(BUYERS)]
    for who in ids:
        held.asked[held.rows.index[who]] = None
    writer = worker.memory.views
    views.seconds += 1_000
    for row in held.rows.index.values():
        held.dirty[row] = (held.seq, views.seconds - waited)
    writer.observe([held])
    writer.write({held.number: held}, worker.memory.learner.model, worker.clock.now, 0.5, lagging=lagging)
    worker.close()
    places = {shop.keys.customer(who): place for place, who in enumerate(ids)}
    return [places[key] for key in views.written[0]]


def test_the_newest_come_first_and_those_who_waited_longest_are_not_forgotten():
    written = first_piece(lagging=False)
    assert len(written) < BUYERS
    longest = len(written) // 4
    assert sorted(written) == [*range(longest), *range(BUYERS - len(written) + longest, BUYERS)]


def test_while_events_wait_only_the_newest_are_written():
    written = first_piece(lagging=True)
    assert sorted(written) == [*range(BUYERS - len(written), BUYERS)]


def test_while_events_wait_those_who_have_waited_for_too_long_come_first():
    written = first_piece(lagging=True, waited=60.0)
    assert sorted(written) == [*range(len(written))]


def test_views_that_nobody_asked_for_get_their_share_of_several_steps():
    worker, held, views, _ = shop_of_buyers()
    rows = list(held.rows.index.values())
    writer = worker.memory.views
    for row in rows:
        held.dirty[row] = (held.seq, views.seconds)
    batches = []
    for _ in range(12):
        held.asked[rows[0]] = None
        writer.write({held.number: held}, worker.memory.learner.model, worker.clock.now, 0.5)
        batches.append(len(views.written))
        views.written.clear()
    worker.close()
    # A batch takes a second, so after each one their share of ten steps is used up; who is asked for is never kept.
    assert batches == [2, *[1] * 9, 2, 1]


class LateRefusal(RecordingViews):
    """Refuses what was begun when its end is waited for, once it is told to."""

    refuses = False

    def begin_set_many(self, views, ttl_ms):
        def refuse():
            self.refuses = False
            raise ViewsUnavailableError("refused")

        return refuse if self.refuses else super().begin_set_many(views, ttl_ms)


def test_views_that_turn_out_not_to_be_written_wait_as_long_as_they_did():
    worker, held, views, shop = shop_of_buyers(LateRefusal())
    rows = list(held.rows.index.values())
    for place, row in enumerate(rows):
        held.dirty[row] = (held.seq, views.seconds - 100 + place / 1_000)
        held.asked[row] = None
    dirty = dict(held.dirty)
    views.refuses = True
    with pytest.raises(ViewsUnavailableError):
        worker.memory.views.write({held.number: held}, worker.memory.learner.model, worker.clock.now, 0.5)
    assert list(held.dirty.items()) == list(dirty.items()), "the oldest comes first"
    assert held.asked.keys() == dirty.keys()
    before = worker.memory.views.figures.written
    worker.memory.views.write({held.number: held}, worker.memory.learner.model, worker.clock.now, 3_600.0)
    assert not held.dirty
    assert not held.asked
    assert worker.memory.views.figures.written - before == len(rows)
    assert all(shop.views.get_many([shop.keys.customer(f"c{number}") for number in range(BUYERS)]))
    worker.close()


def test_events_that_are_read_already_are_a_lag_as_those_on_the_log_are():
    """With steps of 100 events, 6,000 are more than one more step takes and 5,000, until 5,100 are left."""
    shop = InProcess(partitions=1, batch_events=100)
    shop.publish(*(json.dumps(purchase_event(number)).encode() for number in range(6_000)))
    worker = shop.worker()
    write, lagging = worker.memory.views.write, {}

    def note_and_write(*args, **how):
        lagging.setdefault(6_000 - worker.figures.records, how["lagging"])
        write(*args, **how)

    worker.memory.views.write = note_and_write
    shop.run(worker)
    worker.close()
    lagging.pop(6_000)  # before the first is read
    assert {True, False} == set(lagging.values())
    assert lagging == {left: left > 5_100 for left in lagging}
