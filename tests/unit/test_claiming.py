"""A worker takes a partition while the state fails in between."""

import pytest

from consumer.memory_state import MemoryState
from consumer.state import StateUnavailableError
from tests.in_process import InProcess
from tests.unit.test_forecasts_in_worker import order


class FailsOnce(MemoryState):
    """One method has no answer the first time that it is called once `armed`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.armed = False
        answer = getattr(self, name)

        def fails(*args: object) -> object:
            if self.armed:
                self.armed = False
                raise StateUnavailableError("gone for a moment")
            return answer(*args)

        setattr(self, name, fails)


@pytest.mark.parametrize("method", ["meta", "claim", "keep", "row_count", "rows"])
def test_a_partition_is_claimed_again_where_the_state_failed(method):
    shop = InProcess(partitions=2, state=FailsOnce(method))
    shop.publish(*(order(f"c{number}", number * 10**9, 5.0) for number in range(20)))
    shop.run()
    before = {partition: shop.state.meta(partition).claims for partition in range(2)}
    shop.state.armed = True
    worker = shop.worker()
    while not worker.memory.holds_all:
        worker.step(0.0)
    assert not shop.state.armed
    assert len(worker.memory.store) == 20
    assert all(shop.state.meta(partition).claims > claims for partition, claims in before.items())
    worker.close()
