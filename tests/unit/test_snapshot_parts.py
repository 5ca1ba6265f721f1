"""The pure parts of snapshots and of moving rows: what goes in comes out, and a sum that any change would show."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.exposures import Exposures, decode_kept
from consumer.image import Image, Shared
from consumer.layout import HEAD, HEADER, LINE, Limits, empty_header
from consumer.moving_rows import digest_of, leaving, moved
from consumer.row_store import ItemTable
from consumer.snapshot_columns import FIELDS, ROWS, fields_batch, fields_of, packed_rows, rows_batch
from consumer.snapshot_fields import kept_of, kept_triples, shared_of, shared_triples
from consumer.state import NEW, Kept
from contracts.partitioning import partition_of

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers(0, 2**40)
pages = st.dictionaries(st.integers(0, 40_000), st.binary(max_size=9), max_size=3)
kept = st.builds(
    Kept,
    items=st.lists(names, unique=True, max_size=12),
    markers=st.dictionaries(st.binary(min_size=16, max_size=16), st.binary(min_size=24, max_size=24), max_size=3),
    outbox=st.dictionaries(names, st.binary(max_size=9), max_size=3),
    unviewed=st.frozensets(names, max_size=3),
    days=pages,
    feedback=pages,
)
shared = st.builds(
    Shared,
    models=st.dictionaries(st.integers(1, 999), st.binary(max_size=9), max_size=3),
    item_version=st.just(0),
    item_model=st.none(),
    forecast_version=st.just(0),
    forecast=st.none(),
    forecast_memory=st.none(),
    review=st.none() | st.binary(),
    notes=st.dictionaries(names, st.binary(max_size=9), max_size=3),
    segment_names=st.dictionaries(st.integers(-3, 99), st.binary(max_size=9), max_size=3),
    audiences=st.dictionaries(names, st.integers(0, 63), max_size=3),
)


def row(lines=(), attributes=b"", seq=1, exposures=b"", **columns) -> bytes:
    """A packed row whose lines are (item number, quantity)."""
    header = empty_header()
    for name, value in columns.items():
        header[name] = value
    packed = np.array(list(lines), LINE).tobytes()
    heads = np.array([(5, 7, len(lines))], HEAD).tobytes() if lines else b""
    header["heads"], header["lines"], header["attributes"] = len(heads), len(packed), len(attributes)
    header["changed_seq"], header["exposures"] = seq, len(exposures)
    return header.tobytes() + heads + packed + attributes + exposures


def shown(*items: int) -> bytes:
    """Impressions of items and a click on the first of them, packed."""
    made = Exposures(b"", Limits())
    made.show(9, "page", [(item, "popular") for item in items], segment=1, bought=lambda: (), seen=9)
    made.click(10, "page", items[:1], seen=10)
    return made.close(10)[0]


def image(customers: dict[str, bytes], items=("a", "b", "c"), partition=0) -> Image:
    return Image(partition, NEW, Kept(items, {}, {}, frozenset(), {}), list(customers), list(customers.values()))


@settings(deadline=None)
@given(kept)
def test_what_a_partition_keeps_survives_its_table(kept):
    assert kept_of(fields_of(fields_batch(kept_triples(kept)))) == kept


@settings(deadline=None)
@given(shared)
def test_what_stands_beside_partitions_survives_its_table(shared):
    assert shared_of(fields_of(fields_batch(shared_triples(shared)))) == shared


def test_what_was_learnt_keeps_its_version():
    found = Shared(item_version=7, item_model=b"model", forecast_version=3, forecast=b"f", forecast_memory=b"m")
    assert shared_of(shared_triples(found)) == found


def test_rows_survive_their_table_and_are_named_columns():
    rows = (["ann", "böb"], [row([(0, 2)], spend=2_500_000, first_at=1_000_000), row()])
    batch = rows_batch(rows)
    assert packed_rows(batch) == rows
    assert batch.schema == ROWS
    assert batch.column("spend").to_pylist() == [2_500_000, 0]
    assert batch.column("first_at").to_pylist()[0].isoformat() == "1970-01-01T00:00:01+00:00"
    assert batch.column("first_at").null_count == 1
    assert batch.column("segment").null_count == 2
    assert fields_batch([]).schema == FIELDS


customers = st.dictionaries(
    st.text(min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 2), st.integers(-5, 5)), max_size=4),
    min_size=1,
    max_size=8,
)


@settings(deadline=None)
@given(customers, st.permutations(["a", "b", "c", "d"]))
def test_a_moved_row_is_the_same_row_whatever_the_other_partition_calls_its_items(customers, order):
    source = image({who: row(lines, seq=9) for who, lines in customers.items()})
    places = range(len(source.rows))
    items = ItemTable(order[:2])
    there = moved(source, places, items, 5)
    target = image(dict(zip(source.customer_ids, there, strict=True)), items.names)
    assert digest_of(target, reversed(places)) == digest_of(source, places)
    headers = [np.frombuffer(one[: HEADER.itemsize], HEADER)[0] for one in there]
    assert {int(header["changed_seq"]) for header in headers} == {5}, "no view was written: dirty"


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True), st.permutations(["a", "b", "c", "d"]))
def test_what_was_shown_is_of_the_same_items_in_the_other_partition(numbers, order):
    source = image({"ann": row(attributes=b"x", exposures=shown(*numbers))})
    items = ItemTable(order)
    (there,) = moved(source, [0], items, 5)
    size = int(np.frombuffer(there[: HEADER.itemsize], HEADER)["exposures"][0])
    kept = decode_kept(there[-size:])
    assert {items.names[one[2]] for one in kept.shown} == {source.kept.items[number] for number in numbers}
    assert [items.names[one[2]] for one in kept.clicks] == [source.kept.items[numbers[0]]]
    assert there[:-size].endswith(b"x")
    target = image({"ann": there}, items.names)
    assert digest_of(target, [0]) == digest_of(source, [0])
    other = image({"ann": row(attributes=b"x", exposures=shown((numbers[0] + 1) % 3))})
    assert digest_of(other, [0]) != digest_of(source, [0])


@settings(deadline=None)
@given(customers)
def test_moved_again_it_is_the_same_to_the_byte(customers):
    source = image({who: row(lines) for who, lines in customers.items()})
    items = ItemTable()
    first = moved(source, range(len(source.rows)), items, 5)
    assert moved(source, range(len(source.rows)), items, 5) == first


@pytest.mark.parametrize(
    "other",
    [
        {"ann": row([(0, 2)], spend=2)},
        {"ann": row([(0, 3)], spend=1)},
        {"ann": row([(1, 2)], spend=1)},
        {"ann": row([(0, 2)], b"x", spend=1)},
        {"bob": row([(0, 2)], spend=1)},
        {"ann": row([(0, 2)], spend=1), "bob": row()},
    ],
)
def test_any_change_shows_in_the_digest(other):
    one = image({"ann": row([(0, 2)], spend=1)})
    two = image(other)
    assert digest_of(one, [0]) != digest_of(two, range(len(two.rows)))


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=30), st.integers(1, 5), st.integers(1, 5))
def test_a_row_leaves_for_where_its_customer_belongs_and_copies_stay(ids, before, more):
    after = before + more
    for partition in range(after):
        here = [who for who in ids if partition_of(who, before) == partition or partition_of(who, after) == partition]
        source = image({who: row() for who in here}, partition=partition)
        found = leaving(source, before, after)
        assert partition not in found
        gone = {here[place]: target for target, places in found.items() for place in places}
        assert gone == {
            who: partition_of(who, after)
            for who in here
            if partition_of(who, before) == partition != partition_of(who, after)
        }
