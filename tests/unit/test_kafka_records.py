"""Records read in one loop are kafka-python's own, and so is where it goes on from."""

import contextlib
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import IsolationLevel, TopicPartition, errors
from kafka.consumer.fetcher import Fetcher
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder

from logs.kafka_reader import batch_of
from logs.kafka_records import _PartitionRecords

PLACE = TopicPartition("events", 3)
texts = st.binary(max_size=300)
records = st.tuples(
    st.integers(0, 2**41),
    st.none() | st.binary(max_size=40),
    st.none() | texts | st.integers(100, 70_000).map(bytes),
    st.lists(st.tuples(st.text(max_size=5), st.none() | texts), max_size=2),
)


def batch(content, *, first=0, codec=0, transactional=False):
    builder = DefaultRecordBatchBuilder(2, codec, transactional, 7 if transactional else -1, 0, 0, 1_000_000)
    for number, (at, key, value, headers) in enumerate(content):
        assert builder.append(number, at, key, value, headers) is not None
    written = bytearray(builder.build())
    written[:8] = first.to_bytes(8, "big")  # as a broker does; the checksum is of what follows
    return bytes(written)


def read(kind, buffer, takes, start=0, **settings):
    """Everything that can be told from outside, take by take."""
    one = kind(start, PLACE, MemoryRecords(buffer), **settings)
    told = []
    for count in takes:
        if not one:
            break
        told.append((one.take(count), one.next_fetch_offset, one.leader_epoch, one.records_read > 0))
    return told


def assert_same(buffer, takes=(None,), start=0, **settings):
    ours = read(_PartitionRecords, buffer, takes, start, **settings)
    assert ours == read(Fetcher.PartitionRecords, buffer, takes, start, **settings)
    return [record for some, *_ in ours for record in some]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(records, min_size=1, max_size=8), min_size=1, max_size=4),
    st.integers(0, 4),
    st.lists(st.integers(1, 5), max_size=5),
    st.integers(0, 12),
)
def test_any_batches_in_any_codec(contents, codec, takes, start):
    places = [sum(map(len, contents[:number])) for number in range(len(contents))]
    buffer = b"".join(batch(one, first=place, codec=codec) for one, place in zip(contents, places, strict=True))
    found = assert_same(buffer, [*takes, None], start)
    assert [record.value for record in found] == [one[2] for content in contents for one in content][start:]


@pytest.mark.parametrize("isolation", [IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED])
def test_log_append_time_transactions_and_old_formats(isolation):
    some = [(1_000, b"k", b"v", []), (2_000, None, None, [])]
    appended = bytearray(batch(some, first=2))
    appended[22] |= 0x08  # the broker's time; what follows the checksum has changed
    legacy = LegacyRecordBatchBuilder(1, 0, 1_000_000)
    legacy.append(4, timestamp=9, key=b"k", value=b"old")
    buffer = batch(some, transactional=True) + bytes(appended) + bytes(legacy.build())
    found = assert_same(buffer, [1, None], isolation_level=isolation, check_crcs=False)
    assert [record.timestamp_type for record in found[:4]] == [0, 0, 1, 1]


@pytest.mark.parametrize("isolation", [IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED])
def test_what_an_aborted_transaction_wrote_is_left_out(isolation):
    some = [(1_000, b"k", b"v", []), (2_000, None, None, [])]
    marker = bytearray(batch([(3_000, b"\0\0\0\0", b"", [])], first=4, transactional=True))
    marker[22] |= 0x20  # a control record, whose key says that it is an abort
    aborted = batch(some, transactional=True, first=2)
    rest = batch(some, transactional=True, first=5) + batch(some, first=7)
    for before in (b"", batch(some)):
        found = assert_same(
            before + aborted + bytes(marker) + rest,
            [3, 1, None],
            start=0 if before else 2,
            isolation_level=isolation,
            check_crcs=False,
            aborted_transactions=[SimpleNamespace(producer_id=7, first_offset=2)],
        )
        offsets = [5, 6, 7, 8] if isolation == IsolationLevel.READ_COMMITTED else [2, 3, 5, 6, 7, 8]
        assert [record.offset for record in found] == ([0, 1] if before else []) + offsets


def test_what_is_broken_is_told():
    whole = batch([(1_000, b"key", b"value", [("a", b"b")])] * 3)
    for place in range(61, len(whole)):
        for changed in (whole[place] ^ 1, whole[place] ^ 0x80, 0xFF):
            bent = whole[:place] + bytes([changed]) + whole[place + 1 :]
            with contextlib.suppress(errors.CorruptRecordError):  # and nothing else
                read(_PartitionRecords, bent, [None, None], check_crcs=False)
            with pytest.raises(errors.CorruptRecordError):
                read(_PartitionRecords, bent if bent != whole else whole[:-1] + b"\0", [None])
    cut = bytearray(whole)
    cut[57:61] = (4).to_bytes(4, "big")  # more records than there are
    with pytest.raises(errors.CorruptRecordError, match="ends within a record"):
        read(_PartitionRecords, bytes(cut), [None], check_crcs=False)
    cut[57:61] = (2).to_bytes(4, "big")
    with pytest.raises(errors.CorruptRecordError, match="are left"):
        read(_PartitionRecords, bytes(cut), [None], check_crcs=False)


def test_after_what_is_broken_there_is_nothing_to_take():
    """kafka-python would look at the rest without end; what is fetched anew may be whole."""
    whole = batch([(1_000, b"key", b"value", [])])
    one = _PartitionRecords(0, PLACE, MemoryRecords(batch([(1_000, b"key", b"value", [])]) + whole[:-1] + b"\1"))
    assert len(one.take(9)) == 1
    assert one
    with pytest.raises(errors.CorruptRecordError):
        one.take(9)
    assert not one


def test_a_header_without_a_value_can_be_written_again():
    """As that of an event in the wrong partition is, which a worker publishes once more."""
    written = batch([(1_000, b"key", b"value", [("none", None), ("n", b"1")]), (1_000, b"key", b"value", [])])
    found = batch_of(3, _PartitionRecords(0, PLACE, MemoryRecords(written)).take(9))
    assert found.headers == {0: (("none", b""), ("n", b"1"))}


def test_a_header_s_name_in_another_encoding_is_read_all_the_same():
    written = bytearray(batch([(1_000, b"key", b"value", [("naxve", b"1")])]))
    written[written.index(b"naxve") + 2] = 0xEF  # ï in Latin-1
    (record,) = _PartitionRecords(0, PLACE, MemoryRecords(bytes(written)), check_crcs=False).take(9)
    assert record.headers == [("na\ufffdve", b"1")]


def test_a_batch_that_can_not_be_read_is_where_to_go_on():
    bent = bytearray(batch([(1_000, b"key", b"value", [])], first=2))
    bent[57:61] = (4).to_bytes(4, "big")
    buffer = batch([(1_000, b"key", b"value", [])] * 2) + bytes(bent)
    for start, found in ((0, 2), (2, 0)):
        one = _PartitionRecords(start, PLACE, MemoryRecords(buffer if start == 0 else bytes(bent)), check_crcs=False)
        if found:
            assert len(one.take(9)) == found
        with pytest.raises(errors.CorruptRecordError):
            one.take(9)
        assert one.next_fetch_offset == 2
