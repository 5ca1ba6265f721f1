import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from contracts.model import FeatureColumn
from online_model.encoding import (
    AttributeOptions,
    AttributeOptionsError,
    TooManyLevelsError,
    decode_numbers,
    encode_levels,
    encode_numbers,
    level_columns,
    number_column,
    options_of,
)
from online_model.features import FeatureSet
from online_model.metric import Metric
from online_model.sums import ClusterSums, Votes

NAN = np.nan


def test_a_number_stays_what_it_is_but_for_one_in_a_thousand_at_each_end():
    values = np.append(np.arange(5000.0), [NAN, 1e9])
    column = number_column("income", values, AttributeOptions())
    assert (column.name, column.attribute) == ("attributes.income", "income")
    X = encode_numbers(column, values)
    assert np.count_nonzero(values != X) - 1 <= 10  # NaN differs from itself
    assert X[-1] == column.high < 5000
    assert np.isnan(X[-2])


def test_among_few_every_number_stays_what_it_is():
    values = np.array([3.0, 1.0, 40.0])
    assert encode_numbers(number_column("a", values, AttributeOptions()), values).tolist() == values.tolist()


@given(arrays(float, 20, elements=st.one_of(st.floats(), st.just(NAN))), st.sampled_from(["none", "log1p", "sqrt"]))
def test_whatever_an_attribute_is_its_feature_is_finite_or_missing(values, transform):
    column = number_column("a", values, AttributeOptions(transform=transform))
    X = encode_numbers(column, values)
    assert not np.isinf(X).any()
    assert (np.isnan(X) >= np.isnan(values)).all()
    assert np.isfinite(np.nansum(X**2))


@given(arrays(float, 5, elements=st.floats(0, 1e6)), st.sampled_from(["none", "log1p", "sqrt"]))
def test_a_transform_can_be_taken_back(values, transform):
    column = FeatureColumn(name="a", attribute="a", transform=transform)
    np.testing.assert_allclose(decode_numbers(column, encode_numbers(column, values)), values, rtol=1e-9, atol=1e-9)


def test_bins_are_ordered_numbers():
    column = number_column("age", np.array([]), AttributeOptions(bins=(18, 30, 45)))
    assert encode_numbers(column, np.array([3, 18, 29.9, 30, 99]))[:5].tolist() == [0, 1, 1, 2, 3]
    assert np.isnan(encode_numbers(column, np.array([NAN]))).all()


def test_levels_are_indicators_the_most_frequent_first_and_a_strange_one_is_missing():
    codes = np.array([0, 1, 1, -1, 2], np.int32)
    columns = level_columns("city", codes[:4], ["Oslo", "Rome", "Paris"])
    assert [column.level for column in columns] == ["Rome", "Oslo"]
    X = encode_levels(["Rome", "Oslo"], codes, ["Oslo", "Rome", "Paris"])
    np.testing.assert_array_equal(X, [[0, 1], [1, 0], [1, 0], [NAN, NAN], [NAN, NAN]])


def test_nine_levels_are_too_many_and_the_text_says_what_to_do():
    codes = np.arange(9, dtype=np.int32)
    with pytest.raises(TooManyLevelsError, match=r"9 different values.*broader groups"):
        level_columns("city", codes, [str(code) for code in codes])
    assert len(level_columns("city", codes[:8], [str(code) for code in codes])) == 8


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"bin": [1]}, "attribute_options.age: there is no option 'bin'"),
        ({"bins": 3}, "attribute_options.age: bins can not be 3"),
        ({"bins": ["x"]}, "attribute_options.age: bins must be numbers"),
        ({"bins": [3, 1]}, "rising"),
        ({"bins": [1, float("inf")]}, "rising numbers"),
        ({"transform": "log"}, "none, log1p or sqrt"),
        ({"scaling": "robust"}, "standard or minmax"),
        ({"categorical": 1}, "categorical can not be 1"),
        ({"categorical": True, "scaling": "minmax"}, "leave out"),
        ({"identity": True, "transform": "log1p"}, "leave out"),
        ({"bins": [1], "transform": "log1p"}, "leave out"),
    ],
)
def test_options_that_make_no_sense_are_refused(table, message):
    with pytest.raises(AttributeOptionsError, match=message):
        options_of({"age": table})


def features(*columns):
    return FeatureSet(tuple(columns))


LEVELS = [FeatureColumn(name=f"attributes.g={one}", attribute="g", level=one) for one in "abcdefgh"]
NUMBER = FeatureColumn(name="attributes.n", attribute="n")


@given(st.lists(st.integers(0, 7), min_size=2, max_size=60), st.integers(0, 2**32 - 1))
def test_levels_together_have_at_most_a_quarter_of_a_numbers_variance(drawn, seed):
    indicators = np.eye(8)[drawn]
    indicators[0] = NAN
    number = np.random.default_rng(seed).normal(50, 20, len(drawn))
    X = np.column_stack([number, indicators])
    metric = Metric.of_sample(X, features(NUMBER, *LEVELS).scaling)
    scaled = (X - metric.means) * np.sqrt(metric.precisions)
    variances = np.nanvar(scaled, axis=0)
    if metric.deviations[0] > 0:
        assert variances[0] == pytest.approx(1)
    assert variances[1:].sum() <= 0.25 + 1e-9
    apart = metric.squared_distances(np.column_stack([np.full(8, number[1]), np.eye(8)]), X[1:2])
    assert apart.max() <= 1 + 1e-9


@given(st.lists(st.integers(0, 2), min_size=2, max_size=60))
def test_adopting_the_means_keeps_the_weights(drawn):
    feature_set = features(NUMBER.model_copy(update={"span": 60.0}), *LEVELS[:3])
    X = np.column_stack([np.arange(len(drawn), dtype=float), np.eye(3)[drawn]])
    sums = ClusterSums(1, 2, 4)
    sums.revise(None, Votes(np.zeros(len(X), np.int32), np.arange(len(X), dtype=np.int32) % 2, X))
    adopted, sampled = sums.merged().metric(feature_set.scaling), Metric.of_sample(X, feature_set.scaling)
    np.testing.assert_allclose(adopted.deviations, sampled.deviations, atol=1e-6)
    assert adopted.deviations[0] == 60.0


def test_what_does_not_vary_tells_nobody_apart_whatever_its_range():
    X = np.array([[5.0, 1.0], [5.0, 1.0]])
    metric = Metric.of_sample(X, features(NUMBER.model_copy(update={"span": 60.0}), LEVELS[0]).scaling)
    assert metric.deviations.tolist() == [0, 0]
