"""The leader learns forecasts while the state fails in between."""

from collections.abc import Iterator, Sequence

import pytest

from consumer.forecast_leader import read_forecasts
from consumer.memory_state import MemoryState
from consumer.state import StateUnavailableError
from tests.in_process import InProcess, step_until
from tests.unit.test_forecasts_in_worker import SELDOM, order, purchases


class FailsNowAndThen(MemoryState):
    """Every second time that rows are sampled, and once after forecasts were published, there is no answer."""

    def __init__(self) -> None:
        super().__init__()
        self.sampled = 0
        self.published = 0

    def rows(self, partition: int, buckets: Sequence[int] | None = None) -> Iterator[tuple[list[str], list[bytes]]]:
        if buckets is not None:
            self.sampled += 1
            if self.sampled % 2:
                raise StateUnavailableError("gone for a moment")
        return super().rows(partition, buckets)

    def publish_forecast(self, leader: int, version: int, document: bytes, memory: bytes) -> bool:
        done = super().publish_forecast(leader, version, document, memory)
        self.published += 1
        if self.published == 1:
            raise StateUnavailableError("gone for a moment")
        return done


def test_what_fails_in_between_is_done_again_and_nothing_is_forgotten():
    shop = InProcess(partitions=2, state=FailsNowAndThen(), **SELDOM)
    one, other = shop.worker(), shop.worker()
    step_until(one, lambda: len(one.memory.held) == len(other.memory.held) == 1, other)
    events = purchases(customers=60, days=150)
    for begin in range(0, len(events), 60):
        shop.publish(*(order(who, at, price) for at, who, price in events[begin : begin + 60]))
        step_until(one, lambda: one.idle and other.idle, other)
    assert shop.state.sampled > 2
    assert shop.state.published > 2
    document = read_forecasts(shop.state.forecast())
    assert document.all_purchases == len(events)
    assert shop.state.forecast_version() == shop.state.published
    one.close()
    other.close()


@pytest.mark.parametrize("method", ["forecast", "forecast_memory"])
def test_a_new_leader_that_can_not_read_everything_reads_again(method, monkeypatch):
    shop = InProcess(partitions=1, **SELDOM)
    events = purchases(customers=60, days=150)
    shop.publish(*(order(who, at, price) for at, who, price in events[:200]))
    shop.run()
    version = shop.state.forecast_version()
    failures = []
    read = getattr(shop.state, method)

    def fails_at_first():
        if not failures:
            failures.append(method)
            raise StateUnavailableError("gone for a moment")
        return read()

    worker = shop.worker()
    leader = worker._deciding._forecasts
    monkeypatch.setattr(shop.state, method, fails_at_first)
    with pytest.raises(StateUnavailableError):
        leader._take_over(1)
    assert leader._number != 1, "so that it is tried again"
    leader._take_over(1)
    assert leader._version == version > 0
    assert leader._document is not None
    assert leader._memory is not None
    worker.close()
