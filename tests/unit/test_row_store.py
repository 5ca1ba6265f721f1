"""Rows by number: loaded in bulk, into numbers that were used before and behind them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.bodies import PARTS, WARM, Fresh
from consumer.layout import HEADER
from consumer.row_store import ItemTable, PartitionRows, RowStore


def parts_of(number: int) -> list[bytes]:
    """What each part of a row is: of many numbers something that can be compressed, of 0 nothing."""
    return [bytes([number % 256]) * (number * place * 13 % 101) for place in range(1, len(PARTS) + 1)]


def packed(number: int) -> bytes:
    """A row that only this number has, with parts of lengths of its own."""
    header = np.zeros(1, HEADER)
    header["orders"] = number
    parts = parts_of(number)
    for name, part in zip(PARTS, parts, strict=True):
        header[name] = len(part)
    return header.tobytes() + b"".join(parts)


@pytest.mark.parametrize("warm", [0, 3, WARM])
@given(steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=12))
def test_what_is_loaded_is_what_is_there_whatever_was_there_before(warm, steps):
    """Each step drops a partition, if it is there, and loads it with so many rows, in two parts."""
    store = RowStore(warm=warm)
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


_WHAT = st.sampled_from(("set", "append", "pack", "copy", "look", "add"))
_Change = st.tuples(_WHAT, st.integers(0, 9), st.integers(0, 5))


@pytest.mark.parametrize("warm", [0, 1, 3, WARM])
@given(changes=st.lists(_Change, max_size=40))
def test_a_row_taken_apart_put_together_and_copied_has_what_was_set_last(warm, changes):
    """Against lists of parts. Who looks at a part again is told of the rows where it was set since."""
    store = RowStore(warm=warm)
    rows = store.partitions[0] = PartitionRows(0)
    store.load(rows, ["a", "b"], [packed(3), packed(4)])
    parts = (store.heads, store.lines, store.known, store.attributes, store.moves, store.exposures)
    expected = [parts_of(n) for n in (3, 4)]
    watched = Fresh(store.lines)
    seen: set[int] = set()
    for number, (what, wanted, place) in enumerate(changes):
        row = wanted % len(expected)
        if what == "set":
            expected[row][place] = parts[place][row] + b"%d" % number
            parts[place][row] = expected[row][place]
            if place == 1:
                seen.discard(row)
        elif what == "append":
            expected[row][place] = (expected[row][place] + b"%d" % number)[-9:]
            parts[place].append(row, b"%d" % number, 9)
            if place == 1:
                seen.discard(row)
        elif what == "pack":
            some = np.unique([row, place % len(expected)])
            for one, blob in zip(some.tolist(), store.pack(some, number), strict=True):
                assert blob[HEADER.itemsize :] == b"".join(expected[one])
                header = np.frombuffer(blob, HEADER, 1)
                assert [int(header[name][0]) for name in PARTS] == list(map(len, expected[one]))
        elif what == "copy":
            to = place % len(expected)
            store.copy(row, to)
            expected[to] = list(expected[row])
            seen.discard(to)
        elif what == "look":
            assert watched.stale(np.array([row])) == [row] * (row not in seen)
            seen.add(row)
        else:
            assert store.add(rows, f"new-{number}") == len(expected)
            expected.append([b""] * len(PARTS))
        assert [[part[one] for part in parts] for one in range(len(expected))] == expected
        assert [part.of(range(len(expected))) for part in parts] == [
            list(column) for column in zip(*expected, strict=True)
        ]
        assert store.size_of(row) == HEADER.itemsize + len(b"".join(expected[row]))


def test_all_but_the_rows_that_were_packed_last_are_compressed():
    store = RowStore(warm=2)
    rows = store.partitions[0] = PartitionRows(0)
    blobs = [packed(number) for number in range(1, 6)]
    store.load(rows, list("abcde"), blobs)
    sizes = [len(blob) - HEADER.itemsize for blob in blobs]

    def compressed() -> list[int]:
        return [row for row, (body, size) in enumerate(zip(store.bodies.all, sizes, strict=True)) if len(body) < size]

    assert compressed() == [0, 1, 2]
    store.lines[1] = store.lines[1]
    store.pack(np.array([1]), 1)
    assert compressed() == [0, 2, 3]
    assert store.pack(np.arange(5), 0) == blobs  # all but the mark of who wrote them
    assert compressed() == [0, 2, 3]
    for row in range(5):
        store.moves.append(row, b"", 1_000)
    assert compressed() == [0, 2, 3]


@given(st.lists(st.tuples(st.integers(0, 2), st.lists(st.sampled_from("abcdef"), max_size=4)), max_size=12))
def test_tables_that_share_places_number_their_items_each_in_its_own_order(steps):
    places: dict[str, int] = {}
    tables = [ItemTable("ca", places), ItemTable((), places), ItemTable("a", places)]
    expected = [["c", "a"], [], ["a"]]
    assert [table.stored for table in tables] == [2, 0, 1]
    for which, names in steps:
        order = expected[which]
        order += [name for name in dict.fromkeys(names) if name not in order]
        assert tables[which].numbers(names) == [order.index(name) for name in names]
        assert [table.names for table in tables] == expected


def test_partitions_share_the_names_of_items():
    first, again, new, new_again = (text.decode() for text in (b"item-1", b"item-1", b"item-2", b"item-2"))
    assert first is not again
    one, other = ItemTable([first]), ItemTable([again])
    assert one.numbers([first, new]) == [0, 1]
    assert other.numbers([new_again]) == [1]
    assert all(name is same for name, same in zip(one.names, other.names, strict=True))
