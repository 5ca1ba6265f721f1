import numpy as np
import pytest

from online_model.adoption import first_model
from online_model.clusterer import OnlineClusterer, RiverKMeans, clusterer_for
from online_model.kmeans import CustomerKMeans, NotSeededError
from online_model.metric import Metric
from online_model.settings import ModelSettings
from online_model.sums import Votes


def customers():
    rng = np.random.default_rng(0)
    return np.array([[0.0, 0, 0], [9, 0, 5], [0, 9, 5]])[rng.integers(0, 3, 600)] + rng.normal(0, 1, (600, 3))


@pytest.mark.parametrize(("name", "kind"), [("means", CustomerKMeans), ("river", RiverKMeans)])
def test_settings_choose_and_both_learn_through_the_seam(name, kind):
    X = customers()
    settings = ModelSettings(k=3, clusterer=name)
    model = first_model(X, 1.0, 3, 10, 0, settings=settings)
    clusterer: OnlineClusterer = clusterer_for(model, settings, partitions=2)
    assert isinstance(clusterer, kind)
    np.testing.assert_array_equal(clusterer.assign(X), model.assign(X))
    np.testing.assert_allclose(clusterer.centroids(), model.centroids, atol=1e-9)
    moved = X + 1
    for start in range(0, 600, 100):
        part = moved[start : start + 100]
        clusterer.learn(None, Votes(np.zeros(len(part), np.int32), clusterer.assign(part), part))
    np.testing.assert_allclose(clusterer.centroids(), model.centroids + 1, atol=0.6)
    np.testing.assert_array_equal(clusterer.assign(X), model.assign(X))
    assert clusterer.sums.merged().total == 600


def test_river_gets_what_is_observed_only_and_no_votes_that_are_none():
    clusterer = RiverKMeans(halflife=0.5)
    clusterer.adopt(np.array([[0.0, 0.0], [8.0, 8.0]]), Metric(np.array([4.0, 4.0]), np.array([2.0, 0.0])))
    X = np.array([[7.0, np.nan], [np.nan, np.nan]])
    clusterer.learn(None, Votes(np.zeros(2, np.int32), clusterer.assign(X), X))
    assert clusterer.centroids().tolist() == [[0.0, 4.0], [7.5, 4.0]]


def test_river_needs_centroids_first():
    clusterer = RiverKMeans()
    for call in (lambda: clusterer.assign(np.zeros((1, 1))), clusterer.centroids, lambda: clusterer.learn(None, None)):
        with pytest.raises(NotSeededError):
            call()
