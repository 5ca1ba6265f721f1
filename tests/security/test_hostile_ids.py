"""Ids of customers and items are any text: whatever they look like, they reach no key that is not their own."""

import inspect
import json
from datetime import date, timedelta

import pytest
import redis
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from consumer.redis_state import RedisState
from consumer.state import bucket_of
from contracts.events import MAX_ID_LENGTH, Erase, Line, Purchase
from contracts.keys import Keys, LogNames
from contracts.partitioning import partition_of
from contracts.times import DAY, EPOCH
from livesegments.settings import Settings
from logs.redis_server import find_redis_server
from logs.redis_stream import StreamKeys
from recommender.reader import CustomerReader
from recommender.store import RedisViews
from tests.conftest import missing
from tests.in_process import START, InProcess, comparable
from tests.servers import LocalRedis

HOSTILE = [
    *("*", "?", "[a-z]", "\\", "{}", "{p0}", "{p0}:meta", "}:{p0}:rows:1", ":", ":meta", "..", "../x", "/", "%00"),
    *(
        "customer:ann",
        "ann:customer:bob",
        "livesegments:customer:ann",
        "livesegments:segments",
        "segments",
        "segment:1",
    ),
    *("model", "model:1", "cold-start", "popular", "ann ", " ann", "ANN", "аnn", "a\u200bnn", "ann\u0301", "\u202enna"),
    *(
        "' OR 1=1 --",
        '"',
        "$(id)",
        "`id`",
        "${x}",
        "<script>",
        "\N{PILE OF POO}",
        "-1",
        "0",
        "null",
        "NaN",
        "x" * MAX_ID_LENGTH,
    ),
    *("EVAL", "FLUSHALL", "~*", "&*", "|", ";", "#", "\u2028"),
]
REFUSED = [
    "",
    "a\nb",
    "a\r\nSET x y\r\n",
    "nul\x00",
    "\x1b[2J",
    "tab\t",
    "x" * (MAX_ID_LENGTH + 1),
    "del\x7f",
    "c1\x9b",
]

ids = st.one_of(
    st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
)
texts = st.one_of(st.sampled_from([*HOSTILE, *REFUSED]), st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
days = st.dates(date(1970, 1, 1), date(2200, 1, 1)).map(str)
numbers = st.integers(0, 10_000)


@st.composite
def calls(draw) -> tuple[str, tuple]:
    """A method of Keys with arguments of its kind."""
    name, method = draw(st.sampled_from(METHODS))
    kinds = [
        days if parameter.name == "day" else numbers if parameter.annotation is int else texts
        for parameter in list(inspect.signature(method).parameters.values())[1:]
    ]
    if name == "popular" and draw(st.booleans()):
        return name, ()
    return name, tuple(draw(kind) for kind in kinds)


METHODS = [(name, method) for name, method in inspect.getmembers(Keys, inspect.isfunction) if not name.startswith("_")]
prefixes = st.lists(
    st.sampled_from(
        ["a", "customer", "similar", "popular", "segment", "segments", "model", "history", "meta", "*", "7"]
    ),
    min_size=1,
    max_size=3,
).map(":".join)


def key(prefix: str, call: tuple[str, tuple]) -> str:
    name, arguments = call
    found = getattr(Keys(prefix), name)(*arguments)
    assert isinstance(found, str)
    return found


def accepted(prefix: str) -> bool:
    try:
        Settings(key_prefix=prefix)
    except ValueError:
        return False
    return True


@given(calls(), calls())
@example(("popular", ()), ("popular", ("",)))
@example(("customer", ("x",)), ("similar", ("x",)))
@example(("customer", ("{p0}:meta",)), ("meta", (0,)))
@settings(max_examples=500)
def test_two_things_never_share_a_key(one, other):
    assume(one != other)
    assert key("livesegments", one) != key("livesegments", other)


@given(calls(), calls(), prefixes, prefixes)
@example(("customer", ("segments",)), ("segments", ()), "shop", "shop:customer")
@example(("popular", ("popular",)), ("popular", ()), "shop", "shop:popular")
@settings(max_examples=500, suppress_health_check=[HealthCheck.filter_too_much])
def test_nor_do_two_deployments_that_share_a_server(one, other, prefix, next_door):
    if prefix != next_door and accepted(prefix) and accepted(next_door):
        assert key(prefix, one) != key(next_door, other)


@given(calls(), prefixes, st.sampled_from(LogNames("x.").all))
def test_a_log_in_redis_shares_no_key_either(call, prefix, log):
    stream = StreamKeys(log)
    if accepted(prefix):
        for of_log in (stream.stream, stream.meta, stream.producer("p"), stream.lease("g")):
            assert key(prefix, call) != of_log
            assert key("livesegments-log", call) != of_log


def purchase(who: str, n: int, items=("mug",), day=0) -> Purchase:
    lines = tuple(Line(item_id=item, quantity=1, unit_price=2.5) for item in items)
    at = EPOCH + timedelta(microseconds=START + day * DAY)
    return Purchase(event_id=f"e{n}", customer_id=who, occurred_at=at, order_id=f"o{n}", lines=lines, currency="GBP")


@pytest.fixture(scope="module")
def client():
    if find_redis_server() is None:
        missing("no redis-server")
    with LocalRedis() as local, redis.Redis.from_url(local.url) as opened:
        yield opened


PARTITIONS = 2
BYSTANDERS = ("ann", "bob")


def own_keys(keys: Keys, who: str) -> set[str]:
    return {keys.customer(who), keys.rows(partition_of(who, PARTITIONS), bucket_of(who))}


def the_deployments(keys: Keys) -> set[str]:
    """Keys that are there whoever the customers are."""
    free = {"customer", "similar", "popular", "rows", "history", "feedback", "segment", "model_version"}
    # Segments that are not learnt have negative ids.
    found = {keys.popular(), *map(keys.segment, range(-200, 100)), *map(keys.model_version, range(100))}
    for name, method in METHODS:
        if name not in free:
            plain = len(inspect.signature(method).parameters) == 1
            found |= {getattr(keys, name)()} if plain else {getattr(keys, name)(n) for n in range(PARTITIONS)}
    return found


@given(st.lists(ids, min_size=1, max_size=6, unique=True).filter(lambda some: not set(some) & set(BYSTANDERS)))
@example(HOSTILE)
@settings(max_examples=12, deadline=None)
def test_through_a_worker_each_customer_has_keys_of_its_own(client, hostile):
    client.flushall()
    client.mset({"other": "1", "livesegment:customer:ann": "1", "segments": "1"})
    before = set(client.keys())
    keys = Keys()
    shop = InProcess(PARTITIONS, state=RedisState(client, keys), views=RedisViews(client))
    shop.publish(*(purchase(who, n) for n, who in enumerate(BYSTANDERS)))
    shop.run()
    rows = comparable(shop.rows())
    # The hostile buy hostile things.
    shop.publish(*(purchase(who, 10 + n, hostile[:50]) for n, who in enumerate(hostile)))
    shop.run()

    everybody = {*hostile, *BYSTANDERS}
    assert set(shop.rows()) == everybody
    assert not shop.dead_letters()
    known = the_deployments(keys)
    touched = {each.decode() for each in set(client.keys()) - before}
    written = touched - known
    assert not {each for each in written if not each.startswith(HEADS)}
    expected = set().union(*(own_keys(keys, who) for who in everybody))
    assert {each for each in written if not each.startswith(SHELVES)} == expected
    assert {each for each in written if each.startswith(keys.similar(""))} <= {
        keys.similar(i) for i in (*hostile, "mug")
    }
    for who in everybody:
        view = json.loads(client.get(keys.customer(who)))
        assert view["customer_id"] == who
    with CustomerReader(RedisViews(client)) as reader:
        answers = reader.get_many(sorted(everybody))
        assert all(answers[who].known and answers[who].customer_id == who for who in everybody)

        shop.publish(
            *(
                Erase(event_id=f"x{n}", customer_id=who, occurred_at=EPOCH + timedelta(microseconds=START + DAY))
                for n, who in enumerate(hostile)
            )
        )
        shop.run()
        assert comparable(shop.rows()) == rows
        for who in hostile:
            assert client.get(keys.customer(who)) is None
        assert all(client.get(keys.customer(who)) for who in BYSTANDERS)
    assert before <= set(client.keys())
    assert client.mget("other", "livesegment:customer:ann", "segments") == [b"1"] * 3


HEADS = (
    *(Keys().customer(""), Keys().similar(""), Keys().popular("")),
    *(Keys().history("")[:-1], Keys().feedback("")[:-1]),
    *(f"livesegments:{{p{n}}}:rows:" for n in range(PARTITIONS)),
)
SHELVES = (Keys().similar(""), Keys().popular(""), Keys().history(""), Keys().feedback(""))


@pytest.mark.parametrize("hostile", REFUSED)
def test_ids_with_control_characters_or_of_a_length_are_dead_letters(client, hostile):
    client.flushall()
    shop = InProcess(PARTITIONS, state=RedisState(client, Keys()), views=RedisViews(client))
    message = json.loads(purchase("ann", 1).model_dump_json())
    for n, (customer, item) in enumerate([(hostile, "mug"), ("ann", hostile)]):
        message |= {"event_id": f"e{n}", "customer_id": customer}
        message["lines"][0]["item_id"] = item
        shop.publish(json.dumps(message).encode(), partition=0)
    shop.run()
    assert len(shop.dead_letters()) == 2
    assert shop.rows() == {}
    assert not [each for each in client.scan_iter() if b":customer:" in each or b":rows:" in each]
