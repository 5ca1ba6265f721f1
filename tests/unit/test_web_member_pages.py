"""Pages of a segment's customers: everybody who stays in it exactly once, whatever happens to others."""

import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.state import bucket_of
from contracts.errors import LivesegmentsError
from contracts.partitioning import partition_of
from dashboard import member_pages
from dashboard.customer_rows import COLUMNS, Slice
from dashboard.masking import Masks
from dashboard.member_pages import Cursor, CursorError, MemberPages, all_rows

PARTITIONS = 3
MASKS = Masks(b"secret")


class Rows:
    """Customers in memory: id to segment."""

    def __init__(self, segments: dict[str, int], partitions: int = PARTITIONS) -> None:
        self.segments = segments
        self.looked_at = 0
        self._partitions = partitions

    def partitions(self) -> int:
        return self._partitions

    def read(self, partition, buckets, segment_id=None) -> Slice:
        there = [
            one
            for one in self.segments
            if partition_of(one, self._partitions) == partition and bucket_of(one) in buckets
        ]
        self.looked_at += len(there)
        chosen = [one for one in there if segment_id is None or self.segments[one] == segment_id]
        filled = {
            "audiences": "[]",
            "orders": 0,
            "returns": 0,
            "units": 0,
            "spend": 0,
            "refunds": 0,
            "attributes": "{}",
        }
        rows = [{"customer_id": one, "segment_id": self.segments[one], **filled} for one in chosen]
        return Slice(len(there), [bucket_of(one) for one in chosen], pa.RecordBatch.from_pylist(rows, COLUMNS))


def pages(rows: Rows, segment: int, limit: int, between=lambda: None) -> list[list[str]]:
    reader, cursor, found = MemberPages(rows, MASKS), None, []
    while True:
        page = reader.page(segment, limit, cursor)
        found.append(page.table.column("customer_id").to_pylist())
        if page.next is None:
            return found
        cursor = Cursor.read(str(page.next))
        between()


customers = st.dictionaries(st.text(min_size=1, max_size=8), st.integers(1, 3), max_size=60)


@settings(max_examples=40, deadline=None)
@given(customers, st.integers(1, 70))
def test_every_member_comes_once_and_pages_are_no_longer_than_asked_for(segments, limit):
    found = pages(Rows(segments), 1, limit)
    assert all(len(page) <= limit for page in found)
    assert sorted(one for page in found for one in page) == sorted(one for one in segments if segments[one] == 1)


@settings(max_examples=40, deadline=None)
@given(customers, st.integers(1, 10), st.integers(0, 2**32))
def test_who_stays_comes_once_whoever_comes_and_goes_meanwhile(segments, limit, seed):
    rows, draw = Rows(dict(segments)), random.Random(seed)
    stay = {one for one in segments if segments[one] == 1 and draw.random() < 0.5}

    def turmoil():
        for one in sorted(segments):
            if one not in stay and draw.random() < 0.5:
                rows.segments.pop(one, None)
            elif one not in stay:
                rows.segments[one] = draw.randint(1, 3)
        rows.segments[f"new-{draw.random()}"] = 1

    found = [one for page in pages(rows, 1, limit, turmoil) for one in page]
    assert len(found) == len(set(found))
    assert stay <= set(found)


def test_of_a_rare_segment_a_page_ends_before_everybody_was_read(monkeypatch):
    monkeypatch.setattr(member_pages, "MAX_LOOKED_AT", 500)
    monkeypatch.setattr(member_pages, "ROWS_AT_ONCE", 100)
    rows = Rows({f"c{n}": 2 for n in range(5_000)} | {"rare": 1}, partitions=1)
    first = MemberPages(rows, MASKS).page(1, 100, None)
    assert rows.looked_at < 1_000
    assert first.next is not None
    assert [one for page in pages(rows, 1, 100) for one in page] == ["rare"]


def test_a_page_of_a_common_segment_reads_little_more_than_it_shows():
    rows = Rows({f"c{n}": 1 for n in range(5_000)}, partitions=1)
    MemberPages(rows, MASKS).page(1, 50, None)
    assert rows.looked_at < 500


def test_a_cursor_gives_no_id_away():
    rows = Rows({f"customer-{n}": 1 for n in range(50)})
    cursor = MemberPages(rows, MASKS).page(1, 10, None).next
    assert b"customer" not in cursor.after
    assert len(cursor.after) == 16


@pytest.mark.parametrize("text", ["", "x", "ä", "AAAA", "lsk_", "gqNhYmM", "k9kDAA"])
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(CursorError):
        Cursor.read(text)


@given(st.binary(max_size=40))
def test_no_bytes_break_the_reading_of_cursors(data):
    try:
        cursor = Cursor.read(data.hex())
        MemberPages(Rows({"a": 1}), MASKS).page(1, 1, cursor)
    except CursorError:
        pass


def test_a_cursor_of_other_keys_or_partitions_is_refused():
    rows = Rows({f"c{n}": 1 for n in range(50)})
    cursor = MemberPages(rows, MASKS).page(1, 10, None).next
    with pytest.raises(LivesegmentsError, match="first page"):
        MemberPages(rows, Masks(b"other")).page(1, 10, cursor)
    with pytest.raises(CursorError, match="first page"):
        MemberPages(Rows(rows.segments, PARTITIONS + 1), MASKS).page(1, 10, cursor)


def test_nobody_at_all():
    assert pages(Rows({}, partitions=0), 1, 10) == [[]]


@given(customers)
@settings(max_examples=20, deadline=None)
def test_a_whole_table_has_everybody_once(segments):
    found = [one for batch in all_rows(Rows(segments)) for one in batch.column("customer_id").to_pylist()]
    assert sorted(found) == sorted(segments)
