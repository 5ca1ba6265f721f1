from datetime import UTC, datetime

import numpy as np
import pytest

from contracts.times import DAY, to_micros
from online_model.by_rule import RULE_SEGMENTS, by_rule, thresholds
from online_model.customer_since import customer_since, moment
from online_model.features import MISSING_TIME, TextColumn
from online_model.names import Members, name_segments
from online_model.settings import ModelSettings


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("2019-03-01", 2019),
        ("2019-03-01 10:00", 2019),
        ("2019-03-01T10:00:00Z", 2019),
        ("2019", 2019),
        ("1551398400", 2019),
        ("1551398400.5", 2019),
    ],
)
def test_what_can_be_understood(text, year):
    start, end = (to_micros(datetime(one, 1, 1, tzinfo=UTC)) for one in (year, year + 1))
    assert start <= moment(text) < end


@pytest.mark.parametrize("text", ["", "last year", "2019-13-01", "nan", "inf", "-inf", "1e300", "2019-03-01x", "true"])
def test_what_can_not(text):
    assert moment(text) == MISSING_TIME


def test_each_customer_has_their_own():
    told = TextColumn(np.array([1, -1, 0, 1], np.int32), ["2019-03-01", "never"])
    assert customer_since(told).tolist() == [MISSING_TIME, MISSING_TIME, moment("2019-03-01"), MISSING_TIME]
    assert customer_since(TextColumn(np.empty(0, np.int32), [])).tolist() == []


def members(told_days):
    """Ten customers of old, and ten whose first order is ten days old."""
    tenure = np.repeat([400.0, 10.0], 10)
    ones = np.ones(20)
    return Members(np.full(20, 5.0), tenure, ones.astype(np.uint32), ones, ones, told_days=told_days)


def names_of(everybody):
    clusters = np.repeat([0, 1], 10).astype(np.int32)
    return [one.name for one in name_segments(everybody, clusters, 2, ModelSettings())]


def test_who_came_before_the_history_is_not_new():
    assert names_of(members(None)) == ["One order so far", "New customers"]
    long_ago = members(np.repeat([np.nan, 900.0], 10))
    assert not any(name.startswith("New") for name in names_of(long_ago))
    now = 20_000 * DAY
    asked = thresholds(long_ago, now, new_days=60, lapse_days=90)
    assert {RULE_SEGMENTS[one].name for one in by_rule(long_ago, asked, now).tolist()} == {"One order so far"}


def test_a_profile_that_tells_of_later_than_the_first_order_says_nothing():
    assert names_of(members(np.repeat([0.0, 0.0], 10))) == ["One order so far", "New customers"]


def test_profiles_do_not_say_how_far_the_history_goes_back():
    """Else everybody would be new in a shop that begins to publish, but for some who told since when they are there."""
    young = Members(
        np.full(4, 5.0),
        np.full(4, 30.0),
        np.ones(4, np.uint32),
        np.ones(4),
        np.ones(4),
        told_days=np.array([900.0] + [np.nan] * 3),
    )
    clusters = np.array([0, 1, 1, 1], np.int32)
    assert not any(one.name.startswith("New") for one in name_segments(young, clusters, 2, ModelSettings()))


def test_members_of_rows_read_the_profiles():
    class Rows:
        last_at = first_at = newest_at = np.array([19_000 * DAY, 19_000 * DAY])
        orders = np.ones(2, np.uint32)
        orders_decayed = net_decayed = np.ones(2)

        def labels(self, attribute):
            assert attribute == "customer_since"
            return TextColumn(np.array([0, -1], np.int32), ["1990-01-01"])

    assert Members.of(Rows(), 19_010 * DAY).customer_days.tolist() == [19_010 - 7305, 10]
