"""Distances by the range, `minmax`: through versions, their documents, and everything that reads a metric."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler

from consumer.columns import Columns
from consumer.layout import Limits
from contracts.events import Line, Purchase
from contracts.model import FeatureColumn
from contracts.times import DAY, EPOCH
from online_model import hierarchy, projection
from online_model.adoption import adopt_means, first_model, refit
from online_model.choose_k import Streak
from online_model.encoding import MINMAX, range_of
from online_model.features import DEFAULT_FEATURES, FeatureSet
from online_model.metric import Metric
from online_model.model import SegmentModel
from online_model.next_move import Subject, move_by_silence
from online_model.review import ReviewTask
from online_model.rhythm import Rhythm
from online_model.settings import ModelSettings
from online_model.statements import sets_apart
from online_model.sums import ClusterSums, Votes
from online_model.trial import attempt
from tests.rows import rows_of

NOW = 20_000 * DAY
SETTINGS = ModelSettings(k=3, scaling=dict.fromkeys(DEFAULT_FEATURES, MINMAX))


def columns_of(X):
    """All three features by the range that they have in X."""
    return tuple(
        FeatureColumn(name=name, span=range_of(values)) for name, values in zip(DEFAULT_FEATURES, X.T, strict=True)
    )


def shop(seed=0, n=400):
    """Customers around three corners, in features of very different spread: standard deviations hide the corners."""
    rng = np.random.default_rng(seed)
    corners = np.array([[0.5, 1.0, 0.2], [2.5, 1.0, 0.2], [2.5, 3.0, 0.2]])
    X = corners[rng.integers(0, 3, n)] + rng.normal(0, 0.15, (n, 3))
    X[:3, 2] = 9.0
    return np.maximum(X, 0)


def scaled(X):
    return MinMaxScaler().fit_transform(X)


@pytest.fixture(scope="module")
def model():
    X = shop()
    return first_model(X, 20.0, 3, 1000, NOW, settings=SETTINGS, columns=columns_of(X))


@given(arrays(float, (8, 3), elements=st.floats(0, 20)), arrays(float, (2, 3), elements=st.floats(0, 20)))
def test_distances_are_those_between_customers_scaled_to_between_0_and_1(X, centroids):
    # Where a range is next to nothing beside its numbers, a column counts as constant in the one, and rounding is
    # blown up in the other.
    X = X.round(2)
    metric = Metric.of_sample(X, FeatureSet(columns_of(X)).scaling)
    varying = np.ptp(X, axis=0) > 0
    wanted = np.zeros((8, 2))
    if varying.any():
        scaler = MinMaxScaler().fit(X[:, varying])
        ours, theirs = scaler.transform(X[:, varying]), scaler.transform(centroids[:, varying])
        wanted = cdist(ours, theirs, "sqeuclidean")
    np.testing.assert_allclose(metric.squared_distances(X, centroids), wanted, rtol=1e-9, atol=1e-9)
    assert metric.squared_distances(X, X).max() <= 3 + 1e-9


def test_the_segments_are_those_of_batch_k_means_on_scaled_customers(model):
    X = shop()
    batch = KMeans(3, n_init=10, random_state=0).fit(scaled(X))
    assert model.inertia == pytest.approx(batch.inertia_, rel=1e-6)


def test_by_the_range_others_are_alike_than_by_the_standard_deviation():
    recency = np.linspace(0, 4, 400)
    rare = np.arange(400) % 20 == 0
    X = np.column_stack([recency, 1.0 + rare, np.zeros(400)])
    two = replace(SETTINGS, k=2)
    by_range = first_model(X, 20.0, 2, 1000, NOW, settings=two, columns=columns_of(X)).assign(X)
    by_deviation = first_model(X, 20.0, 2, 1000, NOW, settings=ModelSettings(k=2)).assign(X)
    assert np.mean((by_range == by_range[-1]) == (recency > 2)) > 0.95
    assert np.array_equal(by_deviation == by_deviation[0], rare)


def test_a_document_gives_the_same_version_back(model):
    again = SegmentModel.from_document(model.to_document())
    X = shop(1)
    assert again.columns == model.columns == columns_of(shop())
    assert again.requested == SETTINGS.request.signature
    np.testing.assert_array_equal(again.metric.deviations, model.metric.deviations)
    np.testing.assert_array_equal(again.assign(X), model.assign(X))


def test_adopted_means_keep_the_ranges(model):
    X = shop() + np.array([0.0, 0.4, 0.0])
    sums = ClusterSums(1, 3, 3)
    sums.revise(None, Votes(np.zeros(len(X), np.int32), model.assign(X), X))
    after = adopt_means(model, sums.merged(), 2000, NOW + 10 * DAY, SETTINGS)
    assert after.reason == "means moved"
    assert after.metric.deviations.tolist() == [column.span for column in model.columns]
    assert after.metric.means[1] != model.metric.means[1]


def test_a_range_outgrown_and_another_scaling_each_say_what_they_are(model):
    X = shop() * [1.5, 1.0, 1.0]
    outgrown = refit(
        model, X, 20.0, 2000, NOW + DAY, settings=SETTINGS, clusters=model.assign(X), columns=columns_of(X)
    )
    assert (outgrown.reason, outgrown.why) == ("ranges revised", "customers have outgrown the range of recency")
    assert {one.kind for one in outgrown.lineage} <= {"continued"}
    assert outgrown.metric.deviations[0] == pytest.approx(1.5 * model.metric.deviations[0])
    plain = replace(SETTINGS, scaling={})
    back = refit(
        outgrown,
        X,
        20.0,
        2000,
        NOW + DAY,
        settings=plain,
        clusters=outgrown.assign(X),
        columns=FeatureSet.of().columns,
    )
    assert (back.reason, back.columns, back.requested) == ("other features", (), ())
    np.testing.assert_allclose(back.metric.deviations, X.std(axis=0))
    there = refit(back, X, 20.0, 2000, NOW + DAY, settings=SETTINGS, clusters=back.assign(X), columns=columns_of(X))
    assert there.reason == "other features"
    assert there.why.endswith("distances divide by the range of recency, frequency, monetary")


def test_a_review_looks_for_groups_where_distances_are_by_the_range(model):
    X = shop()
    task = ReviewTask(
        model=model, X=X, purchases=2000, now=NOW, settings=replace(SETTINGS, k="auto"), streak=Streak(), look_at_k=True
    )
    look = task().k
    curve = {point.k: len(X) * point.inertia.value for point in look.points}
    batch = {k: KMeans(k, n_init=10, random_state=0).fit(scaled(X)).inertia_ for k in (3, 5)}
    assert {k: curve[k] for k in batch} == pytest.approx(batch, rel=0.02)
    assert look.choice.k == 3
    assert look.choice.natural


def test_what_is_tried_out_has_the_ranges_of_its_columns():
    X = shop()
    plain = first_model(X, 20.0, 3, 1000, NOW, settings=ModelSettings(k=3))
    tried = attempt(
        plain, X, 3, NOW, settings=SETTINGS, order_value=20.0, clusters=plain.assign(X), columns=columns_of(X)
    )
    assert tried.requested == SETTINGS.request.signature
    assert tried.inertia == pytest.approx(KMeans(3, n_init=10, random_state=0).fit(scaled(X)).inertia_, rel=1e-6)


def test_maps_and_trees_are_those_of_scaled_customers(model):
    X = shop()
    picture = projection.of_sample(X, model.metric, 2)
    pca = PCA(2).fit(scaled(X))
    np.testing.assert_allclose(picture.variances, pca.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(np.abs(picture.components), np.abs(pca.components_), atol=1e-9)
    dendrogram, rows = hierarchy.of_sample(X, model.metric, seed=0, most=100)
    heights = [merge.height for merge in dendrogram.merges]
    np.testing.assert_allclose(heights, linkage(scaled(X)[rows], method="ward")[:, 2], atol=1e-9)


def test_what_sets_a_segment_apart_does_not_hang_on_the_unit_of_distance(model):
    X = shop()
    place = int(np.argmax(model.centroids[:, 1]))
    typical = np.median(X[model.assign(X) == place], axis=0)
    said = sets_apart(model, typical, "GBP")
    assert "orders" in said[0]
    # Half a standard deviation from the shop's: a tenth of the range, and worth a statement all the same.
    near = model.outliers.medians + np.array([0.0, 0.0, 0.5 * model.outliers.spreads[2]])
    assert 0.5 * model.outliers.spreads[2] < 0.1 * model.columns[2].span
    assert len(sets_apart(model, near, "GBP")) == 1


def test_what_would_move_a_customer_is_what_does(model):
    bought = NOW - 3 * DAY
    order = Purchase(
        event_id="e",
        customer_id="ann",
        occurred_at=EPOCH + timedelta(microseconds=bought),
        order_id="o",
        lines=(Line(item_id="tea", quantity=2, unit_price=10.0),),
        currency="GBP",
    )
    made = rows_of([order], Limits())
    row = Columns.of_store(made.store, np.array([made.store.partitions[0].index["ann"]]))

    def cluster(days):
        return int(model.assign(model.features_of(row, NOW + days * DAY))[0])

    moves = [days for days in range(1, 731) if cluster(days) != cluster(0)]
    times = np.array([bought])
    ann = Subject(
        customer_id="ann",
        row=row,
        segment=int(model.segment_ids[cluster(0)]),
        since=0,
        purchases=times,
        rhythm=Rhythm.of(np.zeros(1, np.int64), times, 1),
    )
    found = move_by_silence(ann, replace(model, margin=0.0, dwell=0), NOW)
    assert moves
    assert found == (moves[0], model.segment_ids[cluster(moves[0])])
