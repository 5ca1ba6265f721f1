import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from online_model.arrays import NotFiniteError, ShapeError
from online_model.outliers import OutlierBounds, OutlierBoundsError

NAMES = ("recency", "money")


def column(*values):
    return np.array([values], float).T


def outliers(*values):
    X = column(*values)
    return np.flatnonzero(OutlierBounds.of(X, ("money",)).outliers(X)[:, 0]).tolist()


def test_the_robust_z_is_that_of_iglewicz_and_hoaglin():
    X = column(2, 4, 5, 6, 8, 20)  # median 5.5, absolute deviations 3.5 1.5 .5 .5 2.5 14.5: MAD 2
    z = OutlierBounds.of(X, ("money",)).z(X)
    np.testing.assert_allclose(z[:, 0], [0.6745 * (x - 5.5) / 2 for x in X[:, 0]], rtol=1e-4)
    assert outliers(2, 4, 5, 6, 8, 20) == [5]


def test_one_far_away_hides_nobody_else():
    assert outliers(1, 2, 3, 4, 5, 6, 7, 1e3, 1e9) == [7, 8]


def test_where_most_are_alike_the_mean_deviation_measures():
    assert outliers(*[1] * 60, 2, 2, 2, 30) == [63]


def test_where_all_are_alike_nobody_is_an_outlier_not_even_a_newcomer():
    bounds = OutlierBounds.of(column(7, 7, 7), ("money",))
    assert not bounds.outliers(column(7, 8, 1e9)).any()


def test_what_is_not_observed_is_no_outlier():
    X = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, np.nan], [1000.0, np.nan]])
    bounds = OutlierBounds.of(X, NAMES)
    assert bounds.outliers(X).tolist() == [[False, False]] * 3 + [[True, False]]
    assert not bounds.outliers(np.array([[np.nan, 1e9]])).any()
    assert list(bounds.to_plain()) == ["recency"]


numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
matrices = arrays(float, st.tuples(st.integers(1, 30), st.just(2)), elements=numbers | st.just(float("nan")))


@given(matrices, matrices)
def test_what_a_document_keeps_marks_the_same(sample, X):
    bounds = OutlierBounds.of(sample, NAMES)
    again = OutlierBounds.from_plain(bounds.to_plain(), NAMES)
    assert (again.outliers(X) == bounds.outliers(X)).all()
    swapped = OutlierBounds.from_plain(bounds.to_plain(), NAMES[::-1])
    assert (swapped.outliers(X[:, ::-1]) == bounds.outliers(X)[:, ::-1]).all()


@given(st.lists(numbers, min_size=1, max_size=30))
def test_every_value_is_judged_as_in_plain_python(values):
    median = statistics.median(values)
    away = [abs(value - median) for value in values]
    spread = statistics.median(away) * 1.482602218505602 or statistics.fmean(away) * 1.2533141373155001
    expected = [place for place, far in enumerate(away) if spread > 0 and far / spread > 3.5]
    assert outliers(*values) == expected


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=30), st.integers(-50, 50), st.integers(0, 6))
def test_units_and_zero_points_do_not_matter(values, shift, power):
    assert outliers(*[2**power * (value + shift) for value in values]) == outliers(*values)


def test_fewer_than_half_can_be_outliers():
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(0, 1, 60), rng.normal(1e6, 1, 40)])[:, np.newaxis]
    marked = OutlierBounds.of(X, ("money",)).outliers(X)[:, 0]
    assert marked[60:].all()
    assert marked[:60].sum() <= 1


def test_wrong_shapes_and_values_are_refused():
    bounds = OutlierBounds.of(np.ones((3, 2)), NAMES)
    with pytest.raises(ShapeError):
        bounds.outliers(np.ones((3, 1)))
    with pytest.raises(NotFiniteError):
        OutlierBounds.of(np.full((1, 2), np.inf), NAMES)
    with pytest.raises(OutlierBoundsError, match="negative"):
        OutlierBounds.from_plain({"money": (1.0, -1.0)}, NAMES)
