import math
import statistics
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.times import DAY, HOUR, to_micros
from online_model.arrays import ShapeError
from online_model.features import MISSING_TIME
from online_model.rhythm import YEAR, Rhythm

NOW = 20_000 * DAY


def rhythm(*customers):
    """The rhythm of customers whose purchases are at these times."""
    owners = np.repeat(np.arange(len(customers)), [len(times) for times in customers])
    return Rhythm.of(owners, np.array([at for times in customers for at in times], np.int64), len(customers))


def days(*numbers):
    return [number * DAY + 9 * HOUR for number in numbers]


def dates(*texts):
    return [to_micros(datetime.fromisoformat(text).replace(tzinfo=UTC)) for text in texts]


def plain(times, now):
    """One customer's rhythm in plain Python: the definition."""
    on = sorted({at // DAY for at in times})
    gaps = [after - before for before, after in pairwise(on)]
    gap = statistics.median(gaps) if gaps else math.nan
    measured = len(on) >= 4
    overdue = max(now - max(times), 0) / DAY / gap if measured else math.nan
    expected = max(times) + round(gap * DAY) if measured else MISSING_TIME
    begins = plain_season(on)
    if begins != MISSING_TIME:
        expected = begins + YEAR
    return len(on), gap, overdue, expected, begins


def plain_season(on):
    if len(on) < 3:
        return MISSING_TIME
    times = [day * DAY for day in on]
    phases = sorted(at % YEAR for at in times)
    pauses = [(phases[0] + YEAR if i + 1 == len(on) else phases[i + 1]) - phase for i, phase in enumerate(phases)]
    longest = max(pauses)
    begin = phases[(pauses.index(longest) + 1) % len(on)]
    stretch = YEAR - longest
    years = {(at - begin) // YEAR for at in times}
    likely = len(on) * (stretch / YEAR) ** (len(on) - 1)
    return begin + max(years) * YEAR if stretch <= 60 * DAY and likely <= 0.05 and len(years) > 1 else MISSING_TIME


anytime = st.integers(-100 * DAY, NOW)
in_season = st.builds(lambda year, day: year * YEAR + day * DAY, st.integers(0, 6), st.integers(340, 402))
purchases = st.one_of(st.lists(anytime, max_size=12), st.lists(in_season, max_size=6))


@given(st.lists(purchases, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_all_at_once_is_each_in_plain_python(customers, random):
    pairs = [(owner, at) for owner, times in enumerate(customers) for at in times]
    random.shuffle(pairs)
    owners, times = (np.array([pair[place] for pair in pairs], np.int64) for place in (0, 1))
    got = Rhythm.of(owners, times, len(customers))
    overdue, expected = got.overdue(NOW), got.next_expected()
    for customer, times in enumerate(customers):
        if not times:
            assert got.purchase_days[customer] == 0
            assert got.last_at[customer] == expected[customer] == got.season_begins[customer] == MISSING_TIME
            assert np.isnan([got.median_gap[customer], overdue[customer]]).all()
            continue
        one = (got.purchase_days[customer], got.median_gap[customer], overdue[customer], expected[customer])
        np.testing.assert_equal([*one, got.season_begins[customer]], plain(times, NOW))
        assert got.last_at[customer] == max(times)


def test_overdue_counts_in_the_customers_own_gaps():
    weekly, monthly = days(0, 7, 14, 21), days(0, 30, 60, 90)
    got = rhythm(weekly, monthly)
    assert got.median_gap.tolist() == [7, 30]
    np.testing.assert_allclose(got.overdue(days(35)[0]), [2, 0])
    assert got.next_expected().tolist() == days(28, 120)


def test_three_gaps_make_a_rhythm_and_orders_of_one_day_count_once():
    got = rhythm(days(0, 7, 14), [*days(0, 7, 14), 14 * DAY], [0, 1, HOUR, 5 * HOUR])
    assert got.purchase_days.tolist() == [3, 3, 1]
    assert np.isnan(got.overdue(NOW)).all()
    assert (got.next_expected() == MISSING_TIME).all()


def test_a_clock_behind_the_last_purchase_makes_nobody_early():
    assert rhythm(days(0, 7, 14, 21)).overdue(0).tolist() == [0]


def test_whoever_buys_before_christmas_only_is_seasonal():
    christmas = dates("2022-12-10", "2023-12-03", "2024-12-18")
    over_new_year = dates("2022-12-28", "2024-01-03", "2024-12-30")
    all_year = dates("2022-12-10", "2023-06-03", "2024-12-18")
    once = dates("2023-12-01", "2023-12-10", "2024-01-05")
    got = rhythm(christmas, over_new_year, all_year, once)
    assert got.seasonal.tolist() == [True, True, False, False]


def test_three_days_within_two_months_may_be_chance_five_are_not():
    three = dates("2022-05-01", "2023-06-20", "2023-06-25")
    five = dates("2022-05-01", "2022-05-03", "2023-06-20", "2023-06-22", "2024-05-15")
    assert rhythm(three, five).seasonal.tolist() == [False, True]


def test_silence_means_nothing_until_the_next_season():
    got = rhythm(dates("2022-12-10", "2023-12-03", "2024-12-18"), days(0, 7, 14, 21))
    (begins,) = dates("2025-12-03")
    assert abs(got.next_expected()[0] - begins) <= DAY
    assert got.out_of_season(begins - 2 * DAY).tolist() == [True, False]
    assert got.out_of_season(begins + 2 * DAY).tolist() == [False, False]


def test_owners_and_times_must_pair():
    with pytest.raises(ShapeError):
        Rhythm.of(np.array([0, 1]), np.array([NOW]), 2)


@pytest.mark.parametrize("n", [3, 4, 6])
def test_of_those_who_buy_at_random_one_in_twenty_is_called_seasonal_at_most(n):
    times = np.random.default_rng(n).integers(0, 3 * YEAR, (5000, n))
    got = Rhythm.of(np.repeat(np.arange(5000), n), times.ravel(), 5000)
    assert 0 < got.seasonal.mean() < 0.055 / (n - 2)
