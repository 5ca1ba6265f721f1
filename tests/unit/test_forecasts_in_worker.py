"""What customers will do next, in a whole worker: learnt by the leader, told by views, cards, conditions and tables."""

import asyncio
import csv
import json
import random
import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from plotly.utils import PlotlyJSONEncoder

from consumer.columns import Columns
from consumer.forecast_leader import read_forecasts
from contracts.documents import SHORT_VIEW_BYTES, CustomerView, SegmentCard
from contracts.events import Erase, Line, Profile, Purchase
from contracts.times import DAY, EPOCH
from dashboard.access import ANYBODY
from dashboard.pages import customer, segments
from dashboard.pages.page import Visit
from livesegments.explaining import Explainer
from livesegments.export import export_customers
from livesegments.records import read_forecaster, read_record, read_records
from livesegments.segment_names import SegmentNames
from livesegments.settings import Settings
from livesegments.web.rows import StateRows
from online_model.features import MISSING_TIME
from online_model.forecasts.churn import customer_keys
from online_model.forecasts.churn_memory import waiting_in
from online_model.rules import audiences
from recommender.settings import RecommenderSettings
from tests.in_process import NO_RULES, START, InProcess, step_until
from tests.web_shop import WebShop, asking, page_parts

SELDOM = {
    "sweep_interval_event": 3 * DAY,
    "model": replace(NO_RULES, review_interval=365 * DAY, k_interval=365 * DAY),
    "recommender": RecommenderSettings(item_review_interval=365 * DAY, item_review_growth=1e9, tuning=False),
}
"""Decisions every third day, and little else is learnt: forecasts do not depend on it."""
AUDIENCES = {
    "Leaving": "p_active < 0.3 or churn_90d > 0.9",
    "Promising": "expected_orders_90d >= 2 and expected_spend_90d > 50",
}


def order(who, at, price):
    return Purchase(
        event_id=f"{who}-{at}",
        customer_id=who,
        occurred_at=EPOCH + timedelta(microseconds=at),
        order_id=f"{who}-{at}",
        lines=(Line(item_id=f"item {at % 7}", quantity=1, unit_price=price),),
        currency="GBP",
    )


def purchases(customers=260, days=205, seed=1):
    """A shop as the models know it: everybody at a pace of their own, until they leave after some purchase."""
    chance, events = random.Random(seed), []
    for number in range(customers):
        at, price = chance.uniform(0, 60), round(chance.gammavariate(3, 10) + 1, 2)
        pace, leaves = chance.gammavariate(1.2, 1 / 20), chance.betavariate(0.8, 3.0)
        while at < days:
            events.append((START + int(at * DAY), f"c{number}", price))
            if chance.random() < leaves:
                break
            at += chance.expovariate(pace)
    return sorted(events)


def live(shop, worker, events, step=19):
    """Let days pass."""
    first, last = events[0][0], events[-1][0]
    for begin in range(first, last + 1, step * DAY):
        shop.publish(*(order(who, at, price) for at, who, price in events if begin <= at < begin + step * DAY))
        shop.run(worker)


@pytest.fixture(scope="module")
def history():
    return purchases()


@pytest.fixture(scope="module")
def grown(history):
    """A shop after most of a year."""
    shop = WebShop(audiences=audiences(AUDIENCES), **SELDOM)
    worker = shop.worker()
    live(shop, worker, history)
    yield shop, worker
    worker.close()


def view_of(shop, customer):
    return CustomerView.model_validate_json(shop.views.get(shop.keys.customer(customer)))


def test_a_young_shop_says_what_is_missing():
    shop = InProcess(**SELDOM)
    shop.publish(*(order(f"c{n}", START + n * DAY, 5.0) for n in range(12)))
    shop.run()
    document = read_forecasts(shop.state.forecast())
    assert "12 customers whose first purchase was seen, 100 are needed" in document.missing
    assert "200 are needed" in document.churn.missing
    assert view_of(shop, "c3").forecast is None


def test_every_view_tells_a_forecast_that_is_that_of_the_row(grown):
    shop, worker = grown
    document = read_forecasts(shop.state.forecast())
    assert document.missing == document.churn.missing == ""
    assert document.fitted == document.customers == 260
    forecaster = read_forecaster(shop.state, told=True)
    for number in range(0, 260, 7):
        view = view_of(shop, f"c{number}")
        record = read_record(shop.state, f"c{number}", 2)
        found = forecaster.ahead(Columns(record.header), worker.clock.now)[0]
        told = view.forecast
        assert len(shop.views.get(shop.keys.customer(f"c{number}"))) <= SHORT_VIEW_BYTES
        assert told.p_active == pytest.approx(found["active"], abs=0.051)
        assert told.churn == pytest.approx(found["churn"], abs=0.051)
        assert told.orders[1] == pytest.approx(found["orders"][1], rel=0.11, abs=0.021)
        assert told.orders[0] <= told.orders[1] <= told.orders[2]
        assert told.orders_90d[0] <= told.orders[1] + 1
        assert told.spend_90d[0] <= told.spend_90d[1]
        assert told == CustomerView.model_validate_json(view.encode()).forecast
    read = shop.reader().get("c7").forecast
    assert (read.as_of, read.p_active, read.orders, read.churn) == tuple(
        getattr(view_of(shop, "c7").forecast, name) for name in ("as_of", "p_active", "orders", "churn")
    )


def test_the_text_of_a_forecast_takes_little_room(grown):
    shop, _ = grown
    views = [json.loads(shop.views.get(shop.keys.customer(f"c{n}"))) for n in range(260)]
    assert max(len(json.dumps(one["forecast"], separators=(",", ":"))) for one in views) <= 150


def test_cards_add_up_what_customers_are_expected_to_do(grown):
    shop, worker = grown
    memory, now = worker.memory, worker.clock.now
    rows = np.flatnonzero(memory.store.partition[: memory.store.used] >= 0)
    ahead = memory.forecasts.of(rows, now)
    cards = [
        SegmentCard.model_validate_json(shop.views.get(shop.keys.segment(one.id)))
        for one in memory.learner.model.segments
    ]
    told = [one.forecast for one in cards if one.forecast is not None]
    assert sum(one.customers for one in told) == sum(one.size for one in cards if one.forecast is not None) == 260
    for name, column in (("revenue_30d", 0), ("revenue_90d", 1), ("revenue_365d", 2)):
        assert sum(getattr(one, name) for one in told) == pytest.approx(ahead["spend"][:, column].sum(), rel=1e-3)
    assert sum(one.active for one in told) == pytest.approx(ahead["active"].sum(), abs=0.5)
    assert sum(one.at_risk_90d for one in told) > 0


def test_conditions_ask_for_forecasts(grown):
    shop, worker = grown
    memory, now = worker.memory, worker.clock.now
    rows = np.flatnonzero(memory.store.partition[: memory.store.used] >= 0)
    ahead = memory.forecasts.of(rows, now)
    leaving = (ahead["active"] < 0.3) | (ahead["churn"] > 0.9)
    promising = (ahead["orders"][:, 1] >= 2) & (ahead["spend"][:, 1] > 50)
    expected = {memory.store.ids[row]: (bool(a), bool(b)) for row, a, b in zip(rows, leaving, promising, strict=True)}
    within = {
        memory.store.ids[row]: tuple(
            name in shop.reader().get(memory.store.ids[row]).audiences for name in ("Leaving", "Promising")
        )
        for row in rows
    }
    assert within == expected
    assert 5 < leaving.sum() < 255
    assert promising.any()
    assert {one["audience"] for one in shop.changes("entered")} >= {"Leaving", "Promising"}


def test_tables_have_the_same_figures(grown, tmp_path):
    shop, worker = grown
    file = tmp_path / "customers.csv"
    export_customers(file, shop.state, Settings(clock="event"))
    with file.open(newline="") as lines:
        table = {one["customer_id"]: one for one in csv.DictReader(lines)}
    memory = worker.memory
    web = StateRows(shop.state, "", "event")
    for partition in range(2):
        rows = web.read(partition, range(1_024)).batch.to_pylist()
        for one in rows:
            where = memory.store.partitions[partition].index[one["customer_id"]]
            ahead = memory.forecasts.of(np.array([where]), worker.clock.now)[0]
            exported = table[one["customer_id"]]
            for name, value in (
                ("p_active", ahead["active"]),
                ("expected_orders_90d", ahead["orders"][1]),
                ("expected_spend_90d", ahead["spend"][1]),
                ("churn_90d", ahead["churn"]),
            ):
                assert one[name] == pytest.approx(value, rel=1e-5), name
                assert float(exported[name]) == pytest.approx(value, rel=1e-5)


def explained(shop, worker, customer):
    explainer = Explainer(
        state=shop.state,
        names=SegmentNames(shop.state, None),
        model=None,
        now=worker.clock.now,
        currency="GBP",
        forecaster=read_forecaster(shop.state, told=True),
    )
    return explainer.explain(read_record(shop.state, customer, 2)).expected


def test_a_customer_is_told_in_words(grown):
    shop, worker = grown
    told = " ".join(explained(shop, worker, "c7"))
    assert "Within 90 days: " in told
    assert re.search(
        r"Within 30 days [0-9.,]+ GBP \(with 90 % .*\), within a year [0-9.,]+ GBP \(with 90 % .*\)\.", told
    )
    assert "Still a customer: " in told
    assert "No order within 90 days: " in told


def drawn(shop, page, **query):
    """A page as JSON."""
    layout = asyncio.run(page.layout(page_parts(shop, shop.parts()), Visit(ANYBODY, "light", query)))
    return json.dumps(layout.to_plotly_json(), cls=PlotlyJSONEncoder, ensure_ascii=False)


def test_pages_tell_it(grown):
    shop, _ = grown
    customer_page = drawn(shop, customer, id="c7")
    assert "What to expect" in customer_page
    assert "Within 90 days: " in customer_page
    segments_page = drawn(shop, segments)
    assert "expected in 90 days" in segments_page
    assert " at risk" in segments_page
    assert "Fitted to 260 customers whose first purchase was seen" in segments_page


def test_the_api_passes_it_on(grown):
    shop, _ = grown
    with asking(shop.parts()) as client:
        assert client.get("/customers/c7").json()["forecast"]["orders_90d"] == list(
            view_of(shop, "c7").forecast.orders_90d
        )
        card = client.get(f"/segments/{view_of(shop, 'c7').segment.id}").json()
    assert card["forecast"]["revenue_90d"] > 0


def test_where_nobody_seems_to_leave_nothing_is_said_of_leaving(grown):
    shop, worker = grown
    stored = read_forecasts(shop.state.forecast())
    lifetime = stored.lifetime.model_copy(update={"a": 1e-4, "tells_leaving": False, "bounded": ("a",)})
    version = shop.state.forecast_version()
    blind = stored.model_copy(update={"lifetime": lifetime})
    memory = worker.memory

    def put_in_force(document, number):
        state = shop.state
        assert state.publish_forecast(state.leader(), number, document.encode(), state.forecast_memory())
        memory.adopt_forecasts(document, number)

    try:
        put_in_force(blind, version + 1)
        rows = np.arange(10)
        assert np.isnan(memory.forecasts.of(rows, worker.clock.now)["active"]).all()
        step_until(worker, lambda: not memory.forecasts.behind(worker.clock.now) and worker.idle)
        assert view_of(shop, "c7").forecast.p_active is None
        assert view_of(shop, "c7").forecast.orders is not None
    finally:
        put_in_force(stored, version + 2)
        shop.run(worker)


def test_the_same_stream_learns_the_same_also_where_every_leader_is_killed(history):
    some = [one for one in history if one[0] < START + 122 * DAY]
    whole, parts = InProcess(**SELDOM), InProcess(**SELDOM)
    one = whole.worker()
    live(whole, one, some, 30)
    first, last = some[0][0], some[-1][0]
    for begin in range(first, last + 1, 30 * DAY):
        parts.publish(*(order(who, at, price) for at, who, price in some if begin <= at < begin + 30 * DAY))
        parts.run()  # a worker of its own, which is gone afterwards
    one.close()
    ours, theirs = (read_forecasts(shop.state.forecast()) for shop in (whole, parts))
    assert ours.churn.came_back + ours.churn.left > 10
    assert ours.churn == theirs.churn
    assert (ours.lifetime, ours.value) == (theirs.lifetime, theirs.value)


def test_every_worker_tells_what_the_leader_learnt(history):
    shop = InProcess(figures_interval=0.0, **SELDOM)
    leader = shop.worker()
    step_until(leader, lambda: leader.memory.holds_all)
    other = shop.worker()
    step_until(leader, lambda: bool(leader.memory.held) and bool(other.memory.held), other)
    shop.publish(*(order(who, at, price) for at, who, price in history if at < START + 80 * DAY))
    done = lambda: (  # noqa: E731 - both workers, together
        leader.memory.forecasts.version == other.memory.forecasts.version == shop.state.forecast_version() > 0
        and leader.idle
        and other.idle
    )
    step_until(leader, done, other)
    document = read_forecasts(shop.state.forecast())
    assert document.customers == 260  # the other worker's rows were looked at, too
    for number in range(0, 260, 10):
        assert view_of(shop, f"c{number}").forecast.orders is not None
    leader.close()
    other.close()


def test_who_was_a_customer_before_is_counted_and_not_fitted(history):
    shop = InProcess(**SELDOM)
    moment = EPOCH + timedelta(microseconds=START)
    long_since = [
        Profile(event_id=f"p{n}", customer_id=f"c{n}", occurred_at=moment, attributes={"customer_since": "2001-01-01"})
        for n in range(20)
    ]
    young = [one for one in history if one[0] < START + 68 * DAY]
    shop.publish(*long_since, *(order(who, at, price) for at, who, price in young))
    shop.run()
    document = read_forecasts(shop.state.forecast())
    assert (document.left_censored, document.customers) == (20, 260)
    assert 200 < document.fitted <= 240
    begins = START + 20 * DAY
    firsts = {}
    for at, who, _ in young:
        firsts.setdefault(who, at)
    before = {who for who, at in firsts.items() if at < begins} | {f"c{n}" for n in range(20)}
    worker = shop.worker(seen_from=begins)
    shop.publish(*(order(who, at, price) for at, who, price in history if START + 68 * DAY <= at < START + 120 * DAY))
    shop.run(worker)
    worker.close()
    document = read_forecasts(shop.state.forecast())
    assert (document.left_censored, document.fitted) == (len(before), 260 - len(before))


def test_an_erased_customer_is_in_no_open_window(history):
    shop = InProcess(**SELDOM)
    worker = shop.worker()
    events = [one for one in history if one[0] < START + 70 * DAY]
    live(shop, worker, events, 35)
    waiting = waiting_in(shop.state.forecast_memory())
    gone = next(one for one in shop.rows() if customer_keys([one])[0] in waiting)
    version = shop.state.forecast_version()
    # No day passes, and nobody buys: it is the erasure that makes a look due.
    now = EPOCH + timedelta(microseconds=events[-1][0])
    shop.publish(Erase(event_id="e", customer_id=gone, occurred_at=now))
    shop.run(worker)
    assert customer_keys([gone])[0] not in waiting_in(shop.state.forecast_memory())
    assert len(waiting_in(shop.state.forecast_memory())) == len(waiting) - 1
    assert shop.state.forecast_version() == version
    worker.close()


def test_a_history_that_is_loaded_by_the_wall_clock_is_not_taken_for_a_shop_that_has_stopped(history):
    end = (history[-1][0] // DAY + 1) * DAY
    shop = InProcess(clock="wall", batch_events=100, figures_interval=0.0, quiet_after=10_000 * DAY, **SELDOM)
    shop.publish(*(order(who, at, price) for at, who, price in history))
    worker = shop.worker(wall=lambda: end)
    documents = []

    def done():
        stored = shop.state.forecast()
        if stored is not None and (not documents or documents[-1] != stored):
            documents.append(stored)
        return worker.idle

    step_until(worker, done)
    worker.close()
    first, last = read_forecasts(documents[0]), read_forecasts(documents[-1])
    assert first.purchases >= 0.99 * len(history)
    assert last.fitted == 260
    whole = InProcess(clock="wall", **SELDOM)
    whole.publish(*(order(who, at, price) for at, who, price in history))
    one = whole.worker(wall=lambda: end)
    whole.run(one)
    one.close()
    for name in ("r", "alpha", "a", "b"):
        at_once = getattr(read_forecasts(whole.state.forecast()).lifetime, name)
        assert getattr(last.lifetime, name) == pytest.approx(at_once, rel=0.05)


def ahead_of_all(shop, *, told):
    records = next(read_records(shop.state, [0]))
    return read_forecaster(shop.state, told=told).ahead(Columns(records.header), START + 70 * DAY)


def test_forecasts_that_are_turned_off_are_taken_out_and_no_longer_told(history, tmp_path):
    shop = InProcess(**SELDOM)
    shop.publish(*(order(who, at, price) for at, who, price in history if at < START + 68 * DAY))
    shop.run()
    assert not np.isnan(ahead_of_all(shop, told=True)["orders"]).any()
    file = tmp_path / "customers.csv"
    export_customers(file, shop.state, Settings(clock="event", forecasts=False))
    with file.open(newline="") as lines:
        assert {one["expected_orders_90d"] for one in csv.DictReader(lines)} == {""}
    assert np.isnan(ahead_of_all(shop, told=False)["orders"]).all()
    assert shop.state.forecast_memory() is not None
    worker = shop.worker(forecasts=False)
    shop.publish(order("newcomer", START + 72 * DAY, 5.0))
    shop.run(worker)
    worker.close()
    assert (shop.state.forecast(), shop.state.forecast_memory()) == (None, None)
    assert read_forecaster(shop.state, told=True).document is None


def test_forecasts_can_be_left_out():
    shop = InProcess(forecasts=False)
    shop.publish(*(order(f"c{n}", START + n * DAY, 5.0) for n in range(12)))
    shop.run()
    assert (shop.state.forecast_version(), shop.state.forecast()) == (0, None)


def test_rows_of_nobody_have_no_forecast(grown):
    shop, worker = grown
    header = np.zeros(1, worker.memory.store.header.dtype)
    header["first_at"] = header["last_at"] = MISSING_TIME
    ahead = read_forecaster(shop.state, told=True).ahead(Columns(header), worker.clock.now)
    assert all(np.isnan(ahead[name]).all() for name in ahead.dtype.names)
