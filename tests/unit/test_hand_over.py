"""Hand-overs that no worker has written: they are refused, and stop nobody."""

import base64
import json

import msgspec
import numpy as np
import pytest

from consumer.applying import Applier
from consumer.bonds import Edge, Part, PlainRow, Since, pack_parts
from consumer.currency import Rates
from consumer.dead_letters import Reason
from consumer.decoding import Decoder
from consumer.hand_over import hand_over
from consumer.layout import HEAD, HEADER, LINE, Limits, empty_header
from consumer.row_store import PartitionRows, RowStore
from contracts.partitioning import partition_of
from logs.base import Batch

AT = 1_700_000_000_000_000
SINCE = Since(4, 0, 9)
PARTITION = partition_of("c", 4)


def row(**changes):
    """A row of one purchase of two lines."""
    header = empty_header()
    header["first_at"] = header["last_at"] = header["newest_at"] = header["seen_at"] = AT
    header["orders"] = 1
    heads = np.array([(AT, 5, 2)], HEAD).tobytes()
    lines = np.array([(0, 1), (1, 2)], LINE).tobytes()
    return msgspec.structs.replace(PlainRow(header.tobytes(), heads, ["a", "b"], lines, b""), **changes)


def with_header(**values):
    header = np.frombuffer(row().header, HEADER).copy()
    for name, value in values.items():
        header[name] = value
    return row(header=header.tobytes())


def told(*parts):
    return hand_over("c", "g", list(parts), since=SINCE, cause=6, at=AT, deployment="shop")


def part(plain, who="g"):
    return Part(who, Edge("c", AT, 3), plain, SINCE)


def apply(value):
    """What becomes of it: reasons by which it is refused, and orders of the customer."""
    store = RowStore()
    store.partitions[PARTITION] = PartitionRows(PARTITION)
    applier = Applier(store, Limits(), 4, "shop")
    decoded = Decoder(Rates("GBP")).decode(Batch(PARTITION, [7], [value], [None], [AT]))
    outcome = applier.apply(decoded.events)
    applier.settle()
    found = store.partitions[PARTITION].index.get("c")
    orders = None if found is None else int(store.header["orders"][found])
    return [one.reason for one in (*decoded.refused, *outcome.refused)], orders


def test_one_that_is_whole_counts():
    assert apply(told(part(row()))) == ([], 1)


@pytest.mark.parametrize(
    "wrong",
    [
        row(header=b"short"),
        row(heads=b"123"),
        row(lines=b"123"),
        row(lines=b""),
        row(items=["a"]),
        row(attributes=b"\xc1"),
        with_header(newest_at=AT - 1),
        with_header(seen_at=2**62),
        with_header(net_decayed=np.nan),
    ],
)
def test_a_row_that_is_none_is_refused(wrong):
    assert apply(told(part(wrong))) == ([Reason.INVALID], None)
    assert apply(told(part(row()), part(wrong, "h"))) == ([Reason.INVALID], None)


def test_what_begins_with_another_id_is_refused():
    assert apply(told(part(row(), "h"))) == ([Reason.INVALID], None)


def test_what_no_number_can_be_is_refused():
    value = msgspec.json.decode(told(part(row())))
    for since in ([4, 0, 2**63], [4, 0, 2**64], [2**70, 0, 1], [4, -1, 1]):
        assert apply(json.dumps({**value, "since": since}).encode()) == ([Reason.UNKNOWN_TYPE], None)
    packed = base64.b64encode(pack_parts([part(row())])[:-3]).decode()
    assert apply(msgspec.json.encode({**value, "packed": packed})) == ([Reason.INVALID], None)
