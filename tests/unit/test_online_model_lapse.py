import numpy as np
import pytest

from contracts.times import DAY, HOUR
from online_model.lapse import settled_lapse_days, usual_gap
from online_model.settings import ModelSettings

START = 19_000 * DAY


def purchases(gaps, customers=10):
    """Customers who all buy with these gaps, in days."""
    days = np.concatenate([[0], np.cumsum(gaps)])
    times = np.tile(START + days * DAY, customers)
    return np.repeat(np.arange(customers), len(days)), times


def test_most_gaps_are_shorter():
    gaps = [*range(1, 41)]
    assert usual_gap(*purchases(gaps)) == pytest.approx(np.quantile(gaps, 0.875))


def test_several_purchases_on_one_day_are_one():
    owners, times = purchases(range(1, 41))
    twice = np.sort(np.concatenate([times, times + HOUR]).reshape(2, -1).T.ravel())
    one = usual_gap(owners, times)
    order = np.lexsort((np.concatenate([times, times + HOUR]), np.concatenate([owners, owners])))
    assert len(twice) == len(order)
    both = np.concatenate([times, times + HOUR])[order]
    assert usual_gap(np.concatenate([owners, owners])[order], both) == one


def test_nothing_is_measured_on_a_short_history_or_few_gaps():
    assert usual_gap(*purchases([7] * 25)) is None, "175 days"
    assert usual_gap(*purchases([7] * 26)) == 7
    assert usual_gap(*purchases([200], customers=100)) is None
    assert usual_gap(np.empty(0, np.int64), np.empty(0, np.int64)) is None


@pytest.mark.parametrize(
    ("present", "measured", "settled"), [(90, None, 90), (90, 107.9, 90), (90, 108.1, 108), (90, 71, 71)]
)
def test_it_changes_only_clearly(present, measured, settled):
    assert settled_lapse_days(present, measured, ModelSettings()) == settled


def test_a_number_in_the_settings_is_the_number():
    assert settled_lapse_days(90, 20.0, ModelSettings(lapse_days=45)) == 45
    assert ModelSettings(lapse_days=45).first_lapse_days == 45
    assert ModelSettings().first_lapse_days == 90
