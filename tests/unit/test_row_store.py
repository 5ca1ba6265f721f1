"""Rows by number: loaded in bulk, into numbers that were used before and behind them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from consumer.layout import HEADER
from consumer.row_store import ItemTable, PartitionRows, RowStore

PARTS = ("heads", "lines", "ids", "attributes", "moves", "exposures")


def packed(number: int) -> bytes:
    """A row that only this number has, with parts of lengths of its own."""
    header = np.zeros(1, HEADER)
    header["orders"] = number
    parts = [bytes([number % 256]) * (number * place % 7) for place in range(1, len(PARTS) + 1)]
    for name, part in zip(PARTS, parts, strict=True):
        header[name] = len(part)
    return header.tobytes() + b"".join(parts)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=12))
def test_what_is_loaded_is_what_is_there_whatever_was_there_before(steps):
    """Each step drops a partition, if it is there, and loads it with so many rows, in two parts."""
    store = RowStore()
    expected: dict[int, dict[str, bytes]] = {}
    number = 0
    for partition, count in steps:
        if partition in expected:
            store.drop_partition(partition)
        rows = store.partitions[partition] = PartitionRows(partition)
        blobs = [packed(number + n) for n in range(count)]
        ids = [f"{partition}-{number + n}" for n in range(count)]
        number += count
        for some in (slice(0, count // 2), slice(count // 2, count)):
            loaded = store.load(rows, ids[some], blobs[some])
            assert [store.ids[row] for row in loaded] == ids[some]
        expected[partition] = dict(zip(ids, blobs, strict=True))
    assert len(store) == sum(map(len, expected.values()))
    for partition, wanted in expected.items():
        index = store.partitions[partition].index
        places = np.array(list(index.values()), np.int64)
        assert dict(zip(index, store.pack(places, 0), strict=True)) == wanted
        assert (store.partition[places] == partition).all()


def test_partitions_share_the_names_of_items():
    first, again, new, new_again = (text.decode() for text in (b"item-1", b"item-1", b"item-2", b"item-2"))
    assert first is not again
    one, other = ItemTable([first]), ItemTable([again])
    assert one.numbers([first, new]) == [0, 1]
    assert other.numbers([new_again]) == [1]
    assert all(name is same for name, same in zip(one.names, other.names, strict=True))
