"""Changes of segment as they are written are what the contract writes."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from consumer.changes import new_changes
from consumer.held import Change
from contracts.documents import CAUSES, NO_SEGMENT, RULE_IDS, SegmentChange
from contracts.times import DAY, from_micros

segments = st.integers(1, 50) | st.sampled_from(sorted(RULE_IDS))


@given(
    st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=20),
    st.just(NO_SEGMENT) | segments,
    segments,
    st.integers(0, len(CAUSES) - 1),
    st.integers(0, 40_000 * DAY) | st.integers(0, 40_000).map(lambda days: days * DAY),
    st.integers(0, 2**31),
)
def test_it_is_what_the_contract_writes(customer_id, before, after, cause, at, version):
    held = SimpleNamespace(
        number=3, token="abc", seq=6, changes={0: [Change(before, after, cause, at, version)]}, audience_changes={}
    )
    changes = new_changes(SimpleNamespace(ids=[customer_id]), held, [0])
    (change_id, written) = changes.popitem()
    expected = SegmentChange(
        change_id=change_id,
        customer_id=customer_id,
        **{"from": None if before == NO_SEGMENT else before, "to": after},
        by_rule=after in RULE_IDS,
        cause=CAUSES[cause],
        at=from_micros(at),
        model_version=version,
    )
    assert change_id == "3-abc-000000000007-00000"
    assert written == expected.model_dump_json(by_alias=True).encode()
    assert SegmentChange.model_validate_json(written) == expected
