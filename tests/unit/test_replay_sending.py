"""Events of a table on their way to the log: order, pace, progress, failures."""

import pytest

from logs.base import LogSpec
from logs.memory import MemoryLogs
from producer.deliveries import PublishError
from producer.message import Message
from producer.pacing import Pace, SpeedError, parse_speed
from producer.replay import PROGRESS_EVERY, replay


def message(n, at=None, size=1):
    customer = f"c{n % 7}"
    return Message(at if at is not None else n, f"e{n}", customer.encode(), f"{n}".encode() * size)


@pytest.fixture
def logs():
    logs = MemoryLogs(now=lambda: 0)
    logs.create(LogSpec("events", partitions=4, max_message_bytes=1000))
    return logs


class Clock:
    """A clock that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def test_a_customer_s_events_stay_in_order_in_the_partition_of_their_key(logs):
    assert replay((message(n) for n in range(500)), logs.writer(), log="events") == 500
    by_customer = {}
    for batch in logs.read_all("events"):
        for key, value in zip(batch.keys, batch.values, strict=True):
            by_customer.setdefault(key, []).append((batch.partition, int(value)))
    assert sum(map(len, by_customer.values())) == 500
    for seen in by_customer.values():
        assert len({partition for partition, _ in seen}) == 1
        assert [n for _, n in seen] == sorted(n for _, n in seen)


def test_progress_tells_of_the_last_event(logs):
    told = []
    sent = replay(
        (message(n) for n in range(PROGRESS_EVERY + 1)),
        logs.writer(),
        log="events",
        on_progress=lambda count, at: told.append((count, at)),
    )
    assert told == [(PROGRESS_EVERY, PROGRESS_EVERY - 1), (sent, PROGRESS_EVERY)]


def test_a_refused_event_is_raised_by_name(logs):
    events = [message(1), message(2, size=2000), message(3)]
    with pytest.raises(PublishError, match="'e2'") as raised:
        replay(iter(events), logs.writer(), log="events")
    assert [failure.event_id for failure in raised.value.failed] == ["e2"]


def test_pace_passes_event_time_at_its_speed(logs):
    clock = Clock()
    hours = [0, 1, 1, 3]
    events = [message(n, at=1_600_000_000_000_000 + hour * 3_600_000_000) for n, hour in enumerate(hours)]
    replay(iter(events), logs.writer(), log="events", pace=Pace(3600.0, clock.monotonic, clock.sleep))
    assert clock.slept == pytest.approx([1.0, 2.0])


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("3600x", 3600.0), ("0.5", 0.5), (" 60X ", 60.0)])
def test_speeds(text, speed):
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["fast", "0x", "-1", ""])
def test_no_speeds(text):
    with pytest.raises(SpeedError, match="3600x"):
        parse_speed(text)
