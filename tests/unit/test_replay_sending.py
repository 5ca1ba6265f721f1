"""Events of a table on their way to the log: order, pace, progress, failures."""

import pytest

from logs.base import LogSpec
from logs.memory import MemoryLogs
from producer.deliveries import PublishError
from producer.message import Message
from producer.pacing import SpeedError, Timer, at_rate, at_speed, parse_speed
from producer.sending import TELL_EVERY, send


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

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds

    def timer(self, stop=lambda: False):
        return Timer(stop, self.monotonic, self.sleep)


def test_a_customer_s_events_stay_in_order_in_the_partition_of_their_key(logs):
    assert send((message(n) for n in range(500)), logs.writer(), log="events") == 500
    by_customer = {}
    for batch in logs.read_all("events"):
        for key, value in zip(batch.keys, batch.values, strict=True):
            by_customer.setdefault(key, []).append((batch.partition, int(value)))
    assert sum(map(len, by_customer.values())) == 500
    for seen in by_customer.values():
        assert len({partition for partition, _ in seen}) == 1
        assert [n for _, n in seen] == sorted(n for _, n in seen)


def test_progress_is_told_now_and_then_and_at_the_end(logs):
    told = []
    clock = Clock()

    def slow():
        for n in range(10):
            clock.sleep(TELL_EVERY / 3)
            yield message(n)

    send(
        slow(),
        logs.writer(),
        log="events",
        on_progress=lambda count, at: told.append((count, at)),
        monotonic=clock.monotonic,
    )
    assert told[-1] == (10, 9)
    assert 3 <= len(told) <= 4


def test_a_refused_event_is_raised_by_name(logs):
    events = [message(1), message(2, size=2000), message(3)]
    with pytest.raises(PublishError, match="'e2'") as raised:
        send(iter(events), logs.writer(), log="events")
    assert [failure.event_id for failure in raised.value.failed] == ["e2"]


def test_event_time_passes_at_its_speed():
    clock = Clock()
    hours = [0, 1, 1, 3]
    messages = [message(n, at=1_600_000_000_000_000 + hour * 3_600_000_000) for n, hour in enumerate(hours)]
    seen = [clock.now for _ in at_speed(messages, 3600.0, clock.timer())]
    assert seen == pytest.approx([100.0, 101.0, 101.0, 103.0])
    assert list(at_speed(messages, None, clock.timer())) == messages


def test_a_rate_counts_events_a_second_and_takes_each_when_it_is_due():
    clock = Clock()
    taken = []

    def live():
        for n in range(5):
            taken.append(clock.now)
            yield message(n)

    assert len(list(at_rate(live(), 2.0, clock.timer()))) == 5
    assert taken == pytest.approx([100.0, 100.5, 101.0, 101.5, 102.0])
    with pytest.raises(SpeedError, match="rate 0"):
        next(at_rate(live(), 0.0, clock.timer()))


@pytest.mark.parametrize("paced", [at_speed, at_rate])
def test_a_wait_ends_when_told_to_stop(paced):
    clock = Clock()
    messages = iter([message(0, at=0), message(1, at=10**15)])
    assert len(list(paced(messages, 1e-3, clock.timer(stop=lambda: clock.now > 110)))) == 1
    assert clock.now < 111


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("3600x", 3600.0), ("0.5", 0.5), (" 60X ", 60.0)])
def test_speeds(text, speed):
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["fast", "0x", "-1", ""])
def test_no_speeds(text):
    with pytest.raises(SpeedError, match="3600x"):
        parse_speed(text)
