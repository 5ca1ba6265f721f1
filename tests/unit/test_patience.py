"""Whoever is asked whether the worker waits is told the truth, whatever came of the waiting."""

import threading

import pytest

from consumer.patience import Patience, StoppedError
from consumer.state import StateConflictError, StateUnavailableError


@pytest.mark.parametrize("then", [None, StateConflictError("another's"), KeyError("a mistake")])
def test_nothing_is_waited_for_once_the_server_answers(then):
    patience, waited_for = Patience(threading.Event()), []

    def call():
        waited_for.append(patience.waiting_for)
        if len(waited_for) == 1:
            raise StateUnavailableError("gone for a moment")
        if then is not None:
            raise then

    if then is None:
        patience.try_until_done("claim", call)
    else:
        with pytest.raises(type(then)):
            patience.try_until_done("claim", call)
    assert waited_for == [None, "claim"]
    assert patience.waiting_for is None


def test_a_worker_that_is_stopped_waits_for_nothing():
    stopping = threading.Event()
    stopping.set()
    patience = Patience(stopping)

    def call():
        raise StateUnavailableError("gone")

    with pytest.raises(StoppedError):
        patience.try_until_done("claim", call)
    assert patience.waiting_for is None
