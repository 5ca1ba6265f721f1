"""Customers silent for long are forgotten by events on the log: once, in order, and nobody who is not silent."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.forgetting import RATE, Silent
from consumer.memory_state import MemoryState
from contracts.events import Erase, Interaction, Line, Profile, Purchase, encode_event, parse_event
from contracts.partitioning import partition_of
from contracts.times import DAY, EPOCH, HOUR
from recommender.store import MemoryViews
from tests.in_process import LOG_TIME, START, InProcess, comparable, step_until

IDLE = 100 * DAY


def purchase(event_id, who, at):
    return Purchase(
        event_id=event_id,
        customer_id=who,
        occurred_at=EPOCH + timedelta(microseconds=at),
        order_id=event_id,
        lines=(Line(item_id="tea", quantity=1, unit_price=2.5),),
        currency="GBP",
    )


def profile(event_id, who, at):
    when = EPOCH + timedelta(microseconds=at)
    return Profile(event_id=event_id, customer_id=who, occurred_at=when, attributes={"age": 40})


def shown(event_id, who, at):
    when = EPOCH + timedelta(microseconds=at)
    return Interaction(event_id=event_id, customer_id=who, occurred_at=when, kind="shown", items=("tea",))


def erasures(shop) -> list[Erase]:
    return [event for value in shop.all_events() if isinstance(event := parse_event(value), Erase)]


@pytest.fixture
def shop():
    return InProcess(forget_idle=IDLE)


def test_who_is_silent_is_forgotten_and_nobody_else(shop):
    shop.publish(purchase("1", "ann", START), purchase("2", "bob", START), purchase("3", "cid", START + IDLE))
    shop.publish(profile("4", "bob", START + 1))
    worker = shop.run()
    assert set(shop.rows()) == {"bob", "cid"}, "as of cid's purchase bob has been silent for a microsecond too little"
    assert worker.figures.events == {"purchase": 3, "profile": 1, "erase": 1}
    assert shop.views.get(shop.keys.customer("ann")) is None
    assert shop.views.get(shop.keys.customer("bob")) is not None
    [event] = erasures(shop)
    assert (event.customer_id, event.occurred_at, event.unless_newer) == (
        "ann",
        EPOCH + timedelta(microseconds=START),
        True,
    )


@pytest.mark.parametrize("kind", [purchase, profile, shown])
def test_any_event_is_a_sign_of_life(shop, kind):
    shop.publish(purchase("1", "ann", START), kind("2", "ann", START + DAY), purchase("3", "bob", START + IDLE))
    shop.run()
    assert set(shop.rows()) == {"ann", "bob"}


def test_nobody_is_forgotten_unless_it_is_set():
    shop = InProcess()
    shop.publish(purchase("1", "ann", START), purchase("2", "bob", START + 3_000 * DAY))
    shop.run()
    assert set(shop.rows()) == {"ann", "bob"}
    assert erasures(shop) == []


def test_what_came_before_the_erasure_on_the_log_makes_it_void(shop):
    """The worker did not know of it when it published: the event itself says what it is about."""
    erase = Silent(0, "ann", START).erasure()
    shop.publish(purchase("1", "ann", START), purchase("2", "ann", START + DAY), erase)
    worker = shop.run()
    assert shop.rows()["ann"]["orders"] == 2
    assert worker.figures.ignored == {"active": 1}


def test_what_comes_after_the_erasure_begins_anew(shop):
    erase = Silent(0, "ann", START).erasure()
    shop.publish(purchase("1", "ann", START), erase, purchase("2", "ann", START + DAY))
    shop.publish(purchase("1", "ann", START), erase)
    worker = shop.run()
    assert (shop.rows()["ann"]["orders"], worker.figures.ignored) == (1, {"erased": 1, "repeated": 1})


def test_two_owners_say_the_same(shop):
    """A worker that publishes and ends before it reads: the next one publishes the same bytes, and they count once."""
    shop.publish(purchase("1", "ann", START), purchase("2", "bob", START + IDLE))
    first = shop.worker()
    step_until(first, lambda: erasures(shop))
    first.close()
    [event] = erasures(shop)
    shop.publish(event)
    worker = shop.run()
    assert set(shop.rows()) == {"bob"}
    total = worker.figures.events["erase"] + first.figures.events["erase"]
    assert total == 1
    assert encode_event(event) == encode_event(Silent(0, "ann", START).erasure())


def test_a_replay_from_the_start_resurrects_nobody(shop):
    """Into a fresh state, by a worker that forgets and by one that does not."""
    shop.publish(purchase("1", "ann", START), purchase("2", "bob", START + IDLE), purchase("3", "cid", START + DAY))
    shop.publish(Erase(event_id="x", customer_id="cid", occurred_at=EPOCH + timedelta(microseconds=START + 2 * DAY)))
    shop.run()
    rows = shop.rows()
    assert set(rows) == {"bob"}
    on_log = len(shop.all_events())
    for again in (IDLE, 0):
        shop.state, shop.views = MemoryState(), MemoryViews(lambda: LOG_TIME)
        shop.run(shop.worker(group=f"again-{again}", forget_idle=again))
        assert comparable(shop.rows()) == comparable(rows)
        assert shop.views.get(shop.keys.customer("ann")) is None
        assert shop.views.get(shop.keys.customer("cid")) is None
    assert len(set(shop.all_events())) == on_log, "what was published again is the same, byte by byte"


def test_a_silent_feed_forgets_nobody(shop):
    """By the wall clock: then it is the feed that is broken, until events come again."""
    now = START + DAY
    shop.log_time = START
    shop.publish(purchase("1", "ann", START), purchase("2", "bob", START))
    seconds = [0.0]
    worker = shop.worker(clock="wall", wall=lambda: now, monotonic=lambda: seconds[0])
    step_until(worker, lambda: set(shop.rows()) == {"ann", "bob"})
    now = START + 2 * IDLE
    for _ in range(50):
        seconds[0] += 1
        worker.step(0.0)
    assert worker.memory.learner.quiet
    assert erasures(shop) == []
    shop.log_time = now
    shop.publish(purchase("3", "bob", now))

    def one_more() -> bool:
        seconds[0] += 1
        return set(shop.rows()) == {"bob"}

    step_until(worker, one_more)
    assert shop.rows()["bob"]["orders"] == 2
    worker.close()


def test_a_clock_that_jumps_ahead_forgets_nobody(shop):
    """Not in the very step in which it does either, where that goes on with a sweep begun before."""
    now = START + DAY
    shop.log_time = START
    shop.publish(*(purchase(f"{n}", f"c{n}", START) for n in range(20)))
    worker = shop.worker(clock="wall", wall=lambda: now, monotonic=lambda: 0.0)
    step_until(worker, lambda: len(shop.rows()) == 20 and worker.memory.learner.swept_at is not None)
    for _ in range(3):
        worker.memory.learner.begin_sweep(now)
        now = START + 4 * IDLE
        worker.step(0.0)
        now = START + 2 * DAY
        worker.step(0.0)
    worker.close()
    assert erasures(shop) == []


def test_whom_a_wrong_clock_found_silent_is_not_forgotten_once_it_is_right(shop):
    """The look is by one clock, the erasure by another; and who looked in the future looks again in time."""
    now, seconds = START + DAY, [0.0]
    shop.publish(*(purchase(f"{n}", f"c{n}", START) for n in range(int(3 * RATE))))
    worker = shop.worker(clock="wall", wall=lambda: now, monotonic=lambda: seconds[0])
    step_until(worker, lambda: len(shop.rows()) == 3 * RATE)

    def forgotten(at: int, *, trusted: bool = True) -> int:
        nonlocal now
        now = at
        seconds[0] += 60
        worker._forgetting.forget(worker.memory.held, worker.clock, took=False, trusted=trusted)
        return len(erasures(shop))

    assert forgotten(START + 2 * IDLE) == RATE
    assert forgotten(START + 2 * IDLE, trusted=False) == RATE
    assert not worker._forgetting._waiting
    assert forgotten(START + 2 * DAY) == RATE
    assert forgotten(START + 2 * IDLE) == 2 * RATE
    assert forgotten(START + 3 * DAY) == 2 * RATE
    assert forgotten(START + IDLE) == 3 * RATE, "by now they are silent"
    worker.close()


def test_they_go_a_few_at_a_time(shop):
    many = int(3 * RATE)
    shop.publish(*(purchase(f"{n}", f"c{n}", START) for n in range(many)), purchase("z", "z", START + IDLE))
    seconds = [0.0]
    worker = shop.worker(monotonic=lambda: seconds[0])
    step_until(worker, lambda: len(erasures(shop)) > 0)
    for _ in range(20):
        worker.step(0.0)
    assert len(erasures(shop)) == RATE
    seconds[0] += 1.0
    for _ in range(20):
        worker.step(0.0)
    assert len(erasures(shop)) == 2 * RATE
    assert not worker.idle

    def later() -> bool:
        seconds[0] += 0.1
        return set(shop.rows()) == {"z"}

    step_until(worker, later)
    worker.close()
    assert len(erasures(shop)) == many


def test_what_the_log_did_not_take_is_published_again(shop):
    shop.publish(purchase("1", "ann", START), purchase("2", "bob", START + IDLE))
    seconds = [0.0]
    worker = shop.worker(monotonic=lambda: seconds[0])
    append = worker._forgetting._writer.append
    refused = []

    def failing(*arguments, **options):
        future = append("nowhere", *arguments[1:], **options)
        refused.append(future.exception())
        return future

    worker._forgetting._writer = type("Failing", (), {"append": staticmethod(failing)})()
    step_until(worker, lambda: refused)
    worker._forgetting._writer = type("Works", (), {"append": staticmethod(append)})()

    def later() -> bool:
        seconds[0] += 1.0
        return set(shop.rows()) == {"bob"}

    step_until(worker, later)
    worker.close()
    assert len(refused) == 1
    assert refused[0] is not None
    assert len(erasures(shop)) == 1


streams = st.lists(
    st.tuples(
        st.sampled_from([purchase, profile, shown]), st.sampled_from(["ann", "bob", "cid"]), st.integers(0, 400 * 24)
    ),
    max_size=12,
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams, st.integers(1, 30), st.booleans())
def test_whoever_is_silent_in_the_end_is_gone(drawn, batch, restart):
    """Whatever the order and the batches: rows are of those whose newest event is younger than the silence."""
    shop = InProcess(forget_idle=IDLE, batch_events=batch)
    events = [kind(f"e{n}", who, START + hours * HOUR) for n, (kind, who, hours) in enumerate(drawn)]
    half = len(events) // 2 if restart else 0
    shop.publish(*events[:half])
    if half:
        shop.run()
    shop.publish(*events[half:])
    worker = shop.run()
    clock = worker.clock
    rows = shop.rows()
    assert all(row["seen_at"] > clock.now - IDLE for row in rows.values())
    newest = {one.customer_id: one.occurred_at for one in sorted(events, key=lambda one: one.occurred_at)}
    for who, at in newest.items():
        if at > EPOCH + timedelta(microseconds=clock.now - IDLE):
            assert who in rows, "somebody was forgotten who was not silent"
    assert all(event.unless_newer for event in erasures(shop))


def test_the_partition_of_an_erasure_is_that_of_its_customer(shop):
    for who in ("ann", "bob", "cid", "dot"):
        shop.publish(purchase(who, who, START))
    shop.publish(purchase("z", "z", START + IDLE))
    worker = shop.run()
    assert worker.figures.rerouted == 0
    for batch in shop.logs.read_all(shop.names.events):
        for value in batch.values:
            assert partition_of(parse_event(value).customer_id, shop.partitions) == batch.partition
