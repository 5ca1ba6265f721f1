"""What the commands say of a shop with too little data to learn from, on a real Redis that a real worker has filled."""

import json
import os
from collections import Counter
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from contracts.events import Line, Purchase, Return
from contracts.times import DAY, EPOCH, HOUR
from livesegments.cli import app
from tests.deployment import Deployment

FIRST_DAY = 20_000
DAYS = 5


def orders():
    """(day, customer, pieces at 2.50), sent back where negative: 30 customers, some of them more than once."""
    for day in range(DAYS):
        for customer in range(day * 6, day * 6 + 6):
            yield day, customer, 1 + customer % 4
        for customer in range(day):
            yield day, customer, 2
    yield DAYS - 1, 3, -1


def event(number, day, customer, pieces):
    kind = Purchase if pieces > 0 else Return
    return kind(
        event_id=f"e{number}",
        customer_id=f"c{customer}",
        occurred_at=EPOCH + timedelta(microseconds=(FIRST_DAY + day) * DAY + 9 * HOUR + number),
        order_id=f"o{number}",
        lines=(Line(item_id="tea", quantity=abs(pieces), unit_price=2.5),),
        currency="GBP",
    )


@pytest.fixture(scope="module")
def shop(redis_url, one_redis_url):
    deployment = Deployment(one_redis_url, redis_url, f"small-{os.getpid()}", partitions=2)
    with deployment.writer() as writer:
        for number, order in enumerate(orders()):
            made = event(number, *order)
            writer.append(deployment.names.events, made.customer_id.encode(), made.model_dump_json().encode())
    deployment.run()
    return deployment


@pytest.fixture
def call(shop):
    def call(*arguments, prefix=shop.tag):
        where = [
            "--redis-url",
            shop.redis_url,
            "--log-url",
            shop.log_url,
            "--key-prefix",
            prefix,
            "--clock",
            "event",
            "--currency",
            "GBP",
        ]
        done = CliRunner(env={"COLUMNS": "200"}).invoke(app, [arguments[0], *where, *arguments[1:]])
        assert done.exit_code == 0, done.output
        return done.output

    return call


def test_history_has_the_orders_and_the_revenue_of_each_day(call):
    days = json.loads(call("history", "--json"))
    placed, revenue = Counter(), Counter()
    for day, _, pieces in orders():
        placed[day] += pieces > 0
        revenue[day] += 2.5 * pieces
    said = {one["day"]: one["segments"] for one in days}
    named = [(EPOCH + timedelta(days=FIRST_DAY + day)).date().isoformat() for day in range(DAYS)]
    assert list(said) == named
    for day, name in enumerate(named):
        assert sum(one["orders"] for one in said[name]) == placed[day]
        assert sum(one["net_revenue"] for one in said[name]) == revenue[day]
        assert sum(one["size"] for one in said[name]) == 6 * (day + 1)


def test_history_has_the_moves_that_were_told(call, shop):
    told = Counter()
    for content, *_ in shop.changes().values():
        change = json.loads(content)
        told[_day(change["at"][:10], change["cause"]), change["from"], change["to"], change["cause"]] += 1
    found = Counter()
    for day in json.loads(call("history", "--json")):
        for move in day["moves"]:
            found[_day(day["day"], move["cause"]), move["from"], move["to"], move["cause"]] += move["customers"]
    assert found == told
    assert {cause for *_, cause in told} == {"purchase", "return", "time"}


def _day(day, cause):
    """What time moves late on one day is written, and counted, with the first events of the next."""
    return "any day" if cause == "time" else day


def test_history_as_a_table(call):
    table = call("history")
    assert "by rule" in table
    newest = json.loads(call("history", "--days", "1", "--json"))
    assert [one["day"] for one in newest] == [(EPOCH + timedelta(days=FIRST_DAY + DAYS - 1)).date().isoformat()]
    newest_table = call("history", "--days", "1")
    causes = Counter()
    for move in newest[0]["moves"]:
        causes[move["cause"]] += move["customers"]
    assert f"{causes['purchase']} purchase" in newest_table
    for one in newest[0]["segments"]:
        if one["size"] or one["orders"]:
            assert f"{one['net_revenue']:,.2f}" in newest_table
    assert newest[0]["day"] in table
    assert table.splitlines()[1].startswith((EPOCH + timedelta(days=FIRST_DAY)).date().isoformat())


def test_before_there_is_anything_history_says_what_it_needs(call):
    assert "there is no history yet" in call("history", prefix="nothing-here")
    assert json.loads(call("history", "--json", prefix="nothing-here")) == []


def test_every_command_that_names_a_segment_says_that_it_is_one_by_rule(call):
    shown = json.loads(call("show", "c1", "--json"))
    segment = shown["segment"]
    assert segment["by_rule"]
    assert f"{segment['name']} ({segment['id']}, by rule)" in call("show", "c1")
    assert f"{segment['name']} by rule" in call("segments")
    assert f"{segment['name']} ({segment['id']}, by rule)" in call("segments", str(segment["id"]))
    assert f"{segment['name']} by rule" in call("watch", "--once")
    assert all(one["by_rule"] for one in json.loads(call("segments", "--json")) if one["size"])
    assert all(one["by_rule"] for one in json.loads(call("watch", "--once", "--json"))["segments"] if one["size"])


def test_the_check_says_whom_the_first_model_needs(call):
    assert "50 customers who bought" in call("check", prefix="nothing-here")
    assert "50 customers with a profile" in call("check", "--features", "profile", prefix="nothing-here")
