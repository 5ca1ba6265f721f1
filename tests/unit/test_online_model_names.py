import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_model.names import Members, name_segments
from online_model.settings import ModelSettings

SETTINGS = ModelSettings()


def members(*groups):
    """Groups of (customers, recency days, tenure days, orders, frequency, money)."""
    columns = [np.repeat([group[place] for group in groups], [group[0] for group in groups]) for place in range(1, 6)]
    recency, tenure, orders, frequency, money = (column.astype(float) for column in columns)
    labels = np.repeat(np.arange(len(groups)), [group[0] for group in groups]).astype(np.int32)
    return Members(recency, tenure, orders.astype(np.uint32), frequency, money), labels


def names(*groups, previous=(), settings=SETTINGS):
    sample, labels = members(*groups)
    return [one.name for one in name_segments(sample, labels, len(groups), settings, previous)]


SHOP = (
    (10, 5, 700, 30, 20.0, 9000.0),
    (20, 20, 700, 8, 6.0, 900.0),
    (20, 15, 20, 1, 1.0, 100.0),
    (20, 45, 300, 1, 0.9, 90.0),
    (20, 300, 400, 1, 0.5, 50.0),
    (10, 200, 700, 9, 5.0, 2000.0),
)


def test_the_table_names_a_shop():
    assert names(*SHOP) == [
        "Champions",
        "Loyal",
        "New customers",
        "One order so far",
        "Lost after one order",
        "Lapsed, valuable",
    ]


def test_nobody_is_new_while_the_history_may_start_with_them():
    young = [(n, min(r, 70), min(t, 149), o, f, m) for n, r, t, o, f, m in SHOP]
    assert "New customers" not in names(*young)


def test_a_silent_shop_keeps_no_champions():
    later = [(n, r + 120, t + 120, o, f, m) for n, r, t, o, f, m in SHOP]
    for name in names(*later):
        assert name.startswith(("Lapsed", "Lost"))


def test_twins_get_what_divides_them():
    twins = names((10, 5, 700, 30, 20.0, 100.0), (35, 20, 300, 2, 1.0, 10.0), (25, 21, 300, 2, 1.0, 90.0))
    assert twins == ["Champions", "Occasional, lower spend", "Occasional, higher spend"]


def test_a_word_that_is_not_true_of_most_is_dropped():
    # 90 is the population's median: nobody who spends it spends more than that.
    twins = names((10, 5, 700, 30, 20.0, 100.0), (40, 20, 300, 2, 1.0, 10.0), (40, 21, 300, 2, 1.0, 90.0))
    assert twins == ["Champions", "Occasional, lower spend", "Occasional"]


def test_twins_that_nothing_divides_are_numbered():
    twins = names((5, 20, 300, 2, 1.0, 10.0), (5, 20, 300, 2, 1.0, 10.0))
    assert len(set(twins)) == 2
    assert all("group" in name for name in twins)


def test_an_empty_segment_says_so():
    sample, labels = members(*SHOP)
    assert name_segments(sample, labels, 7, SETTINGS)[6].name == "Empty"


def test_a_name_that_narrowly_fails_is_kept():
    def occasional_or_so(active):
        sample, labels = members((100, 20, 500, 4, 2.0, 100.0), (100, 20, 500, 4, 1.0, 50.0))
        sample.recency[: 100 - active] = 200.0
        return lambda previous: name_segments(sample, labels, 2, SETTINGS, previous)[0].name

    assert occasional_or_so(67)(()) == "At risk (slipping)"
    assert occasional_or_so(67)(("Loyal", "Occasional")) == "Loyal"
    assert occasional_or_so(60)(("Loyal", "Occasional")) == "At risk (slipping)"


customer_group = st.tuples(
    st.integers(1, 30),
    st.integers(0, 700),
    st.integers(0, 700),
    st.integers(1, 40),
    st.floats(0, 40),
    st.floats(-100, 1e5),
)


@given(st.lists(customer_group, min_size=1, max_size=9))
def test_names_are_unique_and_lasting_whatever_the_segments(groups):
    groups = [(n, recency, max(recency, tenure), *rest) for n, recency, tenure, *rest in groups]
    once = names(*groups)
    assert len(set(once)) == len(groups)
    assert names(*groups, previous=once) == once


def test_lapse_days_is_a_setting():
    assert names(*SHOP, settings=ModelSettings(lapse_days=10))[1].startswith("Lapsed, valuable")


def test_a_strategy_comes_with_the_name():
    sample, labels = members(*SHOP)
    named = name_segments(sample, labels, 6, SETTINGS)
    assert all(one.strategy for one in named)
    assert named[0].strategy.startswith("Retain")
    assert named[1].flags == ("upsell",)


@pytest.mark.parametrize("orders", [1, 5])
def test_loyal_needs_second_orders(orders):
    shop = [(10, 5, 700, 30, 20.0, 9000.0), (10, 20, 700, orders, 6.0, 90.0), (20, 20, 700, 1, 1.0, 100.0)]
    assert (names(*shop)[1] == "Loyal") == (orders > 1)


def test_a_flag_that_narrowly_fails_is_kept():
    """So many of a hundred others spend less than the loyal, who are ten more: p(money) is (below + 5.5) / 110."""

    def flags(below, previous):
        money = [10.0] * below + [500.0] + [1000.0] * (99 - below)
        others = Members(
            np.full(100, 20.0), np.full(100, 500.0), np.ones(100, np.uint32), np.ones(100), np.array(money)
        )
        loyal = ([1.0, 500.0, 5, 9.0, 500.0] for _ in range(10))
        joined = [np.concatenate(pair) for pair in zip(columns_of(others), np.array(list(loyal)).T, strict=True)]
        sample = Members(joined[0], joined[1], joined[2].astype(np.uint32), joined[3], joined[4])
        labels = np.repeat([0, 1], [100, 10]).astype(np.int32)
        known = ["", "Loyal"] if previous is not None else []
        named = name_segments(sample, labels, 2, SETTINGS, known, previous_flags=[(), previous or ()])
        assert named[1].name == "Loyal"
        return named[1].flags

    assert flags(80, None) == ("upsell",)
    assert flags(80, ()) == ()
    assert flags(84, None) == ()
    assert flags(84, ("upsell",)) == ("upsell",)
    assert flags(60, ()) == ("upsell",)


def columns_of(members):
    return members.recency, members.tenure, members.orders, members.frequency, members.money
