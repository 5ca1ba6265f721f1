import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.documents import NO_SEGMENT, RULE_IDS, RuleThresholds
from contracts.times import DAY
from online_model import names
from online_model.by_rule import RULE_SEGMENTS, by_rule, thresholds, too_little_to_learn
from online_model.model import SPECIAL_SEGMENTS
from online_model.names import Members, Profile
from online_model.settings import ModelSettings

NOW = 20_000 * DAY


def members(*customers):
    """Customers as (recency days, tenure days, orders, frequency, money)."""
    recency, tenure, orders, frequency, money = np.array(customers, float).T
    return Members(recency, tenure, orders.astype(np.uint32), frequency, money)


def named(everybody, **settings):
    asked = thresholds(everybody, NOW, **{"new_days": 60, "lapse_days": 90, **settings})
    return [RULE_SEGMENTS[one].name if one else "" for one in by_rule(everybody, asked, NOW).tolist()]


SHOP = [
    (5, 700, 30, 20.0, 9000.0),
    (20, 700, 8, 6.0, 900.0),
    (15, 20, 1, 1.0, 100.0),
    (45, 300, 1, 0.9, 90.0),
    (50, 300, 3, 0.95, 80.0),
    (300, 400, 1, 0.5, 50.0),
    (200, 700, 9, 5.0, 2000.0),
    (400, 700, 2, 0.6, 20.0),
    (np.nan, np.nan, 0, 0.0, 0.0),
]


def test_each_customer_gets_the_line_of_the_table_that_is_true_of_them():
    assert named(members(*SHOP)) == [
        "Champions",
        "Loyal",
        "New customers",
        "One order so far",
        "Occasional",
        "Lost after one order",
        "Lapsed, valuable",
        "Lapsed",
        "",
    ]


def test_nobody_is_new_while_the_history_may_start_with_them():
    young = [(min(recency, 50), min(tenure, 140), *rest) for recency, tenure, *rest in SHOP[:-1]]
    assert "New customers" not in named(members(*young))
    assert named(members(*young), lapse_days=70)[2] == "New customers"


def test_lapse_days_is_the_callers():
    assert named(members(*SHOP), lapse_days=10)[1] == "Lapsed, valuable"


customer = st.tuples(
    st.integers(0, 300), st.integers(0, 700), st.integers(1, 6), st.integers(0, 8), st.integers(-3, 8)
).map(lambda one: (one[0], max(one[0], one[1]), one[2], one[3] / 2, one[4] / 2))


@given(st.lists(customer, min_size=1, max_size=40))
def test_segments_by_rule_follow_the_table_of_the_learned_ones(customers):
    everybody = members(*customers)
    asked = thresholds(everybody, NOW, new_days=60, lapse_days=90)
    oldest = max(tenure for _, tenure, *_ in customers)

    def percentile(place, own):
        values = [one[place] for one in customers]
        return (sum(value < own for value in values) + sum(value <= own for value in values)) / (2 * len(values))

    for one, segment in zip(customers, by_rule(everybody, asked, NOW).tolist(), strict=True):
        recency, tenure, orders, frequency, money = one
        profile = Profile(
            new=float(tenure <= 60 and oldest >= 150),
            active=float(recency <= 90),
            one_order=float(orders == 1),
            frequency=percentile(3, frequency),
            money=percentile(4, money),
            recency=percentile(0, recency),
        )
        line = next(line for line in names.TABLE if line.holds(profile, 0))
        assert RULE_SEGMENTS[segment].name == line.name


def test_names_and_strategies_are_those_of_the_table():
    assert len({one.name for one in RULE_SEGMENTS.values()}) == len(RULE_SEGMENTS) == 8
    assert all(one.strategy for one in RULE_SEGMENTS.values())
    assert not set(RULE_SEGMENTS) & {*SPECIAL_SEGMENTS, NO_SEGMENT, -2}
    assert max(RULE_SEGMENTS) == -101
    assert set(RULE_SEGMENTS) <= set(RULE_IDS)


@given(st.lists(customer, min_size=1, max_size=40))
def test_what_a_document_keeps_decides_the_same(customers):
    everybody = members(*customers)
    asked = thresholds(everybody, NOW, new_days=60, lapse_days=90)
    again = RuleThresholds.model_validate_json(asked.model_dump_json())
    assert (by_rule(everybody, again, NOW) == by_rule(everybody, asked, NOW)).all()


def test_with_time_the_history_becomes_known():
    young = members(*((min(recency, 50), min(tenure, 140), *rest) for recency, tenure, *rest in SHOP[:-1]))
    asked = thresholds(young, NOW, new_days=60, lapse_days=90)
    newcomer = members((5, 5, 1, 1.0, 1.0), (5, 5, 1, 1.0, 1.0))
    moments = NOW + np.array([10, 9]) * DAY
    assert [RULE_SEGMENTS[one].name for one in by_rule(newcomer, asked, moments).tolist()] == [
        "New customers",
        "One order so far",
    ]


def test_a_population_of_nobody_can_be_asked():
    nobody = Members(*(np.full(1, np.nan) for _ in range(2)), np.zeros(1, np.uint32), np.zeros(1), np.zeros(1))
    asked = thresholds(nobody, NOW, new_days=60, lapse_days=90)
    assert by_rule(members(*SHOP), asked, NOW).tolist()[-1] == 0
    assert named(members(*SHOP))[0] == "Champions"
    assert RULE_SEGMENTS[by_rule(members(*SHOP), asked, NOW).tolist()[0]].name == "Occasional"


@pytest.mark.parametrize(
    ("buyers", "first_at", "little"),
    [
        (199, NOW - 900 * DAY, True),
        (200, NOW - 60 * DAY, False),
        (10**6, NOW - 59 * DAY, True),
        (0, None, True),
    ],
)
def test_two_hundred_buyers_and_sixty_days_are_enough_to_learn(buyers, first_at, little):
    assert too_little_to_learn(buyers, first_at, NOW, ModelSettings()) == little
    profiles = ModelSettings(features=("profile",))
    assert not too_little_to_learn(buyers, first_at, NOW, profiles)
