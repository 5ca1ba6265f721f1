import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_model.arrays import NotFiniteError, ShapeError
from online_model.metric import Metric
from online_model.sums import ClusterSums, Sums, SumsFormatError, Votes

P, K, F = 3, 4, 2
NAN = np.nan

value = st.one_of(st.floats(-1e6, 1e6), st.just(NAN))
vote = st.tuples(st.integers(0, P - 1), st.integers(-1, K - 1), st.tuples(value, value))
# A stream: each step gives some customers of ten a new vote, or takes theirs back.
steps = st.lists(st.dictionaries(st.integers(0, 9), st.none() | vote, min_size=1, max_size=5), max_size=12)


def votes(cast):
    if not cast:
        return None
    partitions, clusters, X = zip(*cast, strict=True)
    return Votes(np.array(partitions, np.int32), np.array(clusters, np.int32), np.array(X, float))


def batch(cast):
    sums = ClusterSums(P, K, F)
    sums.revise(None, votes(cast))
    return sums


@given(steps)
def test_any_sequence_of_revisions_equals_one_batch(stream):
    sums, absolute, standing = ClusterSums(P, K, F), np.zeros((P, K, 1 + 6 * F)), {}
    for step in stream:
        before = [standing[one] for one in step if one in standing]
        after = [cast for cast in step.values() if cast is not None]
        sums.revise(votes(before), votes(after))
        for cast in (*before, *after):
            one = batch([cast])
            absolute += np.abs([one.partition(p).cells for p in range(P)])
        standing = {**standing, **step}
        standing = {one: cast for one, cast in standing.items() if cast is not None}
    expected = batch(list(standing.values()))
    for p in range(P):
        difference = np.abs(sums.partition(p).cells - expected.partition(p).cells)
        assert (difference <= 1e-9 * absolute[p]).all()
        np.testing.assert_array_equal(sums.partition(p).counts, expected.partition(p).counts)


def sample(seed, n=400, missing=0.3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) * [1, 5, 0.2] + [0, 10, 3]
    X[rng.random(X.shape) < missing] = NAN
    partitions = rng.integers(0, P, n).astype(np.int32)
    metric = Metric.of_sample(X)
    centroids = rng.normal(size=(K, 3)) + metric.means
    return X, partitions, metric, centroids


def test_inertia_and_gain_are_those_of_the_customers_whatever_is_missing():
    X, partitions, metric, centroids = sample(1)
    labels = metric.nearest(X, centroids)
    sums = ClusterSums(P, K, 3)
    sums.revise(None, Votes(partitions, labels, X))
    merged = sums.merged()

    def inertia(at):
        squared = metric.squared_distances(X, at)
        return sum(squared[i, label] for i, label in enumerate(labels) if label >= 0)

    means = merged.means(empty=centroids)
    assert merged.inertia(centroids, metric) == pytest.approx(inertia(centroids), rel=1e-10)
    assert merged.gain(centroids, metric) == pytest.approx(1 - inertia(means) / inertia(centroids), rel=1e-8)
    assert merged.gain(means, metric) == pytest.approx(0, abs=1e-12)
    nudged = means + np.random.default_rng(0).normal(size=means.shape) * 0.01
    assert inertia(nudged) > inertia(means)
    assert merged.total == np.count_nonzero(labels >= 0)


def test_the_metric_of_sums_is_that_of_the_customers():
    X, partitions, metric, centroids = sample(2)
    X[:, 2] = 0.1
    sums = ClusterSums(P, K, 3)
    sums.revise(None, Votes(partitions, metric.nearest(X, centroids), X))
    voting = ~np.isnan(X).all(axis=1)
    from_sums, direct = sums.merged().metric(), Metric.of_sample(X[voting])
    np.testing.assert_allclose(from_sums.means, direct.means, rtol=1e-12)
    np.testing.assert_allclose(from_sums.deviations, direct.deviations, rtol=1e-9)
    assert from_sums.deviations[2] == 0


def test_a_partition_is_told_bit_for_bit_and_forgotten():
    X, partitions, metric, centroids = sample(3)
    sums = ClusterSums(P, K, 3)
    sums.revise(None, Votes(partitions, metric.nearest(X, centroids), X))
    total = sums.merged()
    told = Sums.from_bytes(sums.partition(1).to_bytes())
    np.testing.assert_array_equal(told.cells, sums.partition(1).cells)
    sums.drop_partition(1)
    assert sums.partition(1).total == 0
    np.testing.assert_allclose((sums.merged() + told).cells, total.cells, rtol=1e-12)


def test_partitions_are_copies():
    sums = batch([(0, 1, (1.0, 2.0))])
    sums.partition(0).cells[:] = 0
    assert sums.partition(0).total == 1


@pytest.mark.parametrize("data", [b"", b"sum1", b"old!" + bytes(80), batch([]).partition(0).to_bytes()[:-1]])
def test_stored_sums_that_are_not_ours_are_named(data):
    with pytest.raises(SumsFormatError, match="delete"):
        Sums.from_bytes(data)


@pytest.mark.parametrize("cast", [(P, 0, (1.0, 1.0)), (-1, 0, (1.0, 1.0)), (0, K, (1.0, 1.0))])
def test_a_vote_that_does_not_fit_changes_nothing(cast):
    sums = batch([(0, 1, (1.0, 2.0))])
    with pytest.raises(ShapeError):
        sums.revise(votes([(0, 1, (1.0, 2.0))]), votes([cast]))
    np.testing.assert_array_equal(sums.merged().cells, batch([(0, 1, (1.0, 2.0))]).merged().cells)


def test_infinity_is_refused_at_the_border():
    with pytest.raises(NotFiniteError):
        votes([(0, 0, (np.inf, 1.0))])


def test_an_empty_cluster_is_reseeded_inside_the_widest():
    X = np.array([[0.0], [1.0], [10.0], [30.0]])
    sums = ClusterSums(1, 3, 1)
    sums.revise(None, Votes(np.zeros(4, np.int32), np.array([0, 0, 1, 1], np.int32), X))
    merged, metric = sums.merged(), Metric.euclidean(1)
    reseeded = merged.reseeded(merged.means(empty=np.full((3, 1), 500.0)), metric)
    assert reseeded.ravel().tolist() == pytest.approx([0.5, 20.0, 30.0])
