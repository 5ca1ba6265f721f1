"""Whether anything of a customer is left: found wherever it is put, and not where it only looks like it."""

import json
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from consumer.memory_state import MemoryState
from consumer.patience import Patience
from consumer.ragged import set_attributes
from consumer.redis_state import RedisState
from contracts.documents import DeadLetter
from contracts.keys import Keys
from contracts.times import SECOND, to_micros
from livesegments.app import Deployment, create_logs, open_worker
from livesegments.dead_letters import DeadLetters, Selection
from livesegments.key_contents import KeysUnreadableError, contents
from livesegments.settings import Settings
from livesegments.traces import Sought, verify
from logs.memory import MemoryLogs
from online_model.forecasts.churn import Churn, customer_keys
from online_model.forecasts.churn_features import CHURN_FEATURES
from online_model.forecasts.churn_memory import encode
from producer.publisher import EventPublisher
from recommender.redis_open import open_redis
from recommender.store import MemoryViews, RedisViews

START = datetime(2024, 1, 1, tzinfo=UTC)
NOW = to_micros(START + timedelta(days=400))
ANN = "ann-4711-b"


class Shop:
    """A deployment whose log is in memory."""

    def __init__(self, state, views, prefix, client=None) -> None:
        self.client = client
        self.keys = Keys(prefix)
        settings = Settings(
            clock="event", partitions=3, review_inline=True, figures_interval="100ms", key_prefix=prefix
        )
        self.deployment = Deployment(settings, MemoryLogs(lambda: NOW), state, views)
        create_logs(settings, self.deployment.logs)

    def publish(self, *customers: str, days=0) -> None:
        with EventPublisher(
            self.deployment.logs, partitions=3, clock=lambda: START + timedelta(days=days)
        ) as publisher:
            for who in customers:
                publisher.purchase(
                    customer_id=who,
                    order_id=f"{who}-{days}",
                    lines=[{"item_id": "tea", "quantity": 1, "unit_price": 2.5}],
                    currency="GBP",
                )
                publisher.profile(customer_id=who, attributes={"age": 40})
                publisher.shown(customer_id=who, items=["tea"])

    def erase(self, who: str, days=10) -> None:
        with EventPublisher(self.deployment.logs, partitions=3) as publisher:
            publisher.erase(customer_id=who, occurred_at=START + timedelta(days=days))
        self.work()

    def work(self) -> None:
        with open_worker(self.deployment, Patience(threading.Event())) as worker:
            worker.run(until_idle=0.3)

    def everything(self):
        return [] if self.client is None else contents(self.client, self.keys)

    def verify(self, who: str, *, drop=True, patience=0.0):
        return verify(who, self.deployment, self.everything(), NOW, drop=drop, patience=patience)


@pytest.fixture
def shop(request, redis_url, unique):
    with open_redis(redis_url) as client:
        shop = Shop(RedisState(client, Keys(unique)), RedisViews(client), unique, client)
        shop.publish(ANN, "bob", f"{ANN}-2")
        shop.work()
        yield shop


def test_a_customer_who_is_there_is_found(shop):
    found = shop.verify(ANN)
    assert not found.clean
    assert found.erased_until is None
    assert any(one.startswith("a row in partition") for one in found.left)
    assert "a view" in found.left
    assert any(":rows:" in one for one in found.left)
    assert {one.log: one.records for one in found.logs} == {
        "customer-events": 3,
        "segment-changes": 1,
        "dead-letters": 0,
    }


def test_of_an_erased_customer_nothing_is_left_but_on_logs(shop):
    shop.erase(ANN)
    found = shop.verify(ANN)
    assert found.left == []
    assert found.erased_until == to_micros(START + timedelta(days=10))
    events, changes, letters = found.logs
    assert (events.records, events.until) == (4, "for ever")
    assert (changes.records, changes.newest_at, changes.until) == (1, NOW, "2025-03-06T00:00:00Z")
    assert letters.records == 0
    assert json.dumps(found.as_json())
    others = shop.verify("bob")
    assert not others.clean, "the look at ann is not blind"


def test_a_churn_forecast_that_waits_for_its_outcome_is_a_trace_although_no_id_stands_there(shop):
    state = shop.deployment.state
    shop.erase(ANN)
    churn = Churn()
    churn.begin(NOW, customer_keys([ANN, "bob"]), np.zeros((2, len(CHURN_FEATURES))))
    assert state.amend_forecast(10, state.forecast_version(), encode(churn))
    assert shop.verify(ANN).left == ["a churn forecast whose outcome is awaited: is a worker running that leads?"]
    assert state.amend_forecast(10, state.forecast_version(), b"of another version")
    assert "can not be shown" in shop.verify(ANN).left[0]
    churn.forget(customer_keys(["bob"]), np.zeros(1))
    assert state.amend_forecast(10, state.forecast_version(), encode(churn))
    assert shop.verify(ANN).clean
    assert any("churn forecast" in one for one in shop.verify(ANN).shown)


def test_whoever_came_back_is_there(shop):
    shop.erase(ANN)
    shop.publish(ANN, days=20)
    shop.work()
    assert not shop.verify(ANN).clean


@pytest.mark.parametrize("kind", ["string", "hash field", "hash value", "set", "view of another", "attribute"])
def test_a_trace_in_any_key_is_found(shop, kind):
    shop.erase(ANN)
    name = f"{shop.keys.prefix}:forgotten-by-everybody"
    document = json.dumps({"best": [ANN, 3.5]})
    match kind:
        case "string":
            shop.client.set(name, document)
        case "hash field":
            shop.client.hset(name, ANN, b"1")
        case "hash value":
            shop.client.hset(name, "x", f"who={ANN};")
        case "set":
            shop.client.sadd(name, ANN)
        case "view of another":
            name = shop.keys.customer("bob")
            shop.client.set(name, document)
        case "attribute":
            shop.client.hset(name, "row", b"\x00\xff" + set_attributes(b"", {"friend": ANN}, 1, 2))
    assert shop.verify(ANN).left == [f"the id stands in {name}"]


def test_what_only_looks_like_it_is_no_trace(shop):
    """The id as a part of another one, in fields, members and documents; other deployments' keys."""
    shop.erase(ANN)
    name = f"{shop.keys.prefix}:harmless"
    shop.client.hset(name, f"x{ANN}", json.dumps({"customer_id": f"{ANN}0"}))
    shop.client.sadd(f"{name}-set", f"{ANN}_x")
    shop.client.set(f"{shop.keys.prefix}-other:customer:{ANN}", ANN)
    assert shop.verify(ANN).clean
    shop.client.delete(f"{shop.keys.prefix}-other:customer:{ANN}")


def test_a_short_id_is_found_where_customers_are_named(shop):
    """`40` is an age, a segment, a number anywhere: that is no trace of a customer who is called so."""
    shop.publish("40")
    shop.work()
    assert any(":rows:" in one for one in shop.verify("40").left)
    shop.erase("40")
    shop.client.set(f"{shop.keys.prefix}:count", '{"age": 40, "item": "40"}')
    found = shop.verify("40")
    assert found.left == []
    assert any("may stand elsewhere" in one for one in found.shown)
    shop.client.set(f"{shop.keys.prefix}:count", '{"customer_id": "40"}')
    assert not shop.verify("40").clean


def test_sums_that_still_count_the_customer_are_a_trace(shop):
    before = shop.deployment.state.sums()
    shop.erase(ANN)
    assert shop.verify(ANN).clean
    shop.deployment.state.put_sums(before)
    (left,) = shop.verify(ANN).left
    assert "count" in left
    shop.work()
    assert shop.verify(ANN).clean


def test_a_key_of_a_kind_that_nobody_knows_is_not_passed_over(shop):
    shop.client.lpush(f"{shop.keys.prefix}:list", "x")
    with pytest.raises(KeysUnreadableError):
        shop.verify(ANN)


def test_who_may_not_list_keys_is_told_so(one_redis_url, unique):
    """As the worker's user: what could not be read is not said to be free of the customer."""
    with redis.Redis.from_url(one_redis_url) as admin:
        admin.acl_setuser(unique, enabled=True, nopass=True, keys=["*"], commands=["+@all", "-scan"])
        address = one_redis_url.replace("redis://", f"redis://{unique}:x@")
        try:
            with redis.Redis.from_url(address) as limited, pytest.raises(KeysUnreadableError, match="may SCAN"):
                list(contents(limited, Keys(unique)))
        finally:
            admin.acl_deluser(unique)


def test_a_prefix_is_no_pattern(shop, unique):
    shop.client.set(f"{unique}xy:customer:{ANN}", ANN)
    assert list(contents(shop.client, Keys(f"{unique}*"))) == []
    shop.client.delete(f"{unique}xy:customer:{ANN}")


# ---- dead letters ----


def letter(value: bytes) -> bytes:
    made = DeadLetter(log="customer-events", partition=0, offset=0, reason="invalid", message="m", bytes=b"")
    return made.model_copy(update={"bytes": value}).model_dump_json().encode()


@pytest.fixture
def letters():
    """A deployment in memory with dead letters, two of them ann's."""
    shop = Shop(MemoryState(), MemoryViews(lambda: NOW), "livesegments")
    writer = shop.deployment.logs.writer()
    for value in (
        json.dumps({"customer_id": ANN, "type": "purchase"}).encode(),
        b'{"customer_id": "bob"}',
        b"cut off: " + json.dumps({"customer_id": ANN}).encode()[:-1],
        json.dumps({"customer_id": f"{ANN}x"}).encode(),
    ):
        writer.append("dead-letters", None, letter(value))
    return shop


def test_dead_letters_of_the_customer_are_dropped_and_listed(letters):
    only_looked = letters.verify(ANN, drop=False)
    assert only_looked.left == ["2 dead letters that are open, and could be replayed"]
    found = letters.verify(ANN)
    assert (found.clean, found.dropped) == (True, 2)
    assert found.logs[2].records == 2
    assert found.logs[2].until == "2025-05-05T00:00:00Z"
    counts = DeadLetters(letters.deployment).overview(Selection(), 0).counts["invalid"]
    assert (counts["open"], counts["dropped"]) == (2, 2)
    again = letters.verify(ANN)
    assert (again.clean, again.dropped, again.logs[2].records) == (True, 0, 2)


def test_workers_get_time_to_tidy_up(letters):
    """As long as something is left that a worker may be about to remove; then it is told."""
    letters.publish(ANN)
    letters.work()
    slept = []
    ticks = iter(range(100))
    found = verify(
        ANN,
        letters.deployment,
        [],
        NOW,
        drop=False,
        patience=5.0,
        monotonic=lambda: float(next(ticks)),
        sleep=slept.append,
    )
    assert len(slept) == 4
    assert "a view" in found.left


# ---- recognising ----

ids = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=30)


@given(ids, st.booleans(), st.booleans())
def test_a_document_about_the_customer_is_known_however_it_is_written(who, ascii_only, spaced):
    separators = (", ", ": ") if spaced else (",", ":")
    document = json.dumps({"v": 1, "customer_id": who}, ensure_ascii=ascii_only, separators=separators).encode()
    assert Sought(who).names(document)
    assert Sought(who).stands_in(document)
    assert not Sought(who + "x").names(document)


@given(ids, st.binary(max_size=40), st.binary(max_size=40))
def test_a_packed_text_is_found_whatever_stands_around_it(who, before, after):
    sought = Sought(who)
    packed = before + set_attributes(b"", {"a": who}, SECOND, 1) + after
    if sought.distinctive:
        assert sought.stands_in(packed)


@given(st.binary(max_size=200))
def test_any_bytes_may_be_looked_through(value):
    assert Sought("ann-4711-b").names(value) in {True, False}
    assert not Sought("ann-4711-b").stands_in(value)
