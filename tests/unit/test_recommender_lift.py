"""A lift has an interval that holds what it says; without enough data there is none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from recommender.lift import MIN_BUYERS, MIN_CUSTOMERS, Moments, missing, relative_lift, wilson


def moments(values):
    return Moments(len(values), float(np.sum(values)), float(np.sum(np.square(values))))


def spending(rng, customers, lift=0.0):
    """Skewed as a shop's: a third order nothing, the others log-normally, who spends more orders more."""
    buys = rng.random(customers) < 0.65
    return buys * rng.lognormal(3.0, 0.8, customers) * (1 + lift)


def coverage(lift, runs=200):
    covered = told = 0
    for seed in range(runs):
        rng = np.random.default_rng([seed, 5])
        found = relative_lift(moments(spending(rng, 4500, lift)), moments(spending(rng, 500)))
        assert found is not None
        assert found.low <= found.value <= found.high
        covered += found.low <= lift <= found.high
        told += found.low > 0
    return covered / runs, told / runs


@pytest.mark.parametrize("lift", [0.0, 0.25, -0.2])
def test_the_interval_covers_the_true_lift_in_about_95_of_100_experiments(lift):
    """With exactly 95 %, 200 runs lie outside 90 … 99.5 % once in a thousand; the seeds are fixed."""
    covered, _ = coverage(lift)
    assert 0.90 <= covered <= 0.995


def test_a_large_lift_is_found_and_none_is_rarely_found_where_there_is_none():
    _, found = coverage(0.3)
    assert found > 0.9
    _, found = coverage(0.0)
    assert found < 0.08


@given(st.floats(0.5, 50), st.floats(0.5, 50), st.floats(0.1, 3), st.floats(0.1, 3), st.integers(0, 99))
def test_the_bounds_solve_fiellers_equation(a, b, sa, sb, seed):
    """They are where a Welch test of a - R·b stands exactly at 5 %."""
    rng = np.random.default_rng(seed)
    treated, control = moments(rng.normal(a, sa, 400)), moments(rng.normal(b, sb, 300))
    found = relative_lift(treated, control)
    if found is None:
        return
    va, vb = treated.variance_of_mean, control.variance_of_mean
    ratio = treated.mean / control.mean
    degrees = (va + ratio**2 * vb) ** 2 / (va**2 / 399 + (ratio**2 * vb) ** 2 / 299)
    t = stats.t.ppf(0.975, degrees)

    def off(r):
        return (treated.mean - r * control.mean) ** 2 - t**2 * (va + r**2 * vb)

    width = found.high - found.low
    low = optimize.brentq(off, found.low + 1 - width, ratio)
    high = optimize.brentq(off, ratio, found.high + 1 + width)
    assert (found.low + 1, found.high + 1) == (pytest.approx(low, rel=1e-6), pytest.approx(high, rel=1e-6))


def test_no_lift_over_a_mean_that_may_be_nothing():
    rng = np.random.default_rng(3)
    some = moments(rng.normal(5, 1, 300))
    assert relative_lift(some, moments(rng.normal(0.01, 5, 300))) is None
    assert relative_lift(some, moments(rng.normal(-3, 1, 300))) is None
    assert relative_lift(some, Moments(300, 0.0, 0.0)) is None


def test_what_is_missing_is_said():
    assert missing("held out", MIN_CUSTOMERS, MIN_BUYERS) == []
    few = missing("held out", MIN_CUSTOMERS - 3, MIN_BUYERS - 2)
    assert few == ["3 more customers held out", "2 more customers with an order held out"]


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilsons_interval_is_where_a_score_test_stands_at_5_percent(part, whole):
    part = min(part, whole)
    low, high = wilson(part, whole)
    assert 0 <= low <= part / whole <= high <= 1
    for bound in (low, high):
        if 1e-9 < bound < 1 - 1e-9:
            score = abs(part / whole - bound) / np.sqrt(bound * (1 - bound) / whole)
            assert score == pytest.approx(1.959964, rel=1e-5)


def test_nothing_shown_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)
