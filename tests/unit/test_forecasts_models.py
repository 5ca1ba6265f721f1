"""BG/NBD, MBG/NBD and Gamma–Gamma against their definitions: integrals over what is not known of a customer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import approx_fprime
from scipy.special import betaln, log_expit

from contracts.times import DAY, HOUR
from online_model.arrays import ShapeError
from online_model.features import MISSING_TIME
from online_model.forecasts.lifetime import LifetimeModel
from online_model.forecasts.purchases import Purchases
from online_model.forecasts.value import Amounts, ValueModel

FAMILIES = ("bg/nbd", "mbg/nbd")
parameter = st.floats(0.1, 5.0)


@st.composite
def customers(draw):
    """One customer who can be: no repeat purchase means that the last is the first."""
    repeats = draw(st.integers(0, 6))
    last = draw(st.floats(0.1, 20)) if repeats else 0.0
    return repeats, last, last + draw(st.floats(0, 30))


def one(x, last, age) -> Purchases:
    return Purchases(np.array([float(x)]), np.array([last]), np.array([age]))


GRID = np.linspace(-60, 12, 20_001)
"""Logarithms of rates. The trapezoidal rule over a smooth bump that ends flat at both sides is all but exact."""
LOGITS = np.linspace(-45, 45, 20_001)


def over_rates(log_weight):
    return np.exp(log_weight + GRID).sum() * (GRID[1] - GRID[0])


def over_drop_outs(log_weight):
    return np.exp(log_weight + log_expit(LOGITS) + log_expit(-LOGITS)).sum() * (LOGITS[1] - LOGITS[0])


def by_integration(model, x, last, age):
    """The two addends of the likelihood (still active, dropped out at the last purchase), as integrals over λ and p."""
    chances = x + (model.family == "mbg/nbd")
    rate = np.exp(GRID)
    log_rate = stats.gamma(model.r, scale=1 / model.alpha).logpdf(rate) + x * GRID
    log_drop = (model.a - 1) * log_expit(LOGITS) + (model.b - 1) * log_expit(-LOGITS) - betaln(model.a, model.b)
    stayed = over_drop_outs(log_drop + chances * log_expit(-LOGITS))
    left = over_drop_outs(log_drop + log_expit(LOGITS) + (chances - 1) * log_expit(-LOGITS)) if chances else 0.0
    return stayed * over_rates(log_rate - rate * age), left * over_rates(log_rate - rate * last)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.floats(0.3, 4.0)] * 4), customers())
def test_likelihood_and_activity_are_those_of_the_definition(family, parameters, who):
    model = LifetimeModel(*parameters, family)
    active, gone = by_integration(model, *who)
    assert model.log_likelihood(one(*who))[0] == pytest.approx(np.log(active + gone), abs=1e-4)
    assert model.active(one(*who))[0] == pytest.approx(active / (active + gone), abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=40, deadline=None)
@given(st.tuples(*[parameter] * 4), customers())
def test_slopes_are_those_of_the_likelihood(family, parameters, who):
    def value(theta):
        return LifetimeModel(*theta, family).log_likelihood(one(*who))[0]

    slope = LifetimeModel(*parameters, family).gradient(one(*who))[0]
    assert slope == pytest.approx(approx_fprime(np.array(parameters), value, 1e-7), rel=1e-3, abs=1e-4)


def test_one_purchase_is_for_ever_under_bg_and_not_under_mbg():
    purchases = one(0, 0.0, 100.0)
    assert LifetimeModel(0.24, 4.4, 0.8, 2.4, "bg/nbd").active(purchases)[0] == 1
    assert LifetimeModel(0.24, 4.4, 0.8, 2.4).active(purchases)[0] < 0.8


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.floats(1e-3, 1e4)] * 4), st.sampled_from([0, 1, 10_000]), st.sampled_from([0.0, 1e-3, 2_000.0]))
def test_what_is_extreme_stays_finite(parameters, x, age):
    for family in FAMILIES:
        model, purchases = LifetimeModel(*parameters, family), one(x, age if x else 0.0, age)
        assert np.isfinite(model.log_likelihood(purchases)).all()
        assert np.isfinite(model.gradient(purchases)).all()
        assert 0 <= model.active(purchases)[0] <= 1


def test_statistics_of_rows():
    first = np.array([10 * DAY + 5 * HOUR, MISSING_TIME, 3 * DAY, 30 * DAY])
    last = np.array([24 * DAY + HOUR, MISSING_TIME, 3 * DAY + HOUR, 31 * DAY])
    found, bought = Purchases.of_rows(first, last, np.array([3, 0, 1, 2], np.uint32), 30 * DAY)
    assert bought.tolist() == [True, False, True, True]
    assert found.repeats.tolist() == [2, 0, 1]
    assert found.last.tolist() == [2, 0, 1 / 7]
    assert found.age.tolist() == [20 / 7, 27 / 7, 1 / 7]  # an event ahead of the clock makes nobody younger than 0
    with pytest.raises(ShapeError):
        Purchases.of_rows(first, last, np.array([1]), 0)


def test_every_combination_counts_as_often_as_it_is_there():
    rng = np.random.default_rng(0)
    last = rng.integers(0, 3, 200) / 7.0
    purchases = Purchases(rng.integers(0, 3, 200).astype(float), last, last + 1)
    distinct, counts = purchases.distinct()
    model = LifetimeModel(0.3, 4, 0.8, 2.0)
    assert len(distinct) <= 9
    assert counts @ model.log_likelihood(distinct) == pytest.approx(model.log_likelihood(purchases).sum())


@settings(max_examples=25, deadline=None)
@given(st.floats(0.5, 8), st.floats(1.1, 8), st.floats(0.5, 50), st.integers(1, 20), st.floats(0.1, 100))
def test_value_is_that_of_the_definition(p, q, gamma, x, mean):
    model, amounts = ValueModel(p, q, gamma), Amounts(np.array([float(x)]), np.array([mean]))
    rate = np.exp(GRID)
    of_mean = stats.gamma.logpdf(mean, p * x, scale=1 / (rate * x))
    likelihood = over_rates(stats.gamma(q, scale=1 / gamma).logpdf(rate) + of_mean)
    assert model.log_likelihood(amounts)[0] == pytest.approx(np.log(likelihood), abs=1e-4)
    posterior = stats.gamma(q + p * x, scale=1 / (gamma + x * mean))
    assert model.expected(amounts)[0] == pytest.approx(p * over_rates(posterior.logpdf(rate) - GRID), rel=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.5, 8), st.floats(1.1, 8), st.floats(0.5, 50), st.integers(1, 20), st.floats(0.1, 100))
def test_slopes_of_value(p, q, gamma, x, mean):
    amounts = Amounts(np.array([float(x)]), np.array([mean]))
    found = approx_fprime(np.array([p, q, gamma]), lambda theta: ValueModel(*theta).log_likelihood(amounts)[0], 1e-7)
    assert ValueModel(p, q, gamma).gradient(amounts)[0] == pytest.approx(found, rel=1e-3, abs=1e-4)


def test_who_gave_everything_back_is_worth_what_others_spend():
    amounts = Amounts.of_rows(np.array([100.0, 100.0, 50.0]), np.array([0.0, 100.0, 60.0]), np.array([2, 2, 1]))
    assert amounts.mean.tolist() == [50, 0, 0]
    assert amounts.positive.tolist() == [True, False, False]
    expected = ValueModel(6.25, 3.74, 15.44).expected(amounts)
    assert expected[1] == expected[2] == pytest.approx(6.25 * 15.44 / (3.74 - 1))
    assert expected[0] > expected[1]
