"""Intervals and smallest detectable effects: against scipy, and against campaigns whose effect is known."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.campaign import made_shop
from consumer.layout import HEAD, HEADER, MISSING_TIME
from contracts.times import DAY
from livesegments.campaigns.effect import (
    conversion_effect,
    detectable_conversion,
    detectable_spend,
    slope,
    spend_effect,
)
from livesegments.campaigns.recent import RecentRows, recent_behaviour, spend_before


def test_without_a_covariate_it_is_welch():
    rng = np.random.default_rng(1)
    treated = rng.random(500) < 0.8
    spend = rng.lognormal(2, 1, 500) * (rng.random(500) < 0.3)
    found = spend_effect(spend, np.zeros(500), treated)
    expected = stats.ttest_ind(spend[treated], spend[~treated], equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.value == pytest.approx(spend[treated].mean() - spend[~treated].mean())


def test_what_was_spent_before_narrows_the_interval_and_keeps_its_middle_in_the_mean():
    wide, narrow = [], []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        treated = rng.random(400) < 0.5
        before = rng.lognormal(3, 1, 400)
        spend = 0.5 * before + rng.normal(0, 10, 400) + 4.0 * treated
        assert slope(spend, before, treated) == pytest.approx(0.5, abs=0.15)
        with_it, without = spend_effect(spend, before, treated), spend_effect(spend, np.zeros(400), treated)
        narrow.append((with_it.value, with_it.high - with_it.low))
        wide.append((without.value, without.high - without.low))
    assert np.mean(narrow, axis=0)[0] == pytest.approx(4.0, abs=0.5)
    assert np.mean(narrow, axis=0)[1] < 0.8 * np.mean(wide, axis=0)[1]


@pytest.mark.parametrize(("treated", "control"), [((0, 10), (0, 10)), ((10, 10), (0, 10)), ((1, 1), (1, 3))])
def test_shares_of_nobody_and_everybody_have_an_interval(treated, control):
    found = conversion_effect(treated, control)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


def test_the_detectable_effect_is_seen_four_times_in_five():
    rng = np.random.default_rng(3)
    treated, control, share = 4500, 500, 0.08
    rise = detectable_conversion(share, treated, control)
    seen = [
        conversion_effect(
            (int(rng.binomial(treated, share + rise)), treated), (int(rng.binomial(control, share)), control)
        ).low
        > 0
        for _ in range(2000)
    ]
    assert np.mean(seen) == pytest.approx(0.8, abs=0.05)
    assert detectable_conversion(0.5, 3, 2) is None
    assert detectable_spend(10.0, 100, 100) == pytest.approx(2.8016 * 10 * 0.02**0.5, rel=1e-4)


def test_campaigns_with_known_effects():
    """200 campaigns of `python -m benchmarks.campaign`, on a smaller shop."""
    found = made_shop(4_000, 200, seed=1)
    for name in ("no_effect", "detectable_spend", "detectable_conversion"):
        for measure in ("conversion", "net_spend"):
            assert 0.91 <= found[name][measure]["covered"] <= 0.99, (name, measure)
    for measure in ("conversion", "net_spend"):
        assert found["no_effect"][measure]["called_significant"] <= 0.08
    assert found["detectable_spend"]["net_spend"]["called_significant"] == pytest.approx(0.8, abs=0.1)
    assert found["detectable_conversion"]["conversion"]["called_significant"] == pytest.approx(0.8, abs=0.1)


def row(at, values, now):
    """A row with these orders, and its heads."""
    header = np.zeros(1, HEADER)
    header["newest_at"] = header["last_at"] = newest = max(at, default=MISSING_TIME)
    header["orders"] = len(at)
    header["spend"] = round(sum(values) * 1e6)
    for name, half_life in (("net_decayed", 365), ("recent_net", 90)):
        header[name] = sum(v * 2.0 ** ((t - newest) / half_life / DAY) for t, v in zip(at, values, strict=True))
    heads = np.zeros(len(at), HEAD)
    heads["at"] = at
    return header, heads.tobytes()


def test_up_to_three_orders_are_told_apart_exactly():
    now = 20_000 * DAY
    told = [
        row([now - 300 * DAY, now - 100 * DAY, now - 3 * DAY], [10.0, 200.0, 35.0], now),
        row([now - 40 * DAY, now - 20 * DAY], [7.0, 90.0], now),
        row([now - DAY], [12.0], now),
        row([now - 200 * DAY], [50.0], now),
        row([], [], now),
    ]
    rows = RecentRows(np.concatenate([header for header, _ in told]), [heads for _, heads in told])
    found = recent_behaviour(rows, now - 28 * DAY)
    spent = np.array([35.0, 90.0, 12.0, 0.0, 0.0])
    assert (found.customers, found.buyers) == (5, 3)
    assert found.mean == pytest.approx(spent.mean())
    assert found.deviation == pytest.approx(spent.std())
    assert 0 <= found.told <= 1
    assert spend_before(rows.header, now)[3:].tolist() == pytest.approx([50 * 2 ** (-200 / 90), 0.0])
    assert recent_behaviour(RecentRows(rows.header[:0], []), now).customers == 0


def test_orders_at_one_moment_and_more_than_are_kept_do_no_harm():
    now = 20_000 * DAY
    same = row([now - DAY] * 5, [10.0] * 5, now)
    many = row([now - n * DAY for n in range(100)], [10.0] * 100, now)
    many[0]["orders"] = 150
    many[0]["spend"] = 1_500 * 10**6
    rows = RecentRows(np.concatenate([same[0], many[0]]), [same[1], many[1]])
    found = recent_behaviour(rows, now - 28 * DAY - 1)
    assert found.mean == pytest.approx((50 + 290) / 2, rel=1e-6)
    assert np.isfinite([found.deviation, found.told, found.unexplained]).all()
