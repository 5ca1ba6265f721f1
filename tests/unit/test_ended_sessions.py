"""Who has logged out in one process is out in the others, too, and stays so whatever becomes of Redis."""

import contextlib
import threading
import time

import pytest
from structlog.testing import CapturingLogger

from consumer.clock import wall_micros
from consumer.memory_state import MemoryState
from consumer.state import StateUnavailableError
from contracts.times import HOUR
from livesegments.web import ended_sessions
from livesegments.web.ended_sessions import SharedEnds

SECONDS = 60.0
LATER = wall_micros() + HOUR


class Redis(MemoryState):
    """That is away now and then."""

    away = False

    def ended_sessions(self):
        if self.away:
            raise StateUnavailableError("Redis: away")
        return super().ended_sessions()


@pytest.fixture
def state(monkeypatch):
    monkeypatch.setattr(ended_sessions, "LOOK_SECONDS", 0.01)
    return Redis()


@contextlib.contextmanager
def process(state):
    with contextlib.closing(SharedEnds(state)) as ends:
        yield ends


def wait(done):
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def test_a_log_out_here_is_known_here_at_once_there_soon_and_to_whoever_begins_later(state):
    with process(state) as here, process(state) as there:
        here.add("anna", LATER)
        assert here.has("anna")
        assert not here.has("ben")
        wait(lambda: there.has("anna"))
        with process(state) as later:
            assert later.has("anna")


def test_while_redis_is_away_it_holds_here_and_is_told_afterwards(state, monkeypatch):
    log = CapturingLogger()  # capture_logs goes by how logging was set up last, by whatever test came before
    monkeypatch.setattr(ended_sessions, "_log", log)
    with process(state) as here, process(state) as there:
        state.away = True
        here.add("anna", LATER)
        here.add("ben", LATER)
        assert here.has("anna")
        assert not there.has("anna")
        state.away = False
        wait(lambda: there.has("anna") and there.has("ben"))
    assert all(call.method_name == "warning" and call.kwargs["error"] == "Redis: away" for call in log.calls)
    assert 1 <= len(log.calls) <= 2, "each process once, not at each look"


def test_what_a_redis_has_lost_it_is_told_again(state):
    with process(state) as here:
        here.add("anna", LATER)
        state.put_ended_session("anna", None)
        wait(lambda: "anna" in state.ended_sessions())


def test_what_is_over_anyway_is_forgotten(state, monkeypatch):
    state.put_ended_session("old", wall_micros() - 1)
    with process(state) as here:
        assert not here.has("old")
        here.add("anna", LATER)
        assert state.ended_sessions() == {"anna": LATER}
        monkeypatch.setattr(ended_sessions, "wall_micros", lambda: LATER)
        wait(lambda: not here.has("anna"))


def test_of_too_many_those_are_forgotten_that_end_first(state, monkeypatch):
    monkeypatch.setattr(ended_sessions, "KEPT", 3)
    for n in range(5):
        state.put_ended_session(str(n), LATER + n)
    with process(state) as here:
        here.add("anna", LATER)
    assert state.ended_sessions().keys() == {"3", "4", "anna"}
