"""What benchmarks of speed put onto the log, and how they count, without a server."""

import argparse
import json

import pytest

from benchmarks import backlog, freshness, scale
from benchmarks.loading import Tally, of_shop, of_table, tally
from benchmarks.purchases import purchases
from contracts.events import Purchase
from contracts.times import DAY
from producer.message import Message

NOW = 1_700_000_000_000_000


def event(customer, at, kind="purchase", lines=((2, 1.5),)):
    value = {
        "type": kind,
        "event_id": f"e-{at}",
        "customer_id": customer,
        "occurred_at": "2011-12-01T00:00:00Z" if at else "2011-11-30T00:00:00Z",
        "lines": [{"item_id": "a", "quantity": quantity, "unit_price": price} for quantity, price in lines],
    }
    return Message(1_322_611_200_000_000 + at * DAY, value["event_id"], customer.encode(), json.dumps(value).encode())


def test_a_table_is_repeated_for_as_many_shops_as_it_takes_and_ends_now():
    messages = list(of_table([event("one", 1), event("two", 0)], 5, NOW))
    assert [message.key for message in messages] == [b"two-0", b"two-1", b"two-2", b"one-0", b"one-1", b"one-2"]
    assert [message.occurred_at for message in messages] == [NOW - DAY] * 3 + [NOW] * 3
    assert len({message.event_id for message in messages}) == 6
    for message in messages:
        assert json.loads(message.value)["customer_id"] == message.key.decode()


def test_what_counters_have_to_come_to():
    messages = [event("one", 1), event("one", 0, lines=((1, 2.0), (3, 1.0))), event("two", 0, "return")]
    assert tally(messages) == Tally(events=3, customers=1, spend=8.0)


def test_a_shop_has_as_many_events_as_are_asked_for():
    assert tally(of_shop(2_000, customers=100)).events == 2_000


def test_purchases_put_together_by_hand_are_valid():
    purchase = Purchase.model_validate_json(purchases()("c7", 7, "new-", 1_700_000_000.25))
    assert (purchase.customer_id, purchase.event_id, purchase.order_id) == ("c7", "new-7", "7")
    assert purchase.occurred_at.timestamp() == 1_700_000_000.25


def test_a_rate_is_a_number_or_a_share_of_the_maximum():
    assert freshness.rate_of("2000")(50_000) == 2_000
    assert freshness.rate_of("70%")(50_000) == 35_000
    for wrong in ("0", "-5%"):
        with pytest.raises(argparse.ArgumentTypeError):
            freshness.rate_of(wrong)


def test_medians_are_of_each_figure():
    assert freshness.medians([{"a": 1, "b": 9}, {"a": 3, "b": 7}, {"a": 2, "b": 8}]) == {"a": 2, "b": 8}


def test_a_line_through_two_sizes():
    less = {"customers": 1_000_000, "load_s": 1.0, "sweep_s": 0.1, "views_s": 1, "worker_mib": 300, "redis_mib": 100}
    more = {"customers": 2_000_000, "load_s": 2.0, "sweep_s": 0.2, "views_s": 2, "worker_mib": 500, "redis_mib": 200}
    line = scale.extrapolated(less, more)
    assert line == {
        "customers": 10_000_000,
        "extrapolated": True,
        "load_s": 10.0,
        "sweep_s": 1.0,
        "views_s": 10.0,
        "worker_mib": 2_100.0,
        "redis_mib": 1_000.0,
    }


def test_a_backlog_is_over_for_rows_before_it_is_for_views():
    looks = [
        backlog.Look(0.0, 0, None, 0.0),
        backlog.Look(1.0, 5_000, 5_000, 0.9),
        backlog.Look(2.0, 9_900, 100, 12.0),
        backlog.Look(3.0, 10_100, 0, 3.0),
        backlog.Look(4.0, 10_200, 0, 0.1),
    ]
    told = backlog.told(looks, 10_000, 100)
    assert told["events_per_s"] == 4_950
    assert (told["rows_up_to_date_s"], told["views_up_to_date_s"], told["views_after_rows_s"]) == (2.0, 4.0, 2.0)
    assert (told["oldest_dirty_view_s"], told["views_10s_behind_until_s"]) == (12.0, 2.0)
    assert backlog.told(looks[:2], 10_000, 100)["rows_up_to_date_s"] is None
