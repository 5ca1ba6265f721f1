import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, is_valid_linkage, leaves_list, linkage
from sklearn.metrics import adjusted_rand_score

from online_model.adoption import first_model
from online_model.arrays import ShapeError
from online_model.hierarchy import HierarchyError, of_sample, of_segments, ward
from online_model.metric import Metric
from online_model.settings import ModelSettings

PLANE = Metric.euclidean(2)


def points(seed, k, features):
    return np.random.default_rng(seed).normal(0, 3, (k, features))


@st.composite
def clusters(draw, most_customers=1):
    """Centroids in general position, sizes, and a metric: no two merges cost the same."""
    k, features, seed = draw(st.integers(2, 24)), draw(st.integers(1, 5)), draw(st.integers(0, 2**32))
    sizes = draw(st.lists(st.integers(1, most_customers), min_size=k, max_size=k))
    deviations = np.array(draw(st.lists(st.floats(0.5, 4), min_size=features, max_size=features)))
    return points(seed, k, features), sizes, Metric(np.zeros(features), deviations)


@given(clusters())
def test_without_weights_it_is_scipy_s_ward(drawn):
    centroids, sizes, metric = drawn
    ours = ward(centroids, sizes, metric).linkage()
    theirs = linkage(centroids / metric.deviations, method="ward")
    np.testing.assert_allclose(ours[:, 2], theirs[:, 2], rtol=1e-9)
    np.testing.assert_array_equal(ours[:, [0, 1, 3]], np.column_stack([np.sort(theirs[:, :2]), theirs[:, 3]]))


@settings(max_examples=50)
@given(clusters(most_customers=9))
def test_with_weights_it_is_ward_over_all_customers_merged_into_their_clusters_first(drawn):
    centroids, sizes, metric = drawn
    everybody = np.repeat(centroids / metric.deviations, sizes, axis=0)
    theirs = linkage(everybody, method="ward")[len(everybody) - len(centroids) :]
    ours = ward(centroids, sizes, metric).linkage()
    np.testing.assert_allclose(ours[:, 2], theirs[:, 2], rtol=1e-7)
    np.testing.assert_array_equal(ours[:, 3], theirs[:, 3])


def leaves_counted(tree):
    """The linkage with leaves where ours has customers: what scipy's own functions ask for."""
    rows, counts = tree.linkage(), [1] * len(tree.sizes)
    for row in rows:
        counts.append(counts[int(row[0])] + counts[int(row[1])])
        row[3] = counts[-1]
    return rows


@given(clusters(most_customers=1000), st.data())
def test_every_cut_is_scipy_s(drawn, data):
    centroids, sizes, metric = drawn
    tree = ward(centroids, sizes, metric)
    rows = leaves_counted(tree)
    assert is_valid_linkage(rows)
    height = data.draw(st.sampled_from([0.0, *rows[:, 2], *(rows[:, 2] * 1.0001), rows[-1, 2] * 2]))
    assert adjusted_rand_score(tree.cut_at(height), fcluster(rows, height, "distance")) == 1
    groups = data.draw(st.integers(1, len(centroids)))
    cut = tree.cut_into(groups)
    assert len(set(cut.tolist())) == groups
    assert adjusted_rand_score(cut, fcluster(rows, groups, "maxclust")) == 1
    first_met = list(dict.fromkeys(cut.tolist()))
    assert first_met == sorted(first_met)
    assert sorted(tree.leaf_order) == list(range(len(centroids)))
    np.testing.assert_array_equal(tree.leaf_order, leaves_list(rows))


@given(clusters(most_customers=50))
def test_heights_are_the_growth_of_the_inertia(drawn):
    """Σ height² / 2 is the inertia of one cluster less that of all: nothing is lost on the way."""
    centroids, sizes, metric = drawn
    scaled, weights = centroids / metric.deviations, np.array(sizes, float)
    middle = np.average(scaled, axis=0, weights=weights)
    total = (weights * ((scaled - middle) ** 2).sum(axis=1)).sum()
    assert (ward(centroids, sizes, metric).linkage()[:, 2] ** 2).sum() / 2 == pytest.approx(total, rel=1e-9)


def test_small_clusters_join_before_large_ones_as_far_apart():
    line = np.array([[0.0], [1.0], [40.0], [41.0]])
    tree = ward(line, [1000, 1000, 1, 1], Metric.euclidean(1))
    assert (tree.merges[0].left, tree.merges[0].right) == (2, 3)
    assert tree.merges[0].height == pytest.approx(1.0)
    assert tree.merges[1].height == pytest.approx(np.sqrt(2 * 500))
    assert tree.cut_into(2).tolist() == [0, 0, 1, 1]
    assert tree.cut_at(1.0).tolist() == [0, 1, 2, 2]


def test_ties_go_to_the_lowest_numbers():
    square = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    tree = ward(square, [1, 1, 1, 1], PLANE)
    assert [(merge.left, merge.right) for merge in tree.merges] == [(0, 1), (2, 3), (4, 5)]


def test_clusters_at_one_place_merge_at_nothing_and_empty_ones_join_the_nearest():
    tree = ward(np.array([[0.0, 0], [0, 0], [5, 0], [5.1, 0]]), [7, 2, 3, 0], PLANE)
    assert tree.merges[0].height == 0
    assert (tree.merges[1].left, tree.merges[1].right) == (2, 3)
    assert [merge.size for merge in tree.merges] == [9, 3, 12]


def test_one_cluster_is_a_tree_without_branches():
    tree = ward(np.zeros((1, 2)), [4], PLANE)
    assert (tree.merges, tree.leaf_order) == ((), (0,))
    assert tree.cut_at(1.0).tolist() == tree.cut_into(1).tolist() == [0]


def test_what_can_not_be_is_said():
    with pytest.raises(HierarchyError, match="no clusters"):
        ward(np.zeros((0, 2)), [], PLANE)
    with pytest.raises(ShapeError, match="one size"):
        ward(np.zeros((3, 2)), [1, 2], PLANE)
    tree = ward(points(0, 4, 2), [1] * 4, PLANE)
    for groups in (0, 5):
        with pytest.raises(HierarchyError, match="1 to 4 groups"):
            tree.cut_into(groups)
    with pytest.raises(HierarchyError, match="nobody"):
        of_sample(np.full((3, 2), np.nan), PLANE, seed=1)


def test_of_a_model_s_segments():
    rng = np.random.default_rng(0)
    middles = np.array([[0.0, 0, 0], [1.5, 0, 0], [0, 9, 9], [0, 9, 11]])
    X = middles[rng.integers(0, 4, 400)] + rng.normal(0, 0.1, (400, 3))
    model = first_model(X, 1.0, 4, 10, 0, settings=ModelSettings(k=4))
    tree = of_segments(model)
    assert sum(tree.sizes) == 400
    high = model.centroids[:, 1] > 4
    assert adjusted_rand_score(tree.cut_into(2), high) == 1
    assert json.loads(json.dumps(tree.to_plain())) == tree.to_plain()


def test_over_a_sample_the_same_seed_draws_the_same_customers():
    X = points(3, 300, 2)
    X[::50, 0] = np.nan
    X[7] = np.nan
    tree, rows = of_sample(X, PLANE, seed=5, most=100)
    again, same = of_sample(X, PLANE, seed=5, most=100)
    assert tree == again
    np.testing.assert_array_equal(rows, same)
    assert len(rows) == len(tree.sizes) == 100
    assert of_sample(X, PLANE, seed=6, most=100)[1].tolist() != rows.tolist()
    everybody, rows = of_sample(X, PLANE, seed=5)
    assert 7 not in rows
    assert len(rows) == 299
    filled = np.where(np.isnan(X[rows]), 0, X[rows])
    np.testing.assert_allclose(everybody.linkage()[:, 2], linkage(filled, method="ward")[:, 2])
    assert of_sample(X[:1], PLANE, seed=1)[0].merges == ()
