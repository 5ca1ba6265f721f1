"""Attributes and category shares as columns: cached, and yet always what the rows say now."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer import ragged
from consumer.columns import Columns
from consumer.layout import HEAD, LINE
from consumer.ragged_columns import DecodedColumns, Lines
from consumer.row_store import ItemTable, PartitionRows, RowStore
from contracts.times import DAY

ITEMS = ("spade", "rake", "pan", "fee")
CATEGORIES = {"spade": "Garden", "rake": "Garden", "pan": "Kitchen"}
values = st.one_of(st.integers(-5, 5), st.floats(-1, 1), st.booleans(), st.sampled_from(["x", "y"]))


def packed_lines(lines):
    """Heads and lines of one event each, from (day, item number, quantity)."""
    heads = np.array([(day * DAY, place, 1) for place, (day, _, _) in enumerate(lines)], HEAD)
    return heads.tobytes(), np.array([(item, quantity) for _, item, quantity in lines], LINE).tobytes()


def new_store(partitions=2):
    store = RowStore()
    for number in range(partitions):
        # Numbers mean another item in each partition.
        store.partitions[number] = PartitionRows(number, items=ItemTable(np.roll(ITEMS, number).tolist()))
    for item, category in CATEGORIES.items():
        store.categories.set(item, category)
    return store


def uncached(store, rows):
    """The same columns, worked out from nothing."""
    numbers = rows.tolist()
    kept = Lines(
        [store.heads[row] for row in numbers],
        [store.lines[row] for row in numbers],
        store.partition[rows].tolist(),
        lambda partition: store.partitions[partition].items.names,
        store.categories,
    )
    decoded = [ragged.attributes_of(store.attributes[row]) for row in numbers]
    return Columns(store.header[rows], DecodedColumns(lambda: decoded, kept))


def texts(column):
    return [None if code < 0 else column.values[code] for code in column.codes.tolist()]


def assert_alike(columns, others):
    for name in ("a", "b"):
        np.testing.assert_array_equal(columns.numbers(name), others.numbers(name))
        assert texts(columns.labels(name)) == texts(others.labels(name))
    chosen = ["Kitchen", "Garden"]
    np.testing.assert_array_equal(columns.category_shares(chosen), others.category_shares(chosen))
    assert columns.attribute_counts() == others.attribute_counts()
    assert columns.category_counts() == others.category_counts()


steps = st.one_of(
    st.tuples(st.just("profile"), st.integers(0, 5), st.dictionaries(st.sampled_from("ab"), values)),
    st.tuples(
        st.just("lines"),
        st.integers(0, 5),
        st.lists(st.tuples(st.integers(18_000, 20_000), st.integers(0, 3), st.integers(-2, 2)), max_size=4),
    ),
    st.tuples(st.just("erase"), st.integers(0, 5), st.none()),
    st.tuples(st.just("categorise"), st.sampled_from(ITEMS), st.sampled_from([None, "Garden", "Kitchen", "Toys"])),
    st.tuples(st.just("drop"), st.integers(0, 1), st.none()),
    st.tuples(st.just("look"), st.integers(0, 5), st.none()),
)


@given(st.lists(steps, max_size=30))
def test_cached_columns_are_what_the_rows_say_whatever_happened_to_them(drawn):
    store = new_store()
    for at, (what, who, more) in enumerate(drawn):
        if what == "categorise":
            store.categories.set(who, more)
            continue
        if what == "drop":
            store.drop_partition(who)
            items = ItemTable(np.roll(ITEMS, at).tolist())
            store.partitions[who] = PartitionRows(who, items=items)
            continue
        partition = store.partitions[who % 2]
        row = partition.index.get(f"c{who}")
        if row is None:
            row = store.add(partition, f"c{who}")
        if what == "profile":
            store.attributes[row] = ragged.set_attributes(store.attributes[row], more, at, at)
        elif what == "lines":
            store.heads[row], store.lines[row] = packed_lines(more)
        elif what == "erase":
            store.release([store.detach(partition, f"c{who}")])
        rows = np.flatnonzero(store.partition[: store.used] >= 0)
        assert_alike(Columns.of_store(store, rows), uncached(store, rows))


def test_shares_are_of_purchases_in_a_category_halved_every_year():
    store = new_store(1)
    row = store.add(store.partitions[0], "c")
    lines = [(20_000 - 365, 0, 5), (20_000, 2, 1), (20_000, 3, 9), (20_000, 1, -1)]
    store.heads[row], store.lines[row] = packed_lines(lines)
    columns = Columns.of_store(store, np.array([row]))
    np.testing.assert_allclose(columns.category_shares(["Garden", "Kitchen"]), [[1 / 3, 2 / 3]])
    np.testing.assert_allclose(columns.category_shares(["Garden"]), [[1 / 3]])
    assert columns.category_counts() == {"Garden": 1, "Kitchen": 1}


def test_who_bought_nothing_of_any_category_has_no_shares():
    store = new_store(1)
    row = store.add(store.partitions[0], "c")
    assert np.isnan(Columns.of_store(store, np.array([row])).category_shares(["Garden"])).all()
    store.heads[row], store.lines[row] = packed_lines([(20_000, 3, 1)])
    assert np.isnan(Columns.of_store(store, np.array([row])).category_shares(["Garden"])).all()


@pytest.mark.parametrize("name", ['"', 'the "age"', "back\\slash", "ä", "field_0", "a.b"])
def test_an_attribute_may_be_called_anything(name):
    stored = ragged.set_attributes(b"", {name: 4.0, "b": "x"}, 7, 1)
    read = ragged.attribute_reader(("b", name, "none"))
    assert read(stored) == ("x", 4.0, None)
    assert read(b"") == (None, None, None)


def test_headers_alone_know_no_attributes():
    columns = Columns(RowStore().header)
    assert columns.numbers("age").shape == (0,)
    assert columns.labels("age").among(["x"]).shape == (0,)
    assert columns.category_shares(["Garden"]).shape == (0, 1)
    assert columns.attribute_counts() == {}
    assert columns.category_counts() == {}
