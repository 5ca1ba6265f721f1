"""Boxes that come close to chosen points, and the conditions that lassos become."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.model import FeatureColumn
from dashboard.box_fit import f1, fit_boxes
from dashboard.customer_sample import CustomerSample
from dashboard.lasso import Axis, Lasso, within
from dashboard.lasso_rule import condition_of
from online_model.condition import And, Between, Compare, Or
from online_model.features import FeatureSet
from online_model.projection import of_sample
from online_model.rules import parse
from tests.map_sample import sample


def union(boxes, X):
    return np.logical_or.reduce([one.holds(X) for one in boxes]) if boxes else np.zeros(len(X), np.bool_)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 4), st.integers(0, 3))
def test_a_box_among_points_is_found_again(seed, columns, open_columns):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(400, columns + open_columns))
    low, high = np.sort(rng.normal(0, 1.5, (2, columns)), axis=0)
    wanted = ((X[:, :columns] >= low) & (X[:, :columns] <= high)).all(axis=1)
    boxes = fit_boxes(X, wanted)
    assert bool(boxes) == wanted.any()
    assert f1(union(boxes, X), wanted) > 0.98 or not wanted.any()


def test_what_is_not_known_lies_in_no_bound():
    rng = np.random.default_rng(1)
    X = rng.uniform(size=(500, 2))
    X[:100, 1] = np.nan
    wanted = X[:, 1] > 0.5
    [box] = fit_boxes(X, wanted)
    assert not box.holds(X)[:100].any()
    assert f1(box.holds(X), wanted) == 1
    # Where it says nothing of who is wanted it is left open.
    [other] = fit_boxes(X, X[:, 0] < 0.3)
    assert other.low[1] == -np.inf
    assert other.high[1] == np.inf


def test_two_clouds_take_two_boxes_and_one_takes_one():
    rng = np.random.default_rng(2)
    X = rng.uniform(0, 10, (2000, 2))
    left, right = (np.abs(X - at).max(axis=1) < 1 for at in ((2, 2), (8, 8)))
    assert len(fit_boxes(X, left)) == 1
    boxes = fit_boxes(X, left | right)
    assert len(boxes) == 2
    assert f1(union(boxes, X), left | right) > 0.98


def lasso(corners, x=None, y=None, **more) -> Lasso:
    return Lasso(
        version=1,
        now=0,
        x=x or Axis(0),
        y=y or Axis(1),
        corners=tuple((float(a), float(b)) for a, b in corners),
        **more,
    )


BOX = ((0.5, 0.6), (1.5, 0.6), (1.5, 1.4), (0.5, 1.4))


def test_a_box_between_two_features_is_a_condition_in_the_units_that_people_use():
    condition = condition_of(lasso(BOX), sample())
    assert str(condition) == "recency_days between 19.4616 and 104.451 and features.monetary between 0.6 and 1.4"
    assert str(parse(str(condition))) == str(condition)
    reaching = tuple((x if x > 1 else -1, y) for x, y in BOX)
    assert str(condition_of(lasso(reaching), sample())).startswith("recency_days <= 104.451 and")


def test_a_shape_drawn_by_hand_is_the_nearest_ranges():
    some = sample(3000)
    circle = [(1 + 0.6 * np.cos(at), 1 + 0.6 * np.sin(at)) for at in np.linspace(0, 6.2, 40)]
    drawn = lasso(circle)
    condition = condition_of(drawn, some)
    inside = drawn.holds(some.X, some.segments, some.model)
    assert f1(by_hand(condition, some), inside) > 0.9


def by_hand(condition, some: CustomerSample):
    """Whom a condition on recency and money means."""
    known = {"recency_days": some.told[:, 0], "features.monetary": some.X[:, 1]}
    match condition:
        case And(parts):
            return np.logical_and.reduce([by_hand(one, some) for one in parts])
        case Or(parts):
            return np.logical_or.reduce([by_hand(one, some) for one in parts])
        case Between(field, low, high):
            return (known[field] >= low.value) & (known[field] <= high.value)
        case Compare(field, sign, value):
            return known[field] <= value.value if sign == "<=" else known[field] >= value.value


def test_a_shape_between_mixtures_is_ranges_of_features():
    some = sample(3000)
    projection = of_sample(some.X, some.model.metric, 2)
    axes = Axis.of_component(projection, 0), Axis.of_component(projection, 1)
    corners = ((0.0, -9.0), (9.0, -9.0), (9.0, 9.0), (0.0, 9.0))
    condition = condition_of(lasso(corners, *axes), some)
    places = projection.place(some.X)
    inside = within(places[:, 0], places[:, 1], np.array(corners))
    assert f1(by_hand(condition, some), inside) > 0.7, "half a plane askew is not two ranges, but nearly"


def test_segments_that_are_shown_are_part_of_the_rule():
    told = str(condition_of(lasso(BOX, segments=(3, -101)), sample()))
    assert told.startswith("segment_id in (-101, 3) and recency_days between")
    parse(told)


def test_nobody_inside_is_no_rule():
    far = ((50, 50), (51, 50), (50, 51))
    assert condition_of(lasso(far), sample()) is None


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (("frequency", "purchase_days"), "orders >= 1 and orders_decayed <= 3.48169 and purchase_days <= 3.0552"),
        (("frequency", "recent_share"), "orders_decayed <= 3.48169 and features.recent_share <= 1.4"),
    ],
)
def test_who_never_bought_is_on_no_map_and_in_no_rule(columns, told):
    some = sample()
    features = FeatureSet.of(columns)
    model = changed(some.model, features)
    corners = tuple((max(x, 0) if x > 1 else -1.0, y if y > 1 else -1.0) for x, y in BOX)
    of_these = CustomerSample(model, 0, 10, some.customer_ids, some.segments, some.names, some.X)
    assert str(condition_of(lasso(corners), of_these)) == told


def test_attributes_are_asked_for_by_name_and_levels_and_shares_not_at_all():
    some = sample()
    columns = (
        FeatureColumn(name="shoe size", attribute="shoe size", transform="log1p"),
        FeatureColumn(name="gender=F", attribute="gender", level="F"),
    )
    of_these = CustomerSample(
        changed(some.model, FeatureSet(columns)), 0, 10, some.customer_ids, some.segments, some.names, some.X
    )
    told = str(condition_of(lasso(BOX), of_these))
    assert told.startswith('attributes."shoe size"')
    assert "gender" not in told
    parse(told)


def changed(model, features):
    return replace(model, features=features.names, columns=features.columns)
