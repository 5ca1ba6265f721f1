from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.times import DAY
from online_model.features import (
    FEATURES,
    MISSING_TIME,
    FeatureSet,
    UnknownFeatureError,
    bought,
    decayed,
    median_order_value,
)

NOW = 1_700_000_000_000_000


def rows(**columns):
    n = len(next(iter(columns.values())))
    default = {
        "first_at": np.full(n, NOW, np.int64),
        "last_at": np.full(n, NOW, np.int64),
        "newest_at": np.full(n, NOW, np.int64),
        "orders": np.ones(n, np.uint32),
        "orders_decayed": np.ones(n),
        "net_decayed": np.zeros(n),
        "recent_net": np.zeros(n),
        "spend": np.zeros(n),
        "refunds": np.zeros(n),
        "units": np.zeros(n, np.int64),
        "purchase_days": np.full(n, 2, np.uint32),
    }
    return SimpleNamespace(**{**default, **{name: np.asarray(column) for name, column in columns.items()}})


def test_the_default_three_follow_their_formulas():
    row = rows(
        last_at=[NOW - 30 * DAY],
        newest_at=[NOW - 10 * DAY],
        orders_decayed=[4.0],
        net_decayed=[500.0],
    )
    X = FeatureSet.of().features(row, NOW, order_value=100.0)
    keep = 2 ** -(10 / 365)
    assert FeatureSet.of().names == ("recency", "frequency", "monetary")
    np.testing.assert_allclose(X, [[np.log(2), np.log1p(4 * keep), np.log1p(5 * keep)]], rtol=1e-12)


def test_who_never_bought_has_no_features_at_all():
    row = rows(last_at=[MISSING_TIME, NOW], first_at=[MISSING_TIME, NOW], newest_at=[NOW, NOW], net_decayed=[-5.0, 5.0])
    X = FeatureSet.of(tuple(FEATURES)).features(row, NOW, 1.0)
    assert np.isnan(X[0]).all()
    assert np.isfinite(X[1]).all()
    assert bought(row).tolist() == [False, True]


def test_more_refunds_than_spend_count_as_no_money():
    assert FeatureSet.of(["monetary"]).features(rows(net_decayed=[-500.0]), NOW, 100.0).tolist() == [[0.0]]


def test_an_event_from_the_future_does_not_make_an_age_negative():
    row = rows(last_at=[NOW + DAY], newest_at=[NOW + DAY], first_at=[NOW + DAY], orders_decayed=[3.0])
    X = FeatureSet.of(["recency", "frequency", "tenure"]).features(row, NOW, 1.0)
    np.testing.assert_allclose(X, [[0, np.log(4), 0]])


@given(st.just(0.0) | st.floats(0.01, 1e9), st.integers(0, 4000), st.integers(0, 4000))
def test_decaying_in_two_steps_is_decaying_in_one(value, first, second):
    start = np.array([NOW])
    once = decayed(np.array([value]), start, NOW + (first + second) * DAY, 365 * DAY)
    between = decayed(np.array([value]), start, NOW + first * DAY, 365 * DAY)
    twice = decayed(between, start + first * DAY, NOW + (first + second) * DAY, 365 * DAY)
    np.testing.assert_allclose(once, twice, rtol=1e-12)


@pytest.mark.parametrize("names", [[], ["recency", "recency"], ["recency", "colour"]])
def test_names_must_be_known_and_different(names):
    with pytest.raises(UnknownFeatureError, match="recency"):
        FeatureSet.of(names)


def test_every_feature_says_its_unit_and_transform():
    for name, feature in FEATURES.items():
        assert feature.name == name
        assert all((feature.unit, feature.transform, feature.function))


def test_the_median_order_value_is_over_customers_with_orders():
    spend = np.array([100.0, 40.0, 0.0, 7.0])
    assert median_order_value(spend, np.array([10, 2, 0, 1], np.uint32)) == 10.0


@pytest.mark.parametrize(
    ("spend", "orders", "value"),
    [([], [], 1.0), ([0.0], [0], 1.0), ([0.0, 0.0], [1, 2], 1.0), ([0.0, 0.0, 6.0], [1, 1, 2], 3.0)],
)
def test_the_median_order_value_is_above_zero_whatever_there_is(spend, orders, value):
    assert median_order_value(np.array(spend), np.array(orders, np.uint32)) == value
