"""Which step records belong to that come while others are at hand."""

import json

import pytest

from tests.in_process import LOG_TIME, InProcess
from tests.kinds import purchase_event


class Shop:
    """A worker whose log gets one more event after each poll that brings any, until `more` is used up."""

    def __init__(self, **settings):
        self.shop = InProcess(partitions=1, **settings)
        self.more = 0
        self._number = 0
        self._reader = reader = self.shop.logs.reader(self.shop.names.events, self.shop.settings.group)
        self._poll = reader.poll
        reader.poll = self._then_publish
        self.worker = self.shop.worker(reader=reader, wall=lambda: LOG_TIME)
        self.shop.run(self.worker)

    def publish(self, events=1):
        for _ in range(events):
            self._number += 1
            self.shop.publish(json.dumps(purchase_event(self._number)).encode())

    def _then_publish(self, timeout):
        polled = self._poll(timeout)
        if polled.batches and self.more:
            self.more -= 1
            self.publish()
        return polled

    def step(self):
        """How many records a step takes."""
        before = self.worker.figures.records
        self.worker.step(0.1)
        return self.worker.figures.records - before


@pytest.fixture
def shop():
    shop = Shop(clock="wall")
    yield shop
    shop.worker.close()


def test_where_few_are_at_hand_a_step_takes_those_that_came_last(shop):
    shop.publish(8)
    shop.more = 2
    assert shop.step() == 8, "nothing came to the step before: nothing more is waited for"
    assert shop.step() == 2, "one is less than half of eight"
    shop.publish(2)
    shop.more = 1
    assert shop.step() == 2, "as many as the step before had"
    assert [shop.step() for _ in range(3)] == [1, 0, 0], "none is lost and none comes twice"


def test_after_a_silence_the_first_record_waits_for_no_other(shop):
    for _ in range(2):
        shop.publish()
        shop.more = 1
        assert [shop.step() for _ in range(4)] == [1, 1, 0, 0]


def test_by_an_event_clock_records_are_gathered_by_their_own_times():
    shop = Shop(clock="event")
    for _ in range(2):
        shop.publish()
    shop.more = 3
    shop.shop.run(shop.worker)
    assert shop.worker.figures.records == 5
    assert len(shop.shop.rows()) == 5
    shop.worker.close()
