import os
import pickle
import random
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import cluster
from sklearn.cluster import KMeans

from online_model.arrays import NotFiniteError
from online_model.fit import TooFewPointsError
from online_model.kmeans import CustomerKMeans, NotSeededError
from online_model.metric import Metric
from online_model.sums import Votes


def blobs(n=600, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    return np.array([[0.0, 0], [8, 0], [0, 8]])[truth] + rng.normal(0, 1, (n, 2)), truth


def stream(n=120):
    rng = random.Random(1)
    return [({name: rng.gauss(0, 1) for name in "abcde"}, None) for _ in range(n)]


def test_it_is_river_s_kmeans_with_river_s_verbs():
    model = CustomerKMeans(n_clusters=3)
    assert isinstance(model, cluster.KMeans)
    assert model.predict_one({"a": 1.0}) == 0
    assert model.predict_many(np.zeros((2, 1))).tolist() == [0, 0]
    assert model.learn_predict_one({"a": 1.0}) == 0
    assert model.centers == {0: {"a": 1.0}}


def test_one_by_one_it_comes_near_batch_k_means():
    X, _ = blobs()
    model = CustomerKMeans(n_clusters=3, features=("x", "y"))
    for x, y in X.tolist():
        model.learn_one({"x": x, "y": y})
    batch = KMeans(3, n_init=20, random_state=0).fit(X)
    centers = np.array([[center["x"], center["y"]] for center in model.centers.values()])
    assert ((X[:, None] - centers) ** 2).sum(axis=2).min(axis=1).sum() <= 1.01 * batch.inertia_


def test_in_batches_of_frames_and_arrays_alike():
    X, truth = blobs()
    frame = pd.DataFrame(X, columns=["x", "y"])
    arrays, frames = CustomerKMeans(3, features=("x", "y")), CustomerKMeans(3, features=("x", "y"))
    for start in range(0, 600, 100):
        arrays.learn_many(X[start : start + 100])
        frames.learn_many(frame[["y", "x"]].iloc[start : start + 100])
    assert arrays.centers == frames.centers
    labels = frames.predict_many(frame)
    np.testing.assert_array_equal(labels, arrays.predict_many(X))
    assert [frames.predict_one(row) for row in frame.to_dict("records")] == labels.tolist()
    assert len(set(zip(labels, truth, strict=True))) <= 5


def test_a_vote_taken_back_leaves_no_trace():
    X, _ = blobs()
    with_it, without = CustomerKMeans(3, features=("x", "y")), CustomerKMeans(3, features=("x", "y"))
    with_it.revise_many(None, X)
    without.revise_many(None, X)
    votes = with_it.revise_many(None, np.array([[50.0, 50.0], [-9.0, 3.0]]))
    assert with_it.centers != without.centers
    assert with_it.revise_many(votes, None) is None
    for one, other in zip(with_it.centers.values(), without.centers.values(), strict=True):
        assert one == pytest.approx(other, rel=1e-9)


def test_a_heavy_buyer_has_one_vote():
    X, _ = blobs(60)
    model = CustomerKMeans(3, features=("x", "y"))
    model.revise_many(None, X)
    votes = model.revise_many(None, X[:1])
    for _ in range(100):
        votes = model.revise_many(votes, X[:1])
    assert model.sums.merged().total == 61


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=40))
def test_centroids_are_the_means_of_the_members(points):
    model = CustomerKMeans(2, features=("x", "y"))
    model.learn_many(np.array(points))
    X = np.array(points)
    if len(points) < 40:  # within the warm-up: a batch that has converged
        labels = model.predict_many(X)
        for place, center in model.centers.items():
            members = X[labels == place]
            if len(members):
                assert [center["x"], center["y"]] == pytest.approx(members.mean(axis=0).tolist(), abs=1e-9)


def test_predicting_never_changes_it():
    model = CustomerKMeans(3)
    for x, _ in stream(100):
        model.learn_one(x)
    before = pickle.dumps(model)
    model.predict_one({"a": 1.0, "never seen": 2.0})
    model.predict_one({})
    model.predict_many(np.zeros((4, 5)))
    assert pickle.dumps(model) == before


def test_fewer_different_votes_than_clusters_make_fewer_clusters():
    model = CustomerKMeans(5)
    for _ in range(4):
        model.learn_one({"a": 1.0})
    model.learn_one({"a": 3.0})
    assert sorted(center["a"] for center in model.centers.values()) == [1.0, 3.0]
    with pytest.raises(TooFewPointsError):
        CustomerKMeans(5).revise_many(None, np.ones((9, 2)))


def test_what_is_not_finite_is_refused_and_leaves_no_trace():
    model = CustomerKMeans(2)
    for value in (1.0, 2.0, 3.0):
        model.learn_one({"a": value})
    before = pickle.dumps(model)
    for value in (np.nan, np.inf):
        with pytest.raises(NotFiniteError):
            model.learn_one({"a": value})
    with pytest.raises(NotFiniteError):
        model.learn_many(np.array([[np.inf]]))
    assert pickle.dumps(model) == before


def test_before_anything_is_adopted_the_seam_says_so():
    model = CustomerKMeans(2)
    for call in (lambda: model.assign(np.zeros((1, 1))), model.centroids, lambda: model.learn(None, None)):
        with pytest.raises(NotSeededError, match=r"adopt|centroids"):
            call()
    with pytest.raises(NotSeededError, match="first call"):
        model.revise_many(None, None)


def test_in_the_service_adopted_centroids_assign_while_means_learn():
    model = CustomerKMeans(2, partitions=4)
    model.adopt(np.array([[0.0], [10.0]]), Metric.euclidean(1))
    X = np.array([[1.0], [2.0], [12.0]])
    votes = Votes(np.array([0, 3, 3], np.int32), model.assign(X), X)
    model.learn(None, votes)
    assert model.centroids().ravel().tolist() == [1.5, 12.0]
    assert model.assign(np.array([[5.5]])).tolist() == [1]
    model.adopt(model.centroids(), Metric.euclidean(1))
    assert model.assign(np.array([[6.5]])).tolist() == [0]
    assert model.sums.merged().total == 3


SCRIPT = """
import random
from online_model.kmeans import CustomerKMeans
rng = random.Random(0)
model = CustomerKMeans(3, seed=5)
for _ in range(150):
    model.learn_one({name: rng.gauss(0, 1) for name in ("recency", "frequency", "monetary")})
print(model.centers)
"""


def test_the_hash_seed_of_python_changes_nothing():
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
