"""Orders of guests count for items and for revenue, and make no customer."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.forecast_sample import gather_buyers
from consumer.item_sample import sampled_history
from consumer.sample import sample_columns
from contracts.documents import NO_SEGMENT
from contracts.events import Erase, Line, Purchase, Return
from contracts.guests import GUEST_PREFIX, guest_id, is_guest
from contracts.times import DAY, EPOCH
from dashboard.pages.data import guests as told_guests
from livesegments.records import read_records
from tests.in_process import START, InProcess, comparable, fixed_model, popularity_of, sums_of


def order(number, who, day, *items, kind=Purchase):
    return kind(
        event_id=f"{number}:{kind.__name__}",
        customer_id=who,
        occurred_at=EPOCH + timedelta(microseconds=START + day * DAY),
        order_id=str(number),
        lines=tuple(Line(item_id=item, quantity=1, unit_price=10.0) for item in items),
        currency="GBP",
    )


def customers(shop):
    return {who: row for who, row in shop.rows().items() if not is_guest(who)}


orders = st.lists(
    st.tuples(st.sampled_from(["ann", "bob", None, None]), st.integers(0, 40), st.sampled_from("xyz"), st.booleans()),
    min_size=1,
    max_size=20,
)


@settings(max_examples=12, deadline=None)
@given(orders, st.booleans())
def test_customers_are_as_if_there_were_no_guests(stream, with_model):
    told = [
        order(number, who or guest_id(str(number)), day, item, kind=Return if back else Purchase)
        for number, (who, day, item, back) in enumerate(sorted(stream, key=lambda one: one[1]))
    ]
    shops = []
    for some in (told, [event for event in told if not is_guest(event.customer_id)]):
        shop = InProcess(partitions=2)
        if with_model:
            shop.adopt(fixed_model())
        shop.publish(*some)
        worker = shop.run(shop.worker())
        shops.append((shop, worker))
    (mixed, worker), (pure, alone) = shops
    names = ("orders", "returns", "spend", "refunds", "first_at", "last_at", "lines")
    assert comparable(customers(mixed), names) == comparable(pure.rows(), names)
    assert worker.memory.store.customers == len(pure.rows())
    assert {row["segment"] for who, row in mixed.rows().items() if is_guest(who)} <= {NO_SEGMENT}
    if with_model:
        newest = max(event.occurred_at for event in told)
        if newest == max((e.occurred_at for e in told if not is_guest(e.customer_id)), default=None):
            assert comparable(customers(mixed), ("segment",)) == comparable(pure.rows(), ("segment",))
            assert (sums_of(worker)[..., 0].sum(), len(mixed.changes())) == (
                sums_of(alone)[..., 0].sum(),
                len(pure.changes()),
            )
    assert not any(is_guest(one["customer_id"]) for one in mixed.changes())
    for event in told:
        there = mixed.reader().get(event.customer_id).known
        assert there is not is_guest(event.customer_id)
    for one in (worker, alone):
        one.close()


@pytest.fixture
def shop():
    made = InProcess(partitions=2)
    made.publish(
        order(1, "ann", 0, "tea"),
        order(2, guest_id("2"), 1, "tea", "cup"),
        order(3, guest_id("3"), 2, "cup", "pot"),
        order(4, "ann", 3, "tea"),
    )
    return made


def listed(shop):
    return shop.reader().segments()


def test_they_count_for_items_and_revenue(shop):
    worker = shop.run(shop.worker())
    found = popularity_of(worker)
    assert sum(amount for (_, item), amount in found.items() if item == "cup") > 0
    items = worker.memory.item_sums.items
    history = sampled_history(worker.memory.store, shop.state, worker.memory.item_sums, customers=1, partitions=2)
    bought = {(int(who), items.texts.ids[item]) for who, item in zip(history.customers, history.items, strict=True)}
    assert sorted(item for _, item in bought) == ["cup", "cup", "pot", "tea", "tea"]
    assert len({who for who, _ in bought}) == 3
    told = listed(shop)
    assert (told.guest_orders, told.guest_net_spend, told.guest_share_of_revenue) == (2, 40.0, 0.6667)
    assert told_guests(told) == "2 orders are of guests: 67 % of revenue, less what came back." or "67" in told_guests(
        told
    )
    assert told_guests(None) == "No order of a guest has counted so far."
    assert sum(one.size for one in told.segments) == 1
    worker.close()


@pytest.mark.parametrize("again", [False, True])
def test_nobody_looks_at_them_where_customers_are_looked_at(shop, again):
    worker = shop.run(shop.worker())
    if again:
        worker.close()
        worker = shop.run(shop.worker())
    store, state = worker.memory.store, shop.state
    assert (len(store), store.customers) == (3, 1)
    assert len(sample_columns(store, state, 1, 100, 2).header) == 1
    assert [one for records in read_records(state, range(2)) for one in records.customer_ids] == ["ann"]
    (buyers,) = [found for found in gather_buyers(store, state, 1, 2) if found is not None]
    assert len(buyers.first_at) == 1
    worker.close()
    # Without the rows in memory they are read from the state.
    empty = InProcess(partitions=2).worker()
    assert len(sample_columns(empty.memory.store, state, 1, 100, 2).header) == 1
    (buyers,) = [found for found in gather_buyers(empty.memory.store, state, 1, 2) if found is not None]
    assert len(buyers.first_at) == 1
    empty.close()


def test_views_are_done_although_guests_have_none(shop):
    shop.run()
    shop.adopt(fixed_model())
    shop.publish(order(5, guest_id("5"), 4, "tea"))
    later = shop.run(shop.worker())
    assert not later.memory.views.pending(later.memory.held.values())
    assert not any(held.dirty for held in later.memory.held.values())
    assert sums_of(later)[..., 0].sum() == 1
    assert not shop.reader().get(guest_id("5")).known
    later.close()


def test_a_guest_can_be_erased_and_ordered_for_again(shop):
    shop.publish(
        Erase(event_id="e", customer_id=guest_id("2"), occurred_at=EPOCH + timedelta(microseconds=START + 5 * DAY))
    )
    shop.run()
    assert guest_id("2") not in shop.rows()
    assert listed(shop).guest_orders == 1


def test_ids_are_within_the_limits_of_the_contract():
    assert guest_id("x" * 122) == GUEST_PREFIX + "x" * 122
    long = guest_id("x" * 123)
    assert len(long) <= 128
    assert is_guest(long)
    assert not is_guest("Guest:1")
