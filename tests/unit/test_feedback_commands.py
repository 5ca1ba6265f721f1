"""`livesegments feedback` and `lift`: what a person reads, from what workers wrote."""

import json
import threading
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest
from typer.testing import CliRunner

from consumer.memory_state import MemoryState
from consumer.patience import Patience
from contracts.documents import FeedbackDay, LiftDocument
from contracts.times import to_micros
from livesegments.app import Deployment, create_logs, open_worker
from livesegments.commands import feedback, lift
from livesegments.settings import Settings
from logs.memory import MemoryLogs
from producer.publisher import EventPublisher
from recommender.holdout import HoldOut
from recommender.store import MemoryViews

START = datetime(2024, 1, 1, tzinfo=UTC)
NOW = to_micros(START + timedelta(days=400))
SINCE = date(2024, 1, 20)


@pytest.fixture
def asked(monkeypatch):
    """The commands, on a deployment in memory: call with settings and events to publish, then ask."""

    def open_one(publish, **settings):
        chosen = Settings(clock="event", partitions=2, review_inline=True, figures_interval="100ms", **settings)
        deployment = Deployment(chosen, MemoryLogs(lambda: NOW), MemoryState(), MemoryViews(lambda: NOW))
        create_logs(chosen, deployment.logs)
        with EventPublisher(deployment.logs, partitions=2) as publisher:
            publish(publisher)
        with open_worker(deployment, Patience(threading.Event())) as worker:
            worker.run(until_idle=0.3)

        @contextmanager
        def opened(_):
            yield deployment

        def ask(module, *options):
            monkeypatch.setattr(module, "open_deployment", opened)
            monkeypatch.setenv("COLUMNS", "100")
            answer = CliRunner().invoke(module.app, list(options))
            assert answer.exit_code == 0, answer.output
            return answer.output

        return ask

    return open_one


def buy(publisher, who, number, days, items=("tea",)):
    publisher.purchase(
        customer_id=who,
        order_id=f"{who}-{number}",
        lines=[{"item_id": item, "quantity": 1, "unit_price": 2.5} for item in items],
        currency="GBP",
        occurred_at=START + timedelta(days=days),
    )


def busy(publisher):
    for n in range(8):
        buy(publisher, f"c{n}", 1, 10)
        publisher.shown(
            customer_id=f"c{n}", items=["jam", "milk"], source="home", occurred_at=START + timedelta(days=20)
        )
        if n < 4:
            publisher.clicked(customer_id=f"c{n}", items=["jam"], source="home", occurred_at=START + timedelta(days=20))
        if n < 2:
            buy(publisher, f"c{n}", 2, 25, ["jam", "milk"])


def test_feedback_by_shelf_with_intervals(asked):
    ask = asked(busy)
    told = ask(feedback, "--by", "shelf")
    (line,) = (line for line in told.splitlines() if line.startswith("home"))
    assert line.split()[1:3] == ["16", "4"]
    assert "25.00% (10.18% … 49.50%)" in line
    assert "(not said)" in ask(feedback)
    assert "within 7d" in told
    (day,) = (FeedbackDay.model_validate(one) for one in json.loads(ask(feedback, "--json")))
    assert (day.day, sum(one.shown for one in day.counts)) == (date(2024, 1, 21), 16)
    assert "nothing was shown yet" in ask(feedback, "--days", "1")


def test_names_that_producers_chose_are_shown_as_they_are(asked):
    def publish(publisher):
        publisher.shown(customer_id="c", items=["jam"], source="home[/x]", occurred_at=START + timedelta(days=20))

    assert "home[/x]" in asked(publish)(feedback, "--by", "shelf")


def test_nobody_is_held_out(asked):
    ask = asked(busy)
    assert "nobody is held out" in ask(lift)
    assert ask(lift, "--json").strip() == "null"


def test_too_little_for_a_lift_says_what_is_missing(asked):
    told = asked(busy, holdout_share=0.5, holdout_since=SINCE)(lift)
    assert "not enough data yet" in told
    assert "more customers with an order held out" in told
    assert "%:" not in told


def test_a_lift_is_told_with_its_interval(asked):
    holdout = HoldOut(0.5, 0)

    def publish(publisher):
        for n in range(600):
            who = f"c{n}"
            for number in range((1 if holdout.holds(who) else 2) + n % 2):
                buy(publisher, who, number, 30 + number)

    ask = asked(publish, holdout_share=0.5, holdout_since=SINCE)
    document = LiftDocument.model_validate_json(ask(lift, "--json"))
    assert 0.5 < document.orders.low < document.orders.value < document.orders.high < 0.9
    assert document.treated.customers + document.held_out.customers == 600
    (line,) = (line for line in ask(lift).splitlines() if line.startswith("orders per customer"))
    assert f"{document.orders.value:+.1%} (95 %: {document.orders.low:+.1%} … {document.orders.high:+.1%})" in line
