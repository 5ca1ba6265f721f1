"""A lasso holds exactly the customers inside its polygon, in every process."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.lasso import Axis, Lasso, LassoError, thinned, within
from online_model.projection import of_sample
from tests.map_sample import sample

numbers = st.floats(-5, 5)
boxes = st.tuples(numbers, numbers, numbers, numbers).map(
    lambda four: (min(four[:2]), max(four[:2]), min(four[2:]), max(four[2:]))
)


@given(boxes, st.lists(st.tuples(numbers, numbers), max_size=30))
def test_of_a_box_it_is_who_lies_between_its_edges(box, points):
    left, right, low, high = box
    corners = np.array([(left, low), (right, low), (right, high), (left, high)])
    x, y = np.array([p[0] for p in points]), np.array([p[1] for p in points])
    strictly = (x > left) & (x < right) & (y > low) & (y < high)
    inside = within(x, y, corners)
    assert (inside >= strictly).all()
    assert (inside <= (x >= left) & (x <= right) & (y >= low) & (y <= high)).all()
    # Which corner comes first, and which way round, says nothing.
    assert (within(x, y, np.roll(corners, 2, axis=0)) == inside).all()
    assert (within(x, y, corners[::-1]) == inside).all()


def test_of_a_shape_with_a_dent():
    corners = np.array([(0, 0), (4, 0), (4, 4), (2, 1), (0, 4)], float)
    x, y = np.array([2.0, 2.0, 0.5, np.nan]), np.array([0.5, 2.0, 2.0, 1.0])
    assert within(x, y, corners).tolist() == [True, False, True, False]


def lasso(**more) -> Lasso:
    corners = ((0.5, 0.5), (1.5, 0.5), (1.5, 1.5), (0.5, 1.5))
    return Lasso(**{"version": 1, "now": 5, "x": Axis(0), "y": Axis(1), "corners": corners, **more})


def test_it_travels_as_text():
    one = lasso(segments=(1, -101))
    assert Lasso.read(str(one)) == one
    for wrong in ("", "x", "####", str(one)[:-9], "A" * 100_000):
        with pytest.raises(LassoError):
            Lasso.read(wrong)
    with pytest.raises(LassoError):
        Lasso.read(str(lasso(corners=((0, 0), (1, 1)))))
    with pytest.raises(LassoError):
        Lasso.read(str(lasso(corners=((0, 0), (1, 1), (float("nan"), 0)))))


def test_who_is_inside_by_features_and_by_mixtures():
    some = sample()
    X, model = some.X, some.model
    by_hand = (np.abs(X - 1) < 0.5).all(axis=1)
    assert (lasso().holds(X, some.segments, model) == by_hand).all()
    of_one = lasso(segments=(3,)).holds(X, some.segments, model)
    assert (of_one == by_hand & (some.segments == 3)).all()
    projection = of_sample(X, model.metric, 2)
    axes = {"x": Axis.of_component(projection, 0), "y": Axis.of_component(projection, 1)}
    corners = ((-1.0, -1.0), (1.0, -1.0), (0.0, 1.0))
    places = projection.place(X)
    expected = within(places[:, 0], places[:, 1], np.array(corners))
    assert 0 < expected.sum() < len(X)
    mixed = Lasso.read(str(lasso(**axes, corners=corners)))
    assert (mixed.holds(X, some.segments, model) == expected).all()


def test_it_is_refused_by_a_model_with_other_features():
    some = sample()
    with pytest.raises(LassoError):
        lasso(x=Axis(7)).holds(some.X, some.segments, some.model)
    with pytest.raises(LassoError):
        lasso(x=Axis(-1, (1.0,))).holds(some.X, some.segments, some.model)


def test_many_corners_are_thinned():
    circle = np.column_stack([np.cos(np.linspace(0, 6, 5000)), np.sin(np.linspace(0, 6, 5000))])
    assert len(thinned(circle)) == 400
    assert (thinned(circle)[[0, -1]] == circle[[0, -1]]).all()
