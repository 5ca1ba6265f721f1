"""What lies ahead: the distribution of orders against simulation, and intervals that cover what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import hyp2f1

from benchmarks.forecast.known_lifetimes import Tastes, known_shop
from online_model.forecasts import orders_ahead as module
from online_model.forecasts.fitting import fit_lifetime, fit_value
from online_model.forecasts.forecast import forecast, value_ahead
from online_model.forecasts.lifetime import LifetimeModel
from online_model.forecasts.orders_ahead import expected_orders, orders_ahead
from online_model.forecasts.purchases import Purchases
from online_model.forecasts.value import Amounts, ValueModel

MODEL = LifetimeModel(0.5, 6.2, 0.9, 1.6)
DRAWS = 200_000


def one(x, last, age) -> Purchases:
    return Purchases(np.array([float(x)]), np.array([float(last)]), np.array([float(age)]))


def simulated(model, who, weeks, rng):
    """Purchases ahead, (draws,): rate and drop-out as they are known, then purchase by purchase."""
    chances = model.chances(who)[0]
    rate = rng.gamma(model.r + who.repeats[0], 1 / (model.alpha + who.age[0]), DRAWS)
    drop = rng.beta(model.a, model.b + chances, DRAWS)
    here = rng.random(DRAWS) < model.active(who)[0]
    left, count = np.full(DRAWS, weeks), np.zeros(DRAWS)
    while here.any():
        left = left - rng.exponential(1 / rate)
        here &= left > 0
        count += here
        here &= rng.random(DRAWS) >= drop
    return count


def test_nobody_buys_on_more_days_than_there_are():
    """Where next to nothing is known, a rate may be anything: as the model says it, 125,107 days within a year."""
    model = LifetimeModel(0.24, 1e-4, 1e-4, 1e4)
    found = orders_ahead(model, one(0, 0, 0), 365 / 7)
    assert found.expected[0] == expected_orders(model, one(0, 0, 0), 365 / 7)[0] == 365
    assert found.high[0] == 365
    assert np.isfinite(found.log_mean).all()
    assert found.log_mean[0] <= np.log(365)


@pytest.mark.parametrize("who", [(0, 0, 20), (2, 8, 10), (12, 38, 39), (40, 30, 39)])
def test_orders_ahead_are_those_of_a_simulation(who):
    who = one(*who)
    drawn = simulated(MODEL, who, 26.0, np.random.default_rng(1))
    found = orders_ahead(MODEL, who, 26.0)
    error = 4 / np.sqrt(DRAWS)
    assert found.expected[0] == pytest.approx(drawn.mean(), abs=error * drawn.std())
    assert found.any[0] == pytest.approx((drawn > 0).mean(), abs=error)
    logs = np.log(drawn[drawn > 0])
    assert found.log_mean[0] == pytest.approx(logs.mean(), abs=0.03)
    assert found.log_variance[0] == pytest.approx(logs.var(), abs=0.05)
    assert (drawn < found.low[0]).mean() <= 0.05 + error
    inside = ((drawn >= found.low[0]) & (drawn <= found.high[0])).mean()
    one_less = ((drawn >= found.low[0]) & (drawn < found.high[0])).mean()
    one_more = inside + (drawn == found.high[0] + 1).mean()
    assert abs(inside - 0.9) <= min(abs(one_more - 0.9), abs(one_less - 0.9) if found.high[0] else 1) + error


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.floats(0.2, 3), st.floats(0.5, 20), st.floats(0.1, 0.9) | st.floats(1.1, 4), st.floats(0.5, 6)),
    st.sampled_from(["bg/nbd", "mbg/nbd"]),
    st.integers(0, 30),
    st.floats(0, 50),
    st.floats(0.1, 100),
)
def test_the_mean_is_equation_10_where_that_can_be_computed(parameters, family, x, age, weeks):
    model, who = LifetimeModel(*parameters, family), one(x, age if x else 0, age)
    alpha, b = model.alpha + age, model.b + model.chances(who)[0]
    series = hyp2f1(model.r + x, b, model.a + b - 1, weeks / (alpha + weeks))
    left = (alpha / (alpha + weeks)) ** (model.r + x) * series
    mean = model.active(who)[0] * (model.a + b - 1) / (model.a - 1) * (1 - left)
    assert expected_orders(model, who, weeks)[0] == pytest.approx(min(mean, 7 * weeks), rel=1e-3, abs=1e-6)


def test_large_numbers_go_over_into_small_ones(monkeypatch):
    rng = np.random.default_rng(0)
    age = rng.uniform(20, 60, 50)
    regulars = Purchases(rng.integers(60, 300, 50).astype(float), age - rng.uniform(0, 0.5, 50), age)
    term_by_term = orders_ahead(MODEL, regulars, 30.0)
    monkeypatch.setattr(module, "_LARGE", 0.0)
    by_tails = orders_ahead(MODEL, regulars, 30.0)
    assert by_tails.expected == pytest.approx(term_by_term.expected, rel=1e-3)
    assert by_tails.any == pytest.approx(term_by_term.any)
    assert by_tails.low.tolist() == term_by_term.low.tolist()
    assert np.abs(by_tails.high - term_by_term.high).max() <= 1


@pytest.mark.parametrize("customers", [1, 2, 128])
def test_how_many_are_looked_at_together_changes_no_bit(customers, monkeypatch):
    rng = np.random.default_rng(customers)
    age = rng.uniform(0, 200, customers)
    who = Purchases(rng.integers(0, 60, customers).astype(float), age * rng.random(customers), age)
    in_blocks, mean = orders_ahead(MODEL, who, 30.0), expected_orders(MODEL, who, 52.0)
    monkeypatch.setattr(module, "_A_FEW", 0)
    in_place = orders_ahead(MODEL, who, 30.0)
    for name in module.OrdersAhead.__slots__:
        assert getattr(in_blocks, name).tolist() == getattr(in_place, name).tolist()
    assert mean.tolist() == expected_orders(MODEL, who, 52.0).tolist()


def test_a_horizon_far_beyond_what_is_known_takes_no_room(monkeypatch):
    model = LifetimeModel(0.24, 0.05, 0.8, 2.4)
    found = orders_ahead(model, one(0, 0, 0), 52.0)  # rates that may be anything: tails of tens of thousands
    monkeypatch.setattr(module, "_FAR", np.inf)
    monkeypatch.setattr(module, "_LARGE", np.inf)
    assert found.expected == pytest.approx(orders_ahead(model, one(0, 0, 0), 52.0).expected, rel=1e-3)


@settings(max_examples=50, deadline=None)
@given(
    st.tuples(*[st.floats(1e-2, 1e3)] * 4),
    st.sampled_from([0, 1, 50, 10_000]),
    st.sampled_from([0.0, 1 / 7, 100.0]),
)
def test_what_is_extreme_stays_a_number(parameters, x, age):
    model, who = LifetimeModel(*parameters), one(x, age if x else 0, age)
    sooner, later = orders_ahead(model, who, 30 / 7), orders_ahead(model, who, 365 / 7)
    for found in (sooner, later):
        for column in (found.expected, found.any, found.low, found.high, found.log_mean, found.log_variance):
            assert np.isfinite(column).all()
            assert (column >= 0).all()
        assert (found.low <= found.high).all()
        assert (found.any <= np.minimum(found.expected, 1) + 1e-6).all()
    assert later.expected[0] >= sooner.expected[0] * (1 - 1e-6)
    assert later.high[0] >= sooner.high[0]


def test_value_ahead_is_that_of_a_simulation():
    rng = np.random.default_rng(3)
    value, amounts = ValueModel(3.0, 4.0, 90.0), Amounts(np.array([5.0]), np.array([42.0]))
    who = one(4, 30, 33)
    count = simulated(MODEL, who, 52.0, rng)
    rate = rng.gamma(value.shape(amounts)[0], 1 / value.scale(amounts)[0], DRAWS)
    spent = np.where(count > 0, rng.gamma(value.p * np.maximum(count, 1)) / rate, 0)
    found = value_ahead(value, amounts, orders_ahead(MODEL, who, 52.0))
    assert found.expected[0] == pytest.approx(spent.mean(), rel=0.02)
    assert ((spent >= found.low[0]) & (spent <= found.high[0])).mean() == pytest.approx(0.9, abs=0.015)


@pytest.mark.parametrize("leaving", ["after a purchase", "at any time"])
def test_intervals_cover_what_they_promise_in_a_shop_with_known_lifetimes(leaving):
    shop = known_shop(Tastes(leaving=leaving), seed=5)
    lifetime, value = fit_lifetime(shop.purchases).model, fit_value(shop.amounts).model
    found = forecast(lifetime, value, shop.purchases, shop.amounts)
    for days, ahead in found.ahead.items():
        orders, spend = shop.orders[days], shop.spend[days]
        covered = (orders >= ahead.orders.low) & (orders <= ahead.orders.high)
        paid = (spend >= ahead.value.low) & (spend <= ahead.value.high)
        open_ = ahead.orders.any > 0.1  # of all others it is all but certain that they buy nothing
        assert 0.85 <= covered[open_].mean() <= 0.95
        assert 0.85 <= paid[open_].mean() <= 0.95
        assert covered.mean() >= 0.9
        assert orders.sum() == pytest.approx(ahead.orders.expected.sum(), rel=0.1)
    if leaving == "after a purchase":
        deciles = np.array_split(np.argsort(found.active), 10)
        assert max(abs(found.active[part].mean() - shop.active[part].mean()) for part in deciles) < 0.08
