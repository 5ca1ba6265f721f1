import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.model import ModelDocument
from contracts.times import HOUR
from online_model.arrays import ShapeError
from online_model.features import MISSING_TIME
from online_model.metric import Metric
from online_model.model import NO_PURCHASES, NOT_ENOUGH_DATA, Segment, SegmentModel, unlearned_ids

NOW = 1_700_000_000_123_456


def line(**changes):
    """Two segments on a line, at 0 and at 10, ids 7 and 3."""
    fields = {
        "version": 4,
        "features": ("recency",),
        "order_value": 12.5,
        "metric": Metric(np.array([1.0]), np.array([2.0])),
        "centroids": np.array([[0.0], [10.0]]),
        "segments": (Segment(7, "Near", "Stay"), Segment(3, "Far")),
        "seed": 1,
        "margin": 0.10,
        "dwell": HOUR,
        "adopted_at": NOW,
        "reason": "means moved",
        "gain": 0.0061,
        "purchases": 1000,
        "buyers": 300,
        "next_segment_id": 8,
        "sizes": (200, 100),
        "inertia": 12.25,
    }
    return SegmentModel(**{**fields, **changes})


def publish(model, x, current, since=NOW - HOUR, now=NOW):
    X = np.array([[x]], float)
    ids = model.publish(X, model.assign(X), np.array([current], np.int32), np.array([since], np.int64), now)
    return int(ids[0])


# Half-way is 5; with a margin of 10 % as distances, 7 moves to 3 beyond 1.1 / 2.1 of the way: 5.238.
@pytest.mark.parametrize(("x", "published"), [(5.1, 7), (5.2, 7), (5.3, 3), (9.0, 3), (0.0, 7)])
def test_a_customer_moves_when_another_segment_is_nearer_by_the_margin(x, published):
    assert publish(line(), x, current=7) == published


def test_and_when_the_dwell_has_passed():
    assert publish(line(), 9.0, current=7, since=NOW - HOUR + 1) == 7
    assert publish(line(), 9.0, current=7, since=NOW - HOUR) == 3


@pytest.mark.parametrize("current", [NOT_ENOUGH_DATA, NO_PURCHASES, 1, 99])
def test_an_id_that_is_not_in_this_version_moves_at_once(current):
    assert publish(line(), 5.1, current, since=NOW) == 3
    assert publish(line(), 5.1, current, since=MISSING_TIME) == 3


def test_without_a_vote_there_are_no_purchases_yet():
    assert publish(line(), np.nan, current=7, since=NOW) == NO_PURCHASES
    assert line().assign(np.array([[np.nan]])).tolist() == [-1]


@given(st.lists(st.tuples(st.floats(-20, 20), st.sampled_from([7, 3, 0, 42]), st.integers(0, 2 * HOUR)), max_size=30))
def test_many_are_published_as_each_would_be(customers):
    model = line()
    X = np.array([[x] for x, _, _ in customers]).reshape(-1, 1)
    current = np.array([one for _, one, _ in customers], np.int32)
    since = np.array([NOW - age for _, _, age in customers], np.int64)
    published = model.publish(X, model.assign(X), current, since, NOW)
    assert published.dtype == np.int32
    assert published.tolist() == [publish(model, x, one, NOW - age) for x, one, age in customers]
    again = model.publish(X, model.assign(X), published, since, NOW)
    np.testing.assert_array_equal(again, published)


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite, finite, st.floats(0, 1e300), st.floats(5e-324, 1e300), st.integers(0, 2**50))
def test_the_document_gives_the_same_model_back_bit_for_bit(a, b, deviation, order_value, at):
    model = line(
        centroids=np.array([[a], [b]]),
        metric=Metric(np.array([b]), np.array([deviation])),
        order_value=order_value,
        adopted_at=at,
        gain=a,
    )
    message = model.to_document().model_dump_json()
    back = SegmentModel.from_document(ModelDocument.model_validate_json(message))
    assert back.centroids.tobytes() == model.centroids.tobytes()
    assert back.metric.means.tobytes() == model.metric.means.tobytes()
    assert back.metric.deviations.tobytes() == model.metric.deviations.tobytes()
    plain = [name for name in SegmentModel.__slots__ if name not in {"centroids", "metric"}]
    assert [getattr(back, name) for name in plain] == [getattr(model, name) for name in plain]
    assert back.to_document().model_dump_json() == message


@pytest.mark.parametrize(
    "change",
    [
        {"means": (1.0, 2.0)},
        {"next_segment_id": 7},
        {"v": 2},
        {"order_value": 0.0},
        {"gain": float("nan")},
        {"segments": ()},
    ],
)
def test_a_document_that_contradicts_itself_is_refused(change):
    fields = line().to_document().model_dump(mode="json") | change
    with pytest.raises(ValidationError):
        ModelDocument.model_validate(fields)


def test_before_there_is_a_model():
    assert unlearned_ids(np.array([True, False])).tolist() == [NOT_ENOUGH_DATA, NO_PURCHASES]


def test_a_model_fits_together_and_does_not_change():
    with pytest.raises(ShapeError, match="shape"):
        line(centroids=np.zeros((3, 1)))
    with pytest.raises(ValueError, match="read-only"):
        line().centroids[0] = 1
