import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from contracts.times import DAY
from online_model.metric import Metric
from online_model.model import LAPSED, Segment, SegmentModel
from online_model.truth import TRUE_SHARE, barred, holds, share_beyond

LONG_AGO = -(2**62)


def model(*active, margin=0.1, features=("recency", "frequency"), centroids=None):
    k = len(active)
    return SegmentModel(
        version=1,
        features=features,
        order_value=1.0,
        metric=Metric(np.zeros(len(features)), np.ones(len(features))),
        centroids=np.array(centroids) if centroids is not None else np.column_stack([np.arange(k), np.arange(k)]) * 1.0,
        segments=tuple(Segment(place + 1, f"S{place + 1}", active=one) for place, one in enumerate(active)),
        seed=0,
        margin=margin,
        dwell=DAY,
        adopted_at=0,
        reason="",
        gain=0.0,
        purchases=1,
        buyers=1,
        next_segment_id=k + 1,
        sizes=(0,) * k,
        inertia=0.0,
        lapse_days=90,
    )


def published(one, days, frequency, current, since=LONG_AGO, now=0):
    X = np.column_stack([np.log1p(np.asarray(days, float) / 30), np.asarray(frequency, float)])
    current = np.asarray(current, np.int32)
    return one.publish(X, one.assign(X), current, np.full(len(X), since), now).tolist()


def test_a_word_is_true_of_seven_in_ten():
    values = np.arange(10.0)
    assert share_beyond(values[3:], values, above=True) == pytest.approx(5 / 7)
    assert share_beyond(values[3:], values, above=False) == pytest.approx(2 / 7)
    assert (holds(TRUE_SHARE), holds(0.69), holds(0.66, in_use=True), holds(0.64, in_use=True)) == (
        True,
        False,
        True,
        False,
    )


def test_members_on_the_median_and_unknown_ones_are_on_neither_side():
    values = np.array([1.0, 1.0, 1.0, np.nan])
    assert share_beyond(values, values, above=True) == share_beyond(values, values, above=False) == 0
    assert share_beyond(np.array([np.nan]), values, above=True) == 0
    assert share_beyond(values, np.array([np.nan]), above=True) == 0


def test_only_who_has_lapsed_is_barred_and_only_where_the_name_would_be_false():
    days = np.array([90.0, 90.1, np.nan])
    assert barred(days, np.array([True, False]), 90).tolist() == [[False, False], [True, False], [False, False]]


def test_who_has_lapsed_is_in_the_nearest_segment_whose_name_is_not_false_whatever_margin_and_dwell():
    one = model(True, False, False, centroids=[[1.4, 9.0], [1.4, 5.0], [1.4, 0.0]])
    assert published(one, [80, 95], [9, 9], [1, 1]) == [1, 2]
    assert published(one, [95], [9], [1], since=0, now=1) == [2], "no dwell holds a customer in a false name"
    assert published(one, [95], [9], [2]) == [2], "nor does anybody come back while silent"
    assert published(one, [0], [9], [2]) == [1], "after the next order it is true again"


def test_where_every_name_is_false_the_rule_says_lapsed():
    one = model(True, True)
    assert published(one, [10, 100], [0, 0], [1, 1]) == [1, LAPSED]
    assert published(one, [100], [0], [LAPSED]) == [LAPSED]
    assert published(one, [0], [0], [LAPSED]) == [1]


def test_what_is_published_does_not_change_where_no_name_is_false():
    rng = np.random.default_rng(3)
    days, frequency = rng.uniform(0, 300, 200), rng.uniform(0, 3, 200)
    current = rng.integers(1, 4, 200)
    plain, careful = model(False, False, False), model(True, True, False)
    recent = np.minimum(days, 90)
    assert published(plain, recent, frequency, current) == published(careful, recent, frequency, current)
    assert published(plain, days, frequency, current) != published(careful, days, frequency, current)


def test_recency_can_be_given_where_it_is_no_feature():
    one = model(True, False, features=("monetary", "frequency"), centroids=[[0.0, 0.0], [9.0, 9.0]])
    X, ids, since = np.zeros((3, 2)), np.ones(3, np.int32), np.full(3, LONG_AGO)
    assert one.publish(X, one.assign(X), ids, since, 0).tolist() == [1, 1, 1]
    days = np.array([5.0, 100.0, np.nan])
    assert one.publish(X, one.assign(X), ids, since, 0, days).tolist() == [1, 2, 1]


@given(
    st.lists(st.booleans(), min_size=1, max_size=5).map(tuple),
    arrays.arrays(float, (12, 2), elements=st.floats(0, 6)),
    st.lists(st.integers(-1, 6), min_size=12, max_size=12),
    st.integers(1, 400),
)
def test_no_name_is_ever_false_and_time_alone_never_lets_anybody_back(active, X, current, later):
    one = model(*active)
    current = np.array(current, np.int32)
    flags = dict(enumerate(active, 1))
    was_lapsed = np.zeros(12, bool)
    for passed in (0, later):
        days = np.expm1(X[:, 0]) * 30 + passed
        now_X = np.column_stack([np.log1p(days / 30), X[:, 1]])
        current = one.publish(now_X, one.assign(now_X), current, np.full(12, LONG_AGO), 0)
        lapsed = days > 90 + 1e-9
        assert not any(flags.get(segment) for segment in current[lapsed].tolist())
        assert not np.any(was_lapsed & ~lapsed)
        was_lapsed = lapsed
        assert set(current[~lapsed & (days < 90 - 1e-9)].tolist()) <= set(flags), "whoever is active is in a learnt one"
