"""A setting out of its range is one readable line."""

import pytest

from contracts.times import HOUR
from recommender.list_rules import ListRules, ListRulesError
from recommender.settings import RecommenderSettings, RecommenderSettingsError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("list_length", 0),
        ("slow_half_life", -1),
        ("item_review_interval", 0),
        ("new_item_age", 0),
        ("head_items", 0),
        ("neighbours", 0),
        ("tail_neighbours", -1),
        ("low_rank", -1),
        ("popularity_half_life", 0),
        ("view_refresh", 0),
        ("segment_shrinkage", -0.1),
        ("pinned", frozenset({"pinned thing"})),
        ("view_interval", -1),
    ],
)
def test_a_value_that_makes_no_sense_is_named(name, value):
    with pytest.raises(RecommenderSettingsError, match=name):
        RecommenderSettings(**{name: value})


def test_views_live_twice_as_long_as_their_refresh():
    assert RecommenderSettings(view_refresh=HOUR).view_ttl_ms == 7_200_000


def test_what_trends_needs_a_longer_past():
    with pytest.raises(RecommenderSettingsError, match="slow_half_life must be longer"):
        RecommenderSettings(popularity_half_life=HOUR, slow_half_life=HOUR)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_per_category", 0),
        ("max_per_reason", 0),
        ("exploration", 0.6),
        ("exploration", -0.1),
        ("exploration_period", 0),
    ],
)
def test_a_limit_of_lists_that_makes_no_sense_is_named(name, value):
    with pytest.raises(ListRulesError, match=name):
        ListRules(**{name: value})
