"""EventPublisher: what reaches the log is the contract, and what does not is told."""

import socket
import threading
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from contracts.events import Line, Purchase, parse_event
from contracts.keys import LogNames
from contracts.partitioning import partition_of
from logs.base import LogSpec, LogUnavailableError
from logs.memory import MemoryLogs
from logs.open import open_logs
from producer.deliveries import PublishError
from producer.publisher import EventPublisher, InvalidEventError, PublisherClosedError
from recommender.answers import Item, Recommendations
from tests.servers.secured import kafka_security_of_tests

EVENTS = LogNames().events
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
LINE = {"item_id": "85123A", "quantity": 6, "unit_price": 2.55}
PURCHASE = {
    "type": "purchase",
    "event_id": "e1",
    "customer_id": "17850",
    "occurred_at": "2026-05-04T12:00:00Z",
    "order_id": "1",
    "lines": [LINE],
    "currency": "GBP",
}


@pytest.fixture
def logs():
    return MemoryLogs(now=lambda: 0)


@pytest.fixture
def unused_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def on_log(logs, name=EVENTS):
    return [
        (batch.partition, key, parse_event(value))
        for batch in logs.read_all(name)
        for key, value in zip(batch.keys, batch.values, strict=True)
    ]


def test_the_log_is_created_and_events_lie_where_their_customer_belongs(logs):
    with EventPublisher(logs, partitions=5) as publisher:
        for n in range(50):
            publisher.publish({**PURCHASE, "event_id": f"e{n}", "customer_id": f"Kundin {n} ü"})
    assert logs.describe(EVENTS).partitions == 5
    seen = on_log(logs)
    assert len(seen) == 50
    for partition, key, event in seen:
        assert partition == partition_of(event.customer_id, 5)
        assert key == event.customer_id.encode()


def test_a_log_that_is_there_is_left_as_it_is(logs):
    logs.create(LogSpec(EVENTS, partitions=2))
    EventPublisher(logs, partitions=5).close()
    assert logs.describe(EVENTS).partitions == 2


@pytest.mark.parametrize(
    "event",
    [
        Purchase(**{**PURCHASE, "lines": (Line(**LINE),), "occurred_at": NOON}),
        PURCHASE,
        {**PURCHASE, "occurred_at": NOON},
        {**PURCHASE, "occurred_at": NOON.astimezone(timezone(timedelta(hours=2)))},
        {**PURCHASE, "lines": ({**LINE, "unit_price": Decimal("2.55")},)},
        {**PURCHASE, "lines": [Line(**LINE)]},
    ],
)
def test_models_and_mappings_with_times_and_decimals_are_the_same_bytes(logs, event):
    with EventPublisher(logs) as publisher:
        publisher.publish(PURCHASE)
        publisher.publish(event)
    (batch,) = logs.read_all(EVENTS)
    assert batch.values[0] == batch.values[1]


def test_shorthands(logs):
    with EventPublisher(logs, clock=lambda: NOON) as publisher:
        publisher.purchase(customer_id="1", order_id="7", lines=[LINE], currency="GBP")
        publisher.returned(customer_id="1", order_id="7", lines=[LINE], currency="GBP", event_id="7:part 1")
        publisher.profile(customer_id="1", attributes={"age": 30, "marketing_consent": True}, event_id="p")
        publisher.erase(customer_id="1", event_id="x")
    events = [event for _, _, event in on_log(logs)]
    assert [(event.type, event.event_id) for event in events] == [
        ("purchase", "7:purchase"),
        ("return", "7:part 1"),
        ("profile", "p"),
        ("erase", "x"),
    ]
    assert {event.occurred_at for event in events} == {NOON}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"customer_id": ""}, "customer_id: String should have at least 1 character"),
        ({"customer_id": 17850}, "customer_id: Input should be a valid string"),
        ({"occurred_at": "2026-05-04"}, "occurred_at: expected an RFC 3339 time with a zone"),
        ({"occurred_at": datetime(2026, 5, 4)}, "occurred_at: the time needs a zone"),  # noqa: DTZ001
        ({"lines": [{**LINE, "unit_price": Decimal("0.0000001")}]}, "lines.0.unit_price"),
        ({"lines": [{**LINE, "unit_price": Decimal("NaN")}]}, "lines.0.unit_price"),
        ({"lines": []}, "lines"),
        ({"lines": "abc"}, "lines"),
        ({"type": "gift"}, "'gift'"),
        ({"lines": [{**LINE, "item_id": "ü" * 128}] * 5_000}, "bytes; at most 1048576"),
    ],
)
def test_an_invalid_event_says_which_and_why_and_is_not_sent(logs, change, told):
    with EventPublisher(logs) as publisher:
        with pytest.raises(InvalidEventError, match="event 'e1' was not published") as raised:
            publisher.publish({**PURCHASE, **change})
        assert told in str(raised.value)
        assert raised.value.event_id == "e1"
    assert on_log(logs) == []


def test_failed_deliveries_are_raised_by_flush_and_by_close(logs):
    told = []
    logs.create(LogSpec("small", max_message_bytes=300))
    publisher = EventPublisher(logs, log="small", on_error=told.append)
    publisher.publish(PURCHASE)
    future = publisher.publish({**PURCHASE, "event_id": "large", "lines": [LINE] * 10})
    with pytest.raises(PublishError, match="'large'"):
        publisher.flush()
    assert future.exception() is not None
    publisher.flush()
    publisher.publish({**PURCHASE, "event_id": "larger", "lines": [LINE] * 20})
    with pytest.raises(PublishError, match="'larger'"):
        publisher.close()
    assert [(failure.event_id, failure.customer_id) for failure in told] == [("large", "17850"), ("larger", "17850")]
    assert len(on_log(logs, "small")) == 1


def test_leaving_the_block_raises_and_an_error_of_the_block_comes_first(logs):
    logs.create(LogSpec("small", max_message_bytes=10))
    with pytest.raises(PublishError, match="'e1'"), EventPublisher(logs, log="small") as publisher:
        publisher.publish(PURCHASE)
    with pytest.raises(ZeroDivisionError) as raised, EventPublisher(logs, log="small") as publisher:  # noqa: PT012
        publisher.publish(PURCHASE)
        raise ZeroDivisionError
    assert "'e1'" in raised.value.__notes__[0]


def test_a_closed_publisher_says_so(logs):
    publisher = EventPublisher(logs)
    publisher.close()
    publisher.close()
    with pytest.raises(PublisherClosedError, match="'e1'"):
        publisher.publish(PURCHASE)


def test_many_threads_lose_nothing(logs):
    with EventPublisher(logs) as publisher:

        def publish(worker):
            for n in range(200):
                publisher.publish({**PURCHASE, "event_id": f"{worker}-{n}", "customer_id": str(n)})

        threads = [threading.Thread(target=publish, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({event.event_id for _, _, event in on_log(logs)}) == 800


# ---- by URL, on real servers ----


def check_by_url(url, log):
    security = kafka_security_of_tests()
    with EventPublisher(url, security=security, log=log, partitions=3) as publisher:
        futures = [publisher.publish({**PURCHASE, "event_id": f"e{n}", "customer_id": f"c{n}"}) for n in range(100)]
        publisher.flush(timeout=60)
        placed = [future.result(timeout=0) for future in futures]
    logs = open_logs(url, security=security)
    try:
        partitions = logs.describe(log).partitions
        assert [place.partition for place in placed] == [partition_of(f"c{n}", partitions) for n in range(100)]
        assert sorted(event.event_id for _, _, event in on_log(logs, log)) == sorted(f"e{n}" for n in range(100))
    finally:
        logs.close()


def test_by_url_on_redis(one_redis_url, unique):
    check_by_url(one_redis_url, unique)


def test_by_url_on_kafka(kafka_bootstrap, unique):
    check_by_url(f"kafka://{kafka_bootstrap}", unique)


def test_a_server_that_is_not_there_is_said_at_once(unused_port):
    with pytest.raises(LogUnavailableError):
        EventPublisher(f"redis://127.0.0.1:{unused_port}/0")


def test_what_was_shown_and_clicked_goes_onto_the_log_as_the_answer_had_it(logs):
    answer = Recommendations("17850", (Item("black", 0.5, "because:red"), Item("white", 0.25, "popular")))
    with EventPublisher(logs, clock=lambda: NOON) as publisher:
        publisher.shown(customer_id="17850", items=answer.items, source="discover")
        publisher.clicked(customer_id="17850", items=["white"])
    shown, clicked = (event for _, _, event in on_log(logs))
    assert (shown.kind, shown.items, shown.reasons) == ("shown", ("black", "white"), ("because:red", "popular"))
    assert (shown.source, shown.occurred_at) == ("discover", NOON)
    assert (clicked.kind, clicked.items, clicked.reasons) == ("clicked", ("white",), ())
    assert clicked.source == "recommendations"
    assert shown.event_id != clicked.event_id
