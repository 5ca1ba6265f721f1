import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from online_model.arrays import ShapeError
from online_model.metric import Metric
from online_model.projection import Moments, ProjectionError, of_sample, project


def customers(seed, n, features, missing=0.0):
    """Correlated features of very different scale, some of them not observed."""
    rng = np.random.default_rng(seed)
    scales = 10.0 ** rng.integers(-2, 4, features)
    X = (rng.normal(0, 1, (n, features)) @ rng.normal(0, 1, (features, features))) * scales + 5 * scales
    X[rng.random(X.shape) < missing] = np.nan
    return X


@st.composite
def samples(draw, missing=0.3):
    return customers(
        draw(st.integers(0, 2**32)),
        draw(st.integers(8, 60)),
        draw(st.integers(1, 6)),
        draw(st.sampled_from([0.0, missing])),
    )


@given(samples(), st.sampled_from([2, 3]))
def test_it_is_scikit_learn_s_pca_up_to_sign(X, dimensions):
    metric = Metric.of_sample(X)
    ours = of_sample(X, metric, dimensions)
    seen = ~np.isnan(X).all(axis=1)
    filled = np.nan_to_num((X[seen] - metric.means) * np.sqrt(metric.precisions))
    theirs = PCA(min(dimensions, X.shape[1]), svd_solver="full").fit(filled)
    np.testing.assert_allclose(ours.variances, theirs.explained_variance_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.explained, theirs.explained_variance_ratio_, rtol=1e-6, atol=1e-9)
    spectrum = PCA(svd_solver="full").fit(filled).explained_variance_
    apart = np.abs(np.diff(np.append(spectrum, 0)))[: len(ours.variances)] > 1e-3
    cosines = np.abs((ours.components * theirs.components_).sum(axis=1))
    gaps = np.minimum(apart, np.append(True, apart[:-1]))
    np.testing.assert_allclose(cosines[gaps], 1, rtol=1e-6)
    there = np.abs(theirs.transform(filled))[:, gaps]
    np.testing.assert_allclose(np.abs(ours.place(X)[seen])[:, gaps], there, rtol=1e-4, atol=1e-4)
    assert np.isnan(ours.place(X)[~seen]).all()


@given(samples(), st.integers(0, 60))
def test_moments_of_parts_add_up_to_those_of_all(X, at):
    metric = Metric.of_sample(X)
    whole, parts = Moments.of(X, metric), Moments.of(X[:at], metric) + Moments.of(X[at:], metric)
    assert parts.customers == whole.customers
    np.testing.assert_allclose(parts.first, whole.first, atol=1e-9)
    np.testing.assert_allclose(parts.second, whole.second, atol=1e-9)


@given(samples(missing=0.0), st.randoms(use_true_random=False))
def test_neither_the_order_of_customers_nor_of_features_turns_the_picture_round(X, random):
    metric = Metric.of_sample(X)
    picture = of_sample(X, metric, 1)
    order = list(range(len(X)))
    random.shuffle(order)
    shuffled = of_sample(X[order], metric, 1)
    spectrum = np.linalg.eigvalsh(Moments.of(X, metric).covariance())[::-1]
    sizes = np.sort(np.abs(picture.components[0]))[::-1]
    if len(spectrum) > 1 and (spectrum[0] - spectrum[1] < 1e-3 or sizes[0] - sizes[1] < 1e-6):
        return  # no direction, or no coordinate, is the first
    np.testing.assert_allclose(shuffled.place(X), picture.place(X), atol=1e-6)
    turned = of_sample(X[:, ::-1], Metric(metric.means[::-1], metric.deviations[::-1]), 1)
    np.testing.assert_allclose(turned.place(X[:, ::-1]), picture.place(X), atol=1e-6)


def test_two_features_that_go_together():
    X = np.array([[0.0, 0.0], [1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    picture = of_sample(X, Metric.of_sample(X))
    np.testing.assert_allclose(picture.components, [[np.sqrt(0.5)] * 2, [np.sqrt(0.5), -np.sqrt(0.5)]])
    np.testing.assert_allclose(picture.explained, [1, 0], atol=1e-9)
    np.testing.assert_allclose(picture.loadings[0] ** 2, [4 / 3] * 2)
    assert (np.diff(picture.place(X)[:, 0]) > 0).all()
    np.testing.assert_allclose(picture.place(X).mean(axis=0), 0, atol=1e-9)


def test_a_constant_feature_has_no_say_and_fewer_features_make_fewer_dimensions():
    X = np.column_stack([np.arange(9.0), np.full(9, 7.0)])
    picture = of_sample(X, Metric.of_sample(X), 3)
    np.testing.assert_array_equal(picture.components[0], [1, 0])
    assert picture.components.shape == (2, 2)
    assert of_sample(X[:, :1], Metric.of_sample(X[:, :1]), 3).place(X[:, :1]).shape == (9, 1)


def test_customers_who_do_not_differ_all_lie_at_the_origin():
    X = np.ones((4, 2))
    picture = of_sample(X, Metric.of_sample(X))
    assert picture.explained.tolist() == [0, 0]
    assert (picture.place(X) == 0).all()


def test_the_picture_is_plain_data():
    X = customers(1, 30, 3)
    plain = of_sample(X, Metric.of_sample(X)).to_plain()
    assert json.loads(json.dumps(plain)) == plain


def test_what_can_not_be_is_said():
    metric = Metric.euclidean(2)
    with pytest.raises(ProjectionError, match="two customers"):
        of_sample(np.array([[1.0, 2.0], [np.nan, np.nan]]), metric)
    with pytest.raises(ProjectionError, match="dimension"):
        project(Moments.of(np.eye(2), metric), metric, 0)
    with pytest.raises(ShapeError):
        Moments.of(np.eye(2), metric) + Moments.of(np.eye(3), Metric.euclidean(3))
