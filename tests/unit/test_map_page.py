"""What plotly says of a shape that was drawn, as corners; and a box that is entered in numbers."""

import numpy as np
import pytest

from dashboard.lasso import Axis, Lasso
from dashboard.pages.lasso_numbers import entered
from dashboard.pages.map import corners_of
from tests.map_sample import sample


@pytest.mark.parametrize(
    ("told", "corners"),
    [
        ({"selections": [{"type": "path", "path": "M1,2L3.5,-4L5e-1,6Z"}]}, [(1, 2), (3.5, -4), (0.5, 6)]),
        (
            {"selections": [{"type": "path", "path": "M9,9L8,8L7,9Z"}, {"type": "path", "path": "M0,0L1,0L0,1Z"}]},
            [(0, 0), (1, 0), (0, 1)],
        ),
        ({"selections": [{"type": "rect", "x0": 3, "x1": 1, "y0": 2, "y1": 4}]}, [(1, 2), (3, 2), (3, 4), (1, 4)]),
        ({"selections[0].path": "M0,0L1,0L0,1Z"}, [(0, 0), (1, 0), (0, 1)]),
        (
            {"selections[0].x0": 0, "selections[0].x1": 1, "selections[0].y0": 0, "selections[0].y1": 1},
            [(0, 0), (1, 0), (1, 1), (0, 1)],
        ),
        ({"selections": []}, []),
    ],
)
def test_what_was_drawn_is_read(told, corners):
    assert np.array_equal(corners_of(told), np.array(corners, np.float64).reshape(-1, 2))


@pytest.mark.parametrize("told", [None, {}, {"xaxis.range[0]": 1.0}, {"dragmode": "pan"}])
def test_a_zoom_is_no_lasso(told):
    assert corners_of(told) is None


def picture(x=0, y=1) -> Lasso:
    axes = [Axis(place) if place >= 0 else Axis(-1, (1.0, 1.0)) for place in (x, y)]
    return Lasso(1, 0, *axes, ((0, 0), (1, 0), (0, 1)))


def test_a_box_in_numbers_is_one_in_the_units_of_the_axes():
    some = sample()
    box = entered(("15", "60.0", "100", "1,000"), picture(), some)
    assert isinstance(box, dict)
    corners = corners_of({"selections": [box]})
    told = some.model.feature_set.in_units(corners[[0, 2]], some.model.order_value)
    assert np.allclose(told, [(15, 100), (60, 1000)])
    mixed = entered((-1, 2, 100, 1000), picture(x=-1), some)
    assert isinstance(mixed, dict)
    assert (mixed["x0"], mixed["x1"]) == (-1, 2)


@pytest.mark.parametrize("bounds", [(1, 2, 3, None), (2, 1, 3, 4), (1, 2, 3, 3), (1, 2, 3, "x"), (1, "inf", 3, 4)])
def test_numbers_that_are_no_box_are_told_so(bounds):
    assert isinstance(entered(bounds, picture(), sample()), str)
