"""No failed delivery passes silently, whenever and on whichever thread it fails."""

import threading
from concurrent.futures import Future

import pytest

from logs.base import LogUnavailableError, Placed, RecordTooLargeError
from producer.deliveries import Deliveries, PublishError


def test_failures_are_raised_once_and_named():
    deliveries = Deliveries()
    futures = [Future() for _ in range(8)]
    for n, future in enumerate(futures):
        deliveries.track(f"e{n}", "c", future)
    for future in futures[1:]:
        future.set_exception(RecordTooLargeError("too large"))
    futures[0].set_result(Placed(0, 0))
    with pytest.raises(PublishError, match=r"7 events were not published.*'e1': too large.*and 2 more") as raised:
        deliveries.settle()
    assert [failure.event_id for failure in raised.value.failed] == [f"e{n}" for n in range(1, 8)]
    deliveries.settle()


def test_settling_waits_for_the_last_answer():
    told = []
    deliveries = Deliveries(on_error=told.append)
    future = Future()
    deliveries.track("e", "c", future)
    with pytest.raises(LogUnavailableError, match="1 events are still on their way"):
        deliveries.settle(timeout=0)
    answer = threading.Thread(target=future.set_exception, args=(LogUnavailableError("gone"),))
    answer.start()
    with pytest.raises(PublishError, match="'e': gone"):
        deliveries.settle(timeout=30)
    answer.join()
    assert [failure.event_id for failure in told] == ["e"]


def test_a_cancelled_delivery_failed():
    deliveries = Deliveries()
    future = Future()
    future.cancel()
    deliveries.track("e", "c", future)
    with pytest.raises(PublishError, match="cancelled"):
        deliveries.settle()
