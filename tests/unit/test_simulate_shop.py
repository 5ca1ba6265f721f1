"""The synthetic shop: the same settings give the same bytes, its events keep the contract, its truth can be found."""

import hashlib
import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from contracts.events import encode_event, parse_event
from contracts.times import DAY, SECOND, to_micros
from producer.customers import TYPES
from producer.shop import MAX_DELAY, Shop, ShopError, ShopSettings

NOW = 1_770_000_000 * SECOND
REPOSITORY = Path(__file__).parents[2]


def settings(**changes):
    return ShopSettings(**({"now": NOW, "customers": 300} | changes))


def stream(shop, live=300):
    """All of the history, then some live events, a second apart."""
    clock = iter(range(NOW, NOW + 10**6 * SECOND, SECOND))
    return [*shop.history(), *islice(shop.live(lambda: next(clock)), live)]


def digest(**changes):
    found = hashlib.sha256()
    for message in stream(Shop(settings(**changes))):
        found.update(message.key + message.value)
    return found.hexdigest()


# The same, for a process of its own, which need not import what tests import.
DIGEST = f"""
import hashlib
from itertools import islice
from producer.shop import Shop, ShopSettings

clock = iter(range({NOW}, {NOW + 10**6 * SECOND}, {SECOND}))
shop = Shop(ShopSettings(now={NOW}, customers=300))
found = hashlib.sha256()
for message in [*shop.history(), *islice(shop.live(lambda: next(clock)), 300)]:
    found.update(message.key + message.value)
print(found.hexdigest())
"""


@pytest.fixture(scope="module")
def messages():
    return list(Shop(settings()).history())


@pytest.fixture(scope="module")
def events(messages):
    return [parse_event(message.value) for message in messages]


def test_the_same_settings_give_the_same_bytes_in_any_process():
    for hash_seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == digest()
    assert digest(seed=2) != digest()


def test_every_event_keeps_the_contract(messages, events):
    for message, event in zip(messages, events, strict=True):
        assert encode_event(event) == message.value
        assert message == (to_micros(event.occurred_at), event.event_id, event.customer_id.encode(), message.value)
    assert {event.type for event in events} == {"purchase", "return", "profile"}


def test_history_lies_within_its_days(messages):
    times = [message.occurred_at for message in messages]
    assert min(times) >= NOW - 365 * DAY
    assert max(times) < NOW


def test_without_disorder_events_come_in_order_and_once():
    quiet = [*Shop(settings(late_share=0.0, repeat_share=0.0)).history()]
    times = [message.occurred_at for message in quiet]
    assert times == sorted(times)
    assert len({message.event_id for message in quiet}) == len(quiet)


def test_some_events_are_late_and_some_come_twice_always_the_same_bytes(messages):
    bytes_of = defaultdict(set)
    for message in messages:
        bytes_of[message.event_id].add(message.value)
    assert {len(values) for values in bytes_of.values()} == {1}
    assert 0.005 < 1 - len(bytes_of) / len(messages) < 0.015
    newest = 0
    behind = []
    for message in messages:
        newest = max(newest, message.occurred_at)
        behind.append(newest - message.occurred_at)
    assert 0.01 < np.mean(np.array(behind) > 0) < 0.05
    assert max(behind) < 2 * MAX_DELAY


def test_what_comes_back_was_bought_before_at_the_same_price(events):
    bought = {}
    for event in events:
        if event.type == "purchase":
            bought[event.order_id] = event
    returns = [event for event in events if event.type == "return"]
    assert 0.03 < len(returns) / len(bought) < 0.09
    for event in returns:
        order = bought[event.order_id]
        (line,) = event.lines
        assert event.customer_id == order.customer_id
        assert event.occurred_at > order.occurred_at
        assert any(
            line.item_id == sold.item_id and line.unit_price == sold.unit_price and line.quantity <= sold.quantity
            for sold in order.lines
        )


def test_everybody_who_buys_has_one_profile_not_after_the_first_order(events):
    first = {}
    profiles = {}
    for event in events:
        if event.type == "purchase":
            first[event.customer_id] = min(first.get(event.customer_id, event.occurred_at), event.occurred_at)
        elif event.type == "profile":
            assert profiles.setdefault(event.customer_id, event) == event
    assert profiles.keys() == first.keys()
    for customer, profile in profiles.items():
        assert profile.occurred_at == first[customer]
        assert profile.attributes["customer_since"] == first[customer].date().isoformat()


def test_people_buy_by_day_hour_and_season():
    orders = [
        parse_event(message.value).occurred_at
        for message in Shop(settings(customers=600, history_days=730, late_share=0.0)).history()
        if b'"type":"purchase"' in message.value
    ]
    weekdays = Counter(moment.weekday() for moment in orders)
    hours = Counter(moment.hour for moment in orders)
    assert weekdays[6] < 0.8 * weekdays[1]
    assert hours[3] < 0.2 * hours[12]


def test_popularity_is_skewed_and_types_differ_in_taste(events):
    shop = Shop(settings())
    by_type = defaultdict(Counter)
    for event in events:
        if event.type == "purchase":
            by_type[shop.type_of(event.customer_id)].update(line.item_id.split("-")[0] for line in event.lines)
    items = Counter(line.item_id for event in events if event.type == "purchase" for line in event.lines)
    top = sum(count for _, count in items.most_common(len(items) // 10))
    assert top > 0.25 * items.total()
    favourites = {name: categories.most_common(1)[0][0] for name, categories in by_type.items()}
    assert len(set(favourites.values())) > 1


def test_live_events_are_stamped_by_the_clock_never_ahead_of_it():
    shop = Shop(settings(history_days=30))
    known = {message.key for message in shop.history()}
    told = []

    def clock():
        told.append(NOW + len(told) * SECOND)
        return told[-1]

    ages = []
    for message in islice(shop.live(clock), 3_000):
        ages.append(told[-1] - message.occurred_at)
        known.add(message.key)
    assert min(ages) >= 0
    assert np.median(ages) == 0
    assert max(ages) > 0
    newcomers = [key.decode() for key in known if int(key[1:]) >= 300]
    assert newcomers
    assert {shop.type_of(customer) for customer in newcomers} == {"newcomer"}


@pytest.mark.parametrize("seed", [1, 2])
def test_hidden_types_can_be_found_within_20_000_events(seed):
    shop = Shop(ShopSettings(now=NOW, seed=seed))
    last, orders, spend, values, seen = {}, defaultdict(float), defaultdict(float), defaultdict(list), set()
    for message in islice(shop.history(), 20_000):
        if message.event_id in seen:
            continue
        seen.add(message.event_id)
        event = parse_event(message.value)
        if event.type == "profile":
            continue
        customer = event.customer_id
        weight = 2.0 ** (-(NOW - message.occurred_at) / (365 * DAY))
        amount = sum(line.quantity * line.unit_price for line in event.lines)
        if event.type == "purchase":
            last[customer] = max(last.get(customer, 0), message.occurred_at)
            orders[customer] += weight
            values[customer].append(amount)
        spend[customer] += weight * (amount if event.type == "purchase" else -amount)
    median = np.median([np.mean(of_customer) for of_customer in values.values()])
    X = np.array(
        [
            (
                np.log1p((NOW - last[customer]) / DAY / 30),
                np.log1p(orders[customer]),
                np.log1p(max(0.0, spend[customer]) / median),
            )
            for customer in sorted(last)
        ]
    )
    found = KMeans(len(TYPES), n_init=10, random_state=0).fit_predict((X - X.mean(axis=0)) / X.std(axis=0))
    truth = [shop.type_of(customer) for customer in sorted(last)]
    assert set(truth) == {kind.name for kind in TYPES}
    assert adjusted_rand_score(truth, found) >= 0.9


@pytest.mark.parametrize("changes", [{"customers": 0}, {"items": 0}, {"history_days": -1}, {"late_share": 1.5}])
def test_a_shop_that_cannot_be(changes):
    with pytest.raises(ShopError):
        settings(**changes)


def test_types_change_when_told_to_and_not_before():
    regular = next(kind for kind in TYPES if kind.name == "regular")
    at = NOW - 100 * DAY
    grown = replace(regular, quantity=(60, 120), lines=6.0, gap_days=3.0)
    changed = Shop(settings(change_at=at, changed=(grown,), late_share=0.0, repeat_share=0.0))
    same = Shop(settings(late_share=0.0, repeat_share=0.0))
    midnight = -(-at // DAY) * DAY
    before, after = [], defaultdict(list)
    for message in changed.history():
        if message.occurred_at < midnight:
            before.append(message)
        else:
            after[changed.type_of(message.key.decode())].append(parse_event(message.value))
    assert before == [message for message in same.history() if message.occurred_at < midnight]
    quantities = {
        name: np.mean([line.quantity for event in events if event.type == "purchase" for line in event.lines])
        for name, events in after.items()
    }
    assert quantities["regular"] > 60
    assert quantities["newcomer"] <= 2
    customers = len({event.customer_id for event in after["regular"]})
    orders = sum(event.type == "purchase" for event in after["regular"])
    assert 100 / 4 < orders / customers < 100 / 2


@pytest.mark.parametrize(
    "changes",
    [
        {"change_at": NOW},
        {"changed": (TYPES[0],)},
        {"change_at": NOW, "changed": (replace(TYPES[0], name="nobody"),)},
        {"change_at": NOW, "changed": (replace(TYPES[0], quantity=(3, 1)),)},
    ],
)
def test_a_change_that_cannot_be(changes):
    with pytest.raises(ShopError):
        settings(**changes)
