"""`livesegments forecast` on what a worker stored: segments, models, a table, and what is missing."""

import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from consumer.forecast_leader import read_forecasts
from consumer.memory_state import MemoryState
from contracts.events import Line, Profile, Purchase, Return
from contracts.times import DAY, HOUR, from_micros
from livesegments.commands.forecast import document, show_forecast
from livesegments.forecast_columns import batches, schema_of
from livesegments.forecasting import forecast_shop
from livesegments.settings import Settings
from livesegments.table_file import write_table
from online_model.forecasts.fitting import NotEnoughDataError
from tests.in_process import START, InProcess, fixed_model

SETTINGS = Settings.model_validate({"clock": "event"})
CUSTOMERS = 160


@pytest.fixture(scope="module")
def state():
    """Half of the customers left after a month or so, the others bought every other week until now."""
    rng = np.random.default_rng(1)
    shop = InProcess()
    shop.adopt(fixed_model())
    for customer in range(CUSTOMERS):
        at, end = rng.uniform(0, 20), 50 if customer % 2 else 150
        number = 0
        while at < end:
            shop.publish(bought(customer, number, at, rng.gamma(3.0) * 10))
            number, at = number + 1, at + rng.exponential(14)
    shop.publish(
        Profile(event_id="p", customer_id="c0", occurred_at=from_micros(START), attributes={"customer_since": "2001"}),
        Profile(event_id="q", customer_id="nobody yet", occurred_at=from_micros(START), attributes={"age": 3}),
        Return(
            event_id="r",
            order_id="r",
            customer_id="c1",
            occurred_at=from_micros(START + 149 * DAY),
            currency="GBP",
            lines=[Line(item_id="tea", quantity=1, unit_price=1e6)],
        ),
    )
    shop.run()
    return shop.state


def bought(customer, number, day, price):
    return Purchase(
        event_id=f"{customer}-{number}",
        order_id=f"{customer}-{number}",
        customer_id=f"c{customer}",
        occurred_at=from_micros(START + round(day * 24) * HOUR),
        currency="GBP",
        lines=[Line(item_id="tea", quantity=1, unit_price=round(price, 2))],
    )


def test_who_went_silent_is_told_from_who_did_not_and_segments_add_up(state):
    shop = forecast_shop(state, SETTINGS)
    assert len(shop.buyers.customers) == CUSTOMERS  # who never bought is none of them
    assert shop.lifetime.customers == CUSTOMERS - 1  # c0 has been a customer since 2001
    gone = np.array([int(customer[1:]) % 2 == 1 for customer in shop.buyers.customers])
    assert shop.ahead.active[~gone].mean() > 0.7 > 0.3 > shop.ahead.active[gone].mean()
    for days, ahead in shop.ahead.ahead.items():
        segments = shop.by_segment(days)
        assert sum(one.customers for one in segments) == CUSTOMERS
        assert sum(one.value for one in segments) == pytest.approx(ahead.value.expected.sum())
        assert sum(one.orders for one in segments) == pytest.approx(ahead.orders.expected.sum())
        # Whoever is likely to be gone for good is lost, and not at risk.
        there = shop.active >= 0.2
        assert 20 < there.sum() < 140
        if_all_stayed = (ahead.value.expected / shop.active)[there].sum()
        at_risk = if_all_stayed - ahead.value.expected[there].sum()
        assert sum(one.at_risk for one in segments) == pytest.approx(at_risk)
    assert shop.by_segment(30)[0].value < shop.by_segment(365)[0].value


def test_every_customer_is_a_row_of_the_table(state, tmp_path):
    shop = forecast_shop(state, SETTINGS)
    file = tmp_path / "forecasts.parquet"
    assert write_table(file, schema_of(shop), batches(shop, "Segment {}".format)) == CUSTOMERS
    table = pd.read_parquet(file).set_index("customer_id")
    assert set(table.segment_name) <= {f"Segment {one}" for one in (-2, -1, 0, 1, 2, 3)}
    for days in (30, 90, 365):
        assert (table[f"orders_low_{days}d"] <= table[f"orders_high_{days}d"]).all()
        assert (table[f"value_low_{days}d"] <= table[f"value_high_{days}d"]).all()
        assert (table[f"p_order_{days}d"] <= table.p_active + 1e-9).all()
    assert table.p_active["c0"] > 0.5


def test_it_is_shown_and_said_as_json(state):
    shop = forecast_shop(state, SETTINGS)
    names = {segment: f"[bold]Segment {segment}" for segment in set(shop.buyers.segments.tolist())}
    console = Console(file=io.StringIO(), width=100, highlight=False)
    show_forecast(shop, names, "GBP", console)
    text = console.file.getvalue()
    assert "[bold]Segment" in text  # names are no markup
    assert f"fitted to {CUSTOMERS - 1}" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "1 who were customers before are not counted in" in " ".join(text.split())
    told = read_forecasts(state.forecast())
    said = json.loads(json.dumps(document(shop, names, told)))
    assert said["model"]["family"] == "mbg/nbd"
    assert said["left_censored"] == 1
    assert said["workers"]["lifetime"]["tells_leaving"] is said["tells_leaving"] is True
    assert [one["family"] for one in said["workers"]["churn"]["scores"]] == ["logistic", "tree"]
    assert "scorer" not in said["workers"]["churn"]
    assert sum(one["customers"] for one in said["segments"]["90d"]) == CUSTOMERS


def test_where_nobody_seems_to_leave_nothing_is_said_of_leaving(state, tmp_path):
    shop = forecast_shop(state, SETTINGS)
    stuck = replace(shop.lifetime, model=replace(shop.lifetime.model, a=1e-4), bounded=("a",))
    shop = replace(shop, lifetime=stuck)
    assert {one.active for one in shop.by_segment(90)} == {one.at_risk for one in shop.by_segment(90)} == {None}
    names = {segment: f"Segment {segment}" for segment in set(shop.buyers.segments.tolist())}
    console = Console(file=io.StringIO(), width=100, highlight=False)
    show_forecast(shop, names, "GBP", console)
    text = " ".join(console.file.getvalue().split())
    assert "of them active" not in text
    assert "Who has left can not be told" in text
    said = document(shop, names)
    assert (said["tells_leaving"], said["workers"]) == (False, None)
    assert all(one["active"] is one["at_risk"] is None for one in said["segments"]["90d"])
    file = tmp_path / "forecasts.csv"
    write_table(file, schema_of(shop), batches(shop, names.__getitem__))
    table = pd.read_csv(file)
    assert table.p_active.isna().all()
    assert table.orders_90d.notna().all()


def test_what_is_missing_is_said():
    with pytest.raises(NotEnoughDataError, match="no customers; start a worker"):
        forecast_shop(MemoryState(), SETTINGS)
    shop = InProcess()
    shop.publish(bought(1, 1, 0, 5.0))
    shop.run()
    with pytest.raises(NotEnoughDataError, match="1 customers whose first purchase was seen, 100 are needed"):
        forecast_shop(shop.state, SETTINGS)
