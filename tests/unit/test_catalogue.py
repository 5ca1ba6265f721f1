"""The catalogue: what it withdraws is recommended to nobody, in stock again it is back."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.catalogue import LOOK_SECONDS, CatalogueFollower, read_categories
from consumer.catalogue_columns import LONG_AGO
from consumer.catalogue_entry import Entry
from consumer.items import Items
from contracts.catalog import MAX_TEXT, CatalogItem, parse_item
from logs.base import LogSpec
from logs.memory import MemoryLogs

LOG = "catalog"


class Shelf:
    """Items that are withdrawn, and how often anything was said."""

    def __init__(self):
        self.entries = {}
        self.told = 0

    def put(self, item_id, entry):
        self.told += 1
        if entry is None:
            del self.entries[item_id]
        else:
            self.entries[item_id] = entry

    @property
    def withdrawn(self):
        return {item for item, entry in self.entries.items() if not entry.offered}

    @property
    def categories(self):
        return {item: entry.category for item, entry in self.entries.items() if entry.category}


class Turns:
    """Monotonic seconds that pass when the test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def logs():
    found = MemoryLogs(lambda: 0)
    found.create(LogSpec(LOG, 3))
    return found


@pytest.fixture
def turns():
    return Turns()


@pytest.fixture
def follower(logs, turns):
    return CatalogueFollower(logs, LOG, "one", turns)


def put(logs, *records):
    writer = logs.writer()
    for key, value in records:
        writer.append(LOG, key.encode(), value)
    writer.flush()


def entry(item_id, **more):
    return item_id, CatalogItem(item_id=item_id, **more).encode()


def look(follower, shelf, turns):
    """Look until a look has brought nothing: the first ones of a reader bring its assignment."""
    changed = False
    for _ in range(4):
        turns.now += LOOK_SECONDS
        changed |= follower.follow(shelf)
    return changed


def test_the_first_look_reads_to_the_end(logs, follower):
    put(logs, entry("post", recommendable=False), entry("cup"), entry("gone", in_stock=False), entry("post2"))
    shelf = Shelf()
    assert follower.follow(shelf)
    assert shelf.withdrawn == {"post", "gone"}


def test_later_looks_bring_what_is_new_and_nothing_twice(logs, follower, turns):
    put(logs, entry("post", recommendable=False))
    shelf = Shelf()
    follower.follow(shelf)
    assert not look(follower, shelf, turns)
    put(logs, entry("cup", in_stock=False))
    assert look(follower, shelf, turns)
    assert shelf.withdrawn == {"post", "cup"}
    assert shelf.told == 2


def test_an_item_comes_back_by_an_entry_or_by_a_tombstone(logs, follower, turns):
    put(logs, entry("a", in_stock=False), entry("b", in_stock=False))
    shelf = Shelf()
    follower.follow(shelf)
    put(logs, entry("a"), ("b", b""))
    assert look(follower, shelf, turns)
    assert shelf.withdrawn == set()


def test_it_looks_at_most_once_a_second(logs, follower, turns):
    shelf = Shelf()
    look(follower, shelf, turns)
    put(logs, entry("a", in_stock=False))
    turns.now += LOOK_SECONDS - 0.01
    assert not follower.follow(shelf)
    turns.now += 0.01
    assert follower.follow(shelf)


@pytest.mark.parametrize(
    "broken", [b"{", b"[]", b'{"item_id": ""}', b"\xff", json.dumps({"item_id": "a", "in_stock": 3}).encode()]
)
def test_a_broken_entry_is_passed_over(logs, follower, broken):
    put(logs, ("a", broken), entry("post", recommendable=False))
    shelf = Shelf()
    follower.follow(shelf)
    assert shelf.withdrawn == {"post"}


def test_a_missing_catalogue_is_an_empty_one_until_it_is_there(turns):
    logs = MemoryLogs(lambda: 0)
    follower, shelf = CatalogueFollower(logs, LOG, "one", turns), Shelf()
    assert not look(follower, shelf, turns)
    logs.create(LogSpec(LOG, 1))
    put(logs, entry("a", in_stock=False))
    assert look(follower, shelf, turns)
    assert shelf.withdrawn == {"a"}


def test_unknown_fields_are_ignored():
    assert CatalogItem.model_validate_json(b'{"item_id": "a", "colour": "red"}').offered


def test_the_category_of_an_item_is_what_the_catalogue_says_last(logs, follower, turns):
    put(logs, entry("a", category="Garden"), entry("b", category="Kitchen"), entry("c"))
    shelf = Shelf()
    look(follower, shelf, turns)
    assert shelf.categories == {"a": "Garden", "b": "Kitchen"}
    assert read_categories(logs, LOG) == shelf.categories
    put(logs, entry("a", category="Toys"), ("b", b""), entry("c", category="Garden"))
    look(follower, shelf, turns)
    assert shelf.categories == {"a": "Toys", "c": "Garden"}
    assert read_categories(logs, LOG) == shelf.categories
    assert read_categories(logs, "no such log") == {}


def test_names_become_one_printable_line():
    long = "a\x00b\x1b[31m\n c" + "d" * 10_000
    item = CatalogItem(item_id="a", name=long, category=" \t ")
    assert item.name == "a b [31m c" + "d" * (MAX_TEXT - 10)
    assert item.category is None
    assert parse_item(item.encode()) == item
    assert CatalogItem(item_id="a", name="lone \ud800").encode()


@pytest.mark.parametrize(
    ("in_stock", "recommendable", "offered"),
    [(None, None, True), (True, True, True), (False, None, False), (None, False, False), (True, False, False)],
)
def test_what_nobody_has_said_keeps_no_item_back(in_stock, recommendable, offered):
    assert CatalogItem(item_id="a", in_stock=in_stock, recommendable=recommendable).offered is offered


# ---- the columns that recommendations are made from ----


def test_items_know_category_and_since_when_there_are_such():
    items = Items([])
    items.put("late", Entry(category="Toys", since=50))
    items.put("old", Entry(category="Garden"))
    numbers = items.number(["old", "sold", "early", "heard of"])
    items.put("early", Entry(category="Toys", since=90))
    items.sold(numbers[[1, 2, 0, 1]], np.array([30, 70, 60, 20]))
    by_name = dict(zip(items.texts.ids, items.first_seen.tolist(), strict=True))
    assert by_name == {"late": 50, "old": LONG_AGO, "sold": 20, "early": 70, "heard of": LONG_AGO}
    assert items.history_start == 20
    codes = dict(zip(items.texts.ids, items.category_codes.tolist(), strict=True))
    named = {item: items.category_names[code] if code >= 0 else None for item, code in codes.items()}
    assert named == {"late": "Toys", "old": "Garden", "sold": None, "early": "Toys", "heard of": None}
    items.put("late", None)
    assert items.category_codes[items.numbers["late"]] == -1
    assert items.first_seen[items.numbers["late"]] == LONG_AGO
    assert items.category_codes.dtype == np.int32


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.booleans())))
def test_items_withdrawn_are_those_not_allowed(changes):
    items = Items(["a"])
    for item, offered, sold in changes:
        items.put(item, Entry(offered=offered))
        if sold:
            items.number([item])
    forbidden = {item for item, allowed in zip(items.texts.ids, items.allowed, strict=True) if not allowed}
    assert forbidden == set(items.withdrawn) & set(items.texts.ids)
    last = {item: offered for item, offered, _ in changes}
    assert set(items.withdrawn) == {item for item, offered in last.items() if not offered or item == "a"}
