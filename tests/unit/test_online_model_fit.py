import numpy as np
import pytest
from sklearn.cluster import KMeans

from online_model.fit import TooFewPointsError, fit
from online_model.metric import Metric

NAN = np.nan


def shop(seed, n=3000):
    """Skewed, correlated, without clear groups: like real customers."""
    rng = np.random.default_rng(seed)
    frequency = np.log1p(rng.gamma(0.8, 4, n) + 1)
    money = frequency + rng.normal(0, 0.5, n)
    recency = np.log1p(rng.exponential(3, n)) - 0.3 * frequency
    return np.column_stack([recency, frequency, money])


@pytest.mark.parametrize("k", [2, 5, 8])
def test_as_good_as_scikit_learn_with_twenty_restarts(k):
    X = shop(4)
    metric = Metric.of_sample(X)
    theirs = KMeans(k, n_init=20, random_state=0).fit(X / metric.deviations)
    assert fit(X, k, metric, seed=1).inertia <= 1.001 * theirs.inertia_


def test_the_figures_belong_together():
    X = shop(5)
    X[::7, 1] = NAN
    X[3] = NAN
    metric = Metric.of_sample(X)
    found = fit(X, 4, metric, seed=1)
    labels, closest = metric.closest(X, found.centroids)
    np.testing.assert_array_equal(labels, found.labels)
    assert labels[3] == -1
    assert found.inertia == pytest.approx(closest.sum())
    again = fit(X, 4, metric, seed=99, start=found.centroids)
    np.testing.assert_allclose(again.centroids, found.centroids)


def test_the_same_seed_gives_the_same_bits():
    X = shop(6)
    metric = Metric.of_sample(X)
    one, two = fit(X, 6, metric, seed=3), fit(X.copy(), 6, metric, seed=3)
    assert one.centroids.tobytes() == two.centroids.tobytes()


def test_groups_are_found_though_a_third_of_the_values_is_missing():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 900)
    X = np.array([[0.0, 0, 0], [10, 0, 10], [0, 10, 10]])[truth] + rng.normal(0, 0.5, (900, 3))
    X[rng.random(X.shape) < 0.3] = NAN
    X[:3] = [[0, 0, 0], [10, 0, 10], [0, 10, 10]]
    found = fit(X, 3, Metric.euclidean(3), seed=1)
    two_seen = np.count_nonzero(~np.isnan(X), axis=1) >= 2
    truth[:3] = [0, 1, 2]
    named = found.labels[:3]
    assert (found.labels[two_seen] == named[truth[two_seen]]).mean() > 0.95


def test_duplicates_are_no_obstacle():
    X = np.repeat([[0.0, 0], [1, 1], [5, 5]], 50, axis=0)
    assert fit(X, 3, Metric.of_sample(X), seed=1).inertia == 0


@pytest.mark.parametrize(
    "X", [np.empty((0, 2)), np.zeros((2, 2)), np.repeat([[0.0, 0], [1, 1]], 9, axis=0), np.full((9, 2), NAN)]
)
def test_fewer_different_customers_than_segments_is_an_error_of_its_own(X):
    with pytest.raises(TooFewPointsError, match="smaller k"):
        fit(X, 3, Metric.of_sample(X), seed=1)


def test_an_empty_cluster_at_the_start_is_put_to_use():
    X = shop(7, n=200)
    metric = Metric.of_sample(X)
    start = np.vstack([X[:2], np.full((1, 3), 1e6)])
    assert np.bincount(fit(X, 3, metric, seed=1, start=start).labels, minlength=3).min() > 0
