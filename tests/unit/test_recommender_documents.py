"""The documents that readers get have the field names that the design makes public."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.documents import (
    AudienceChange,
    CustomerView,
    DeadLetter,
    SegmentChange,
    SegmentEvent,
    parse_change,
)
from contracts.times import DAY, from_micros

CHANGE = {
    "kind": "moved",
    "v": 1,
    "change_id": "0-5f-12-0",
    "customer_id": "17850",
    "from": None,
    "to": 3,
    "cause": "purchase",
    "at": "2011-01-19T00:00:00Z",
    "model_version": 4,
}


def test_records_of_the_log_of_changes_are_told_apart_by_their_kind():
    moved = json.dumps(CHANGE).encode()
    left = {**CHANGE, "kind": "left", "audience": "Bulk buyers"}
    gone = {
        "v": 1,
        "kind": "gone",
        "change_id": "m",
        "segment_id": 3,
        "name": "Loyal",
        "at": CHANGE["at"],
        "model_version": 4,
    }
    told = [parse_change(one) for one in (moved, json.dumps(left).encode(), json.dumps(gone).encode())]
    assert [type(one) for one in told] == [SegmentChange, AudienceChange, SegmentEvent]
    with pytest.raises(ValidationError):
        parse_change(b'{"kind":"other"}')


def test_a_change_says_from_and_to():
    change = SegmentChange(
        change_id="0-5f-12-0",
        customer_id="17850",
        to_segment=3,
        cause="purchase",
        at=from_micros(14_993 * DAY),
        model_version=4,
    )
    assert json.loads(change.encode()) == CHANGE
    assert SegmentChange.model_validate_json(change.encode()) == change


def test_a_cause_that_nobody_knows_is_refused():
    with pytest.raises(ValidationError, match="cause"):
        SegmentChange.model_validate(CHANGE | {"cause": "whim"})


@given(st.binary(max_size=300))
def test_a_dead_letter_carries_any_bytes(value):
    letter = DeadLetter(
        log="customer-events", partition=3, offset=7, reason="invalid", message="?", bytes=base64.b64encode(value)
    )
    assert base64.b64decode(json.loads(letter.encode())["bytes"]) == value
    assert DeadLetter.model_validate_json(letter.encode()).bytes == value


def test_documents_are_frozen():
    with pytest.raises(ValidationError):
        SegmentChange.model_validate(CHANGE).cause = "time"


def test_a_view_has_the_public_names():
    names = ["v", "customer_id", "segment", "audiences", "items", "forecast", "as_of", "model_version", "written_by"]
    assert sorted(CustomerView.model_fields) == sorted(names)
