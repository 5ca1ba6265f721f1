import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.model import FeatureColumn
from online_model.names import Members, name_segments
from online_model.settings import ModelSettings
from online_model.truth import Adjective
from online_model.words import Spanning, adjectives_for, as_name, as_suffix, words_for

SETTINGS = ModelSettings()


def column(attribute, level=None):
    name = f"attributes.{attribute}" + (f"={level}" if level else "")
    return FeatureColumn(name=name, attribute=attribute, level=level)


def spanning(**attributes):
    return Spanning(np.column_stack(list(attributes.values())), tuple(column(name) for name in attributes))


def nobody_bought(customers):
    never = np.full(customers, np.nan)
    nothing = np.zeros(customers)
    return Members(never, never, nothing.astype(np.uint32), nothing, nothing)


def names(spans, labels, previous=(), settings=SETTINGS):
    k = int(labels.max()) + 1
    return name_segments(nobody_bought(len(labels)), labels, k, settings, previous, spanning=spans)


def groups(*values, customers=20):
    """So many customers around each value."""
    return np.concatenate([value + np.linspace(-0.4, 0.4, customers) for value in values])


LABELS = np.repeat(np.arange(5), 20).astype(np.int32)


def test_profiles_are_named_by_the_attributes_that_set_them_apart():
    spans = spanning(annual_income=groups(0, 0, 10, 10, 5), spending_score=groups(0, 10, 0, 10, 5))
    named = names(spans, LABELS)
    assert [one.name for one in named] == [
        "Low-income low spenders",
        "Low-income high spenders",
        "High-income low spenders",
        "High-income high spenders",
        "Average customers",
    ]
    assert all(adjective.share >= 0.7 for one in named for adjective in one.adjectives)
    assert [len(one.adjectives) for one in named] == [2, 2, 2, 2, 0]


def test_two_words_at_most_those_that_set_it_apart_most():
    spans = spanning(age=groups(0, 9), annual_income=groups(0, 9), spending_score=groups(4, 5, customers=20))
    labels = np.repeat(np.arange(2), 20).astype(np.int32)
    assert [len(one.adjectives) for one in names(spans, labels)] == [2, 2]


def test_a_word_that_is_false_of_a_third_is_not_used():
    # One very rich customer in five draws the mean up, and most are not above the median.
    income = np.concatenate([np.full(60, 10.0) + np.linspace(-1, 1, 60), np.full(12, 9.0), np.full(8, 500.0)])
    labels = np.repeat([0, 1], [60, 20]).astype(np.int32)
    assert income[labels == 1].mean() > income.mean() + 0.5 * income.std()
    assert not any("High-income" in one.name for one in names(spanning(income=income), labels))


def test_settings_have_the_last_word():
    settings = ModelSettings(attribute_words={"visits": ("Rare", "frequent visitors")})
    spans, labels = spanning(visits=groups(0, 9)), np.repeat([0, 1], 20).astype(np.int32)
    assert [one.name for one in names(spans, labels, settings=settings)] == ["Rare customers", "Frequent visitors"]


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ("annual_income", ("Low-income", "High-income")),
        ("AgeInYears", ("Younger", "Older")),
        ("spending_score", ("low spenders", "high spenders")),
        ("page_views", ("Low-page-views", "High-page-views")),  # no word of it is "age"
    ],
)
def test_words_go_by_the_words_in_the_name(attribute, words):
    assert words_for(attribute, {}) == words


def test_names_read_like_names():
    assert as_name([Adjective("Younger", 1), Adjective("High-income", 1)]) == "Younger high-income customers"
    assert as_name([Adjective("low spenders", 1)]) == "Low spenders"
    assert as_suffix([Adjective("Older", 1), Adjective("low spenders", 1)]) == ", older, low spenders"


def test_a_level_names_where_most_have_it():
    levels = np.column_stack([np.repeat([1.0, 0.0], 20), np.repeat([0.0, 1.0], 20)])
    spans = Spanning(levels, (column("gender", "Female"), column("gender", "Male")))
    assert [one.name for one in names(spans, np.repeat([0, 1], 20).astype(np.int32))] == [
        "Female customers",
        "Male customers",
    ]


def test_twins_among_profiles_are_told_apart_by_their_attributes():
    spans = spanning(visits=groups(0, 5, 10, 20, customers=20))
    labels = np.repeat(np.arange(4), 20).astype(np.int32)
    assert len({one.name for one in names(spans, labels)}) == 4


def test_purchases_name_and_attributes_add_to_it():
    customers = 40
    bought = Members(
        np.full(customers, 5.0),
        np.full(customers, 700.0),
        np.full(customers, 8, np.uint32),
        np.linspace(5, 6, customers),
        np.linspace(50, 60, customers),
    )
    columns = (FeatureColumn(name="recency"), column("age"))
    spans = Spanning(np.column_stack([np.ones(customers), groups(20, 60)]), columns)
    labels = np.repeat([0, 1], 20).astype(np.int32)
    named = name_segments(bought, labels, 2, SETTINGS, spanning=spans)
    assert [one.name.endswith(word) for one, word in zip(named, (", younger", ", older"), strict=True)] == [True, True]


@given(st.lists(st.lists(st.floats(-10, 10), min_size=2, max_size=2), min_size=1, max_size=7))
def test_names_of_profiles_are_unique_and_last(centres):
    X = np.concatenate([np.array(centre) + np.linspace(-1, 1, 11)[:, np.newaxis] for centre in centres])
    spans = Spanning(X, (column("income"), column("spending_score")))
    labels = np.repeat(np.arange(len(centres)), 11).astype(np.int32)
    once = [one.name for one in names(spans, labels)]
    assert len(set(once)) == len(centres)
    assert [one.name for one in names(spans, labels, previous=once)] == once


def test_unknown_values_do_not_count():
    values = np.concatenate([groups(0, 10), np.full(20, np.nan)])
    labels = np.repeat(np.arange(3), 20).astype(np.int32)
    spans = spanning(annual_income=values)
    assert [one.name for one in names(spans, labels)] == [
        "Low-income customers",
        "High-income customers",
        "Average customers",
    ]
    assert adjectives_for(spans, labels >= 0, labels == 2, {}) == ()
