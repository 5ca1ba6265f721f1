import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, silhouette_score

from online_model.agreement import adjusted_rand, shared_members
from online_model.choose_k import SHOWN, Banded, Choice, KPoint, Streak, choose, curves, is_stable
from online_model.fit import fit
from online_model.metric import Metric
from online_model.silhouette import distances_between, silhouette

RNG = np.random.default_rng(3)


def blobs(k, n=600, spread=0.15):
    angles = np.arange(k) * 2 * np.pi / k
    centers = np.column_stack([np.cos(angles), np.sin(angles), angles / 3])
    return centers[np.arange(n) % k] + np.random.default_rng(k).normal(0, spread, (n, 3))


def point(k, silhouette, share=0.1, stability=1.0):
    return KPoint(k, Banded(1, 1, 1), Banded(silhouette, silhouette, silhouette), share, stability)


@pytest.mark.parametrize("k", [3, 4, 5, 6, 7, 8])
def test_the_true_number_of_groups_is_found(k):
    X = blobs(k)
    found = curves(X, Metric.of_sample(X), 1)
    choice = choose(found, 5)
    assert (choice.k, choice.natural) == (k, True)
    assert is_stable(found, k)


def test_a_cloud_has_no_natural_number():
    X = RNG.normal(size=(700, 3))
    choice = choose(curves(X, Metric.of_sample(X), 1), 5)
    assert (choice.k, choice.natural) == (5, False)
    assert choice.reason.startswith("no natural number of groups, so 5")


def test_two_is_shown_and_never_chosen():
    X = blobs(2)
    found = curves(X, Metric.of_sample(X), 1)
    assert [one.k for one in found] == list(SHOWN)
    assert max(found, key=lambda one: one.silhouette.value).k == 2
    assert choose(found, 6).k != 2


def test_curves_are_the_same_for_the_same_seed_and_bands_hold_the_resamples():
    X = blobs(4, 500)
    metric = Metric.of_sample(X)
    found = curves(X, metric, 7)
    assert found == curves(X, metric, 7)
    assert all(one.low <= one.high for each in found for one in (each.inertia, each.silhouette))
    inertias = [one.inertia.value for one in found]
    assert inertias == sorted(inertias, reverse=True)
    assert found[2].silhouette.low <= found[2].silhouette.value <= found[2].silhouette.high


def test_a_large_sample_is_looked_at_in_part_and_missing_values_do_no_harm():
    X = blobs(4, 5000)
    X[::7, 1] = np.nan
    X[::11] = np.nan
    assert choose(curves(X, Metric.of_sample(X), 1, points=400), 5).k == 4


def test_fewer_customers_than_segments_have_shorter_curves():
    X = np.array([[0.0], [1.0], [2.0], [0.0]])
    assert {one.k for one in curves(X, Metric.of_sample(X), 1)} <= {2, 3}
    assert curves(X[:0], Metric.euclidean(1), 1) == ()
    assert not choose((), 5).natural


@pytest.mark.parametrize(
    ("points", "k", "natural"),
    [
        ([point(2, 0.9), point(3, 0.6), point(4, 0.7)], 4, True),
        ([point(3, 0.6), point(4, 0.7, share=0.029)], 3, True),
        ([point(3, 0.49), point(4, 0.3)], 5, False),
        ([point(3, 0.5)], 3, True),
        ([point(3, 0.8, share=0.01)], 5, False),
    ],
)
def test_the_rule(points, k, natural):
    choice = choose(points, 5)
    assert (choice.k, choice.natural) == (k, natural)
    assert str(k) in choice.reason


def test_a_streak_counts_reviews_that_agree():
    four, five = Choice(4, natural=True, reason=""), Choice(5, natural=False, reason="")
    streak = Streak()
    for choice in (five, four, four):
        streak = streak.after(choice)
    assert streak == Streak(4, 2)
    assert streak.after(five) == Streak(5, 1)


labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=2, max_size=40)


@given(labels)
def test_agreement_is_scikit_learns_adjusted_rand_index(pairs):
    one, other = (np.array(each, np.int32) for each in zip(*pairs, strict=True))
    expected = adjusted_rand_score(one, other)
    assert adjusted_rand(shared_members(one, other, 4, 5)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_the_silhouette_is_scikit_learns(k):
    X = RNG.normal(size=(120, 3))
    metric = Metric.of_sample(X)
    labels = fit(X, k, metric, 1).labels
    ours = silhouette(distances_between(X, metric), labels, k)
    assert ours == pytest.approx(silhouette_score(X / metric.deviations, labels), abs=1e-6)


def test_copies_of_a_point_are_no_company_to_it():
    X = RNG.normal(size=(40, 2))
    metric = Metric.euclidean(2)
    labels = fit(X, 3, metric, 1).labels
    distances = distances_between(X, metric)
    once = silhouette(distances, labels, 3)
    assert silhouette(distances, labels, 3, np.full(40, 2.0)) == pytest.approx(once)
    assert silhouette(distances, np.zeros(40, np.int32), 3) == 0
