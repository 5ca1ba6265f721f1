"""A setting out of its range is one readable line."""

import pytest

from contracts.times import HOUR
from recommender.settings import RecommenderSettings, RecommenderSettingsError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("list_length", 0),
        ("again_half_life", -1),
        ("popularity_half_life", 0),
        ("view_refresh", 0),
        ("segment_shrinkage", -0.1),
        ("best_seller_weight", -1.0),
        ("view_interval", -1),
    ],
)
def test_a_value_that_makes_no_sense_is_named(name, value):
    with pytest.raises(RecommenderSettingsError, match=name):
        RecommenderSettings(**{name: value})


def test_views_live_twice_as_long_as_their_refresh():
    assert RecommenderSettings(view_refresh=HOUR).view_ttl_ms == 7_200_000
