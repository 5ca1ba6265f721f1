"""G from the sampled rows is HᵀH as plain Python recomputes it from the events, whatever was returned or erased."""

from collections import defaultdict
from datetime import timedelta
from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.catalogue_entry import Entry
from consumer.item_sample import sampled_history
from contracts.catalog import CatalogItem
from contracts.events import Erase, Line, Purchase, Return, parse_event
from contracts.times import DAY, EPOCH
from recommender.co_purchases import co_purchases, purchases
from tests.in_process import START, InProcess
from tests.oracle import Oracle

HALF_LIFE = 90 * DAY
ITEMS = ["tea", "cup", "pot", "postage", "spade"]
NOT_PRODUCTS = {"postage"}

lines = st.lists(st.tuples(st.sampled_from(ITEMS), st.integers(1, 3)), min_size=1, max_size=4)
events = st.lists(
    st.tuples(
        st.sampled_from("abcd"), st.integers(0, 25), st.sampled_from(["buy", "buy", "buy", "give", "erase"]), lines
    ),
    min_size=1,
    max_size=25,
)


def made(number, who, day, kind, bought):
    common = {
        "event_id": f"e{number}",
        "customer_id": who,
        "occurred_at": EPOCH + timedelta(microseconds=START + day * DAY),
    }
    if kind == "erase":
        return Erase(**common)
    order = tuple(Line(item_id=item, quantity=quantity, unit_price=1.0) for item, quantity in bought)
    return (Purchase if kind == "buy" else Return)(**common, order_id=f"o{number}", lines=order, currency="GBP")


def plain_g(oracle, now):
    """G by loops over customers and pairs of items."""
    g = defaultdict(float)
    for row in oracle.rows.values():
        net, weight = defaultdict(int), defaultdict(float)
        for at, _, _, item, quantity in row.lines:
            if item not in NOT_PRODUCTS:
                net[item] += quantity
                if quantity > 0:
                    weight[item] = max(weight[item], 2.0 ** (-(now - at) / HALF_LIFE))
        own = [item for item in net if net[item] > 0 and weight[item] > 0]
        for one, other in product(own, own):
            g[one, other] += weight[one] * weight[other]
    return g


@settings(max_examples=60, deadline=None)
@given(events)
def test_g_equals_what_is_recomputed_from_the_events(stream):
    shop = InProcess(partitions=2)
    told = [made(number, *one) for number, one in enumerate(stream)]
    shop.publish(*told)
    worker = shop.worker()
    shop.run(worker)
    now = START + 60 * DAY
    items, oracle = worker.memory.item_sums.items, Oracle()
    for batch in shop.all_events():
        oracle.apply(parse_event(batch))
    history = sampled_history(worker.memory.store, shop.state, worker.memory.item_sums, customers=4, partitions=2)
    customers = int(history.customers.max(initial=-1)) + 1
    names = items.texts.ids
    found = co_purchases(purchases(history, customers, len(names), now, HALF_LIFE)).toarray()
    expected = plain_g(oracle, now)
    for (i, one), (j, other) in product(enumerate(names), enumerate(names)):
        assert np.isclose(found[i, j], expected.get((one, other), 0.0), rtol=1e-5, atol=1e-9), (one, other)
    worker.close()


def test_what_the_catalogue_calls_no_product_is_not_learnt_and_what_is_out_of_stock_is():
    shop = InProcess()
    worker = shop.worker()
    items = worker.memory.item_sums.items
    items.put("tea", Entry.of(CatalogItem(item_id="tea", recommendable=False)))
    items.put("cup", Entry.of(CatalogItem(item_id="cup", in_stock=False)))
    shop.publish(*(made(n, who, 1, "buy", [("tea", 1), ("cup", 1)]) for n, who in enumerate("ab")))
    shop.run(worker)
    history = sampled_history(worker.memory.store, shop.state, worker.memory.item_sums, customers=2, partitions=2)
    assert {items.texts.ids[item] for item in history.items.tolist()} == {"cup"}
    assert not items.allowed[items.numbers["cup"]]
    worker.close()


def test_partitions_of_other_workers_are_read_from_the_state():
    shop = InProcess(partitions=2)
    shop.publish(*(made(n, who, n % 9, "buy", [("tea", 1), ("cup", 1)]) for n, who in enumerate("abcdefgh")))
    whole = shop.worker()
    shop.run(whole)
    alone = sampled_history(whole.memory.store, shop.state, whole.memory.item_sums, customers=8, partitions=2)
    whole.close()
    nothing_held = shop.worker()
    items = nothing_held.memory.item_sums
    read = sampled_history(nothing_held.memory.store, shop.state, items, customers=8, partitions=2)
    nothing_held.close()
    assert len(read) == len(alone) == 16
    assert sorted(read.at.tolist()) == sorted(alone.at.tolist())
