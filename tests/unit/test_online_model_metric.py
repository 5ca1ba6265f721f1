import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from online_model.arrays import NotFiniteError, ShapeError
from online_model.metric import Metric, missing_scale

NAN = np.nan
values = st.one_of(st.floats(-100, 100), st.just(NAN))


def by_hand(x, centroid, metric):
    seen = [f for f in range(len(x)) if not np.isnan(x[f])]
    terms = [((x[f] - centroid[f]) / metric.deviations[f]) ** 2 if metric.deviations[f] else 0 for f in seen]
    return sum(terms) * len(x) / len(seen) if seen else 0.0


@given(arrays(float, (7, 3), elements=values), arrays(float, (4, 3), elements=st.floats(-100, 100)))
def test_distances_are_over_what_is_observed_scaled_up(X, centroids):
    metric = Metric(np.zeros(3), np.array([0.5, 2.0, 0.0]))
    squared = metric.squared_distances(X, centroids)
    expected = [[by_hand(x, c, metric) for c in centroids] for x in X]
    np.testing.assert_allclose(squared, expected, rtol=1e-9, atol=1e-9)
    labels, closest = metric.closest(X, centroids)
    nothing = np.isnan(X).all(axis=1)
    np.testing.assert_array_equal(labels, np.where(nothing, -1, squared.argmin(axis=1)))
    np.testing.assert_array_equal(closest, squared.min(axis=1))


def test_a_constant_feature_tells_nobody_apart():
    X = np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 3.0]])
    metric = Metric.of_sample(X)
    assert metric.deviations[0] == 0
    assert metric.squared_distances(X, np.array([[77.0, 2.0]])).ravel().tolist() == pytest.approx([1.5, 0, 1.5])


@given(arrays(float, (30, 2), elements=st.one_of(st.floats(-1e3, 1e3), st.just(NAN))))
def test_the_moments_of_a_sample_are_numpy_s(X):
    X[0] = 1.0
    metric = Metric.of_sample(X)
    np.testing.assert_allclose(metric.means, np.nanmean(X, axis=0), atol=1e-9)
    np.testing.assert_allclose(metric.deviations, np.nanstd(X, axis=0), atol=1e-2)


def test_the_scale_of_a_row_is_all_over_observed():
    X = np.array([[1.0, 2.0, 3.0], [1.0, NAN, NAN], [NAN, NAN, NAN]])
    assert missing_scale(X).tolist() == [1, 3, 0]


def test_what_is_no_feature_matrix_is_refused():
    metric = Metric.euclidean(2)
    with pytest.raises(NotFiniteError, match="NaN"):
        metric.nearest(np.array([[np.inf, 0.0]]), np.zeros((1, 2)))
    with pytest.raises(ShapeError, match="customers, 2"):
        metric.nearest(np.zeros((1, 3)), np.zeros((1, 2)))
    with pytest.raises(ShapeError, match="one mean"):
        Metric(np.zeros(2), np.zeros(3))


def test_nobody_has_no_nearest():
    assert Metric.euclidean(2).nearest(np.empty((0, 2)), np.zeros((3, 2))).shape == (0,)


def test_a_metric_does_not_change():
    deviations = np.ones(2)
    metric = Metric(np.zeros(2), deviations)
    deviations[0] = 5
    assert metric.deviations.tolist() == [1, 1]
    with pytest.raises(ValueError, match="read-only"):
        metric.means[0] = 1
