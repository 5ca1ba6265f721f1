"""The catalogue: what it withdraws is recommended to nobody, in stock again it is back."""

import json

import pytest

from consumer.catalogue import LOOK_SECONDS, CatalogueFollower, read_categories
from contracts.catalog import CatalogItem
from livesegments.non_product_entries import non_product_entries, publish_entries
from logs.base import LogSpec
from logs.memory import MemoryLogs
from producer.mapping import MappingRequest

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


# ---- what a known table sells that is no product ----

TABLE = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,85123A,HEART,6,2011-01-31 23:30,1.50,17850,UK
1,POST,POSTAGE,1,2011-01-31 23:30,18,17850,UK
2,POST,postage?,1,2011-01-31 23:30,18,17850,UK
3, POST ,POSTAGE,1,2011-01-31 23:30,18,,UK
4,M,,1,2011-01-31 23:30,18,17850,UK
"""


def test_a_preset_names_its_non_products(tmp_path):
    file = tmp_path / "retail.csv"
    file.write_text(TABLE)
    found = {one.item_id: one for one in non_product_entries(file, MappingRequest())}
    assert set(found) == {"POST", "M"}
    assert found["POST"].name == "POSTAGE"
    assert found["M"].name is None
    assert not any(one.offered for one in found.values())


def test_an_unknown_table_names_none(tmp_path):
    file = tmp_path / "other.csv"
    file.write_text("customer_id,occurred_at,item_id,unit_price\nc,2024-01-01,POST,1\n")
    assert non_product_entries(file, MappingRequest(currency="GBP")) == []


def test_entries_reach_the_catalogue(logs, follower):
    publish_entries([CatalogItem(item_id="POST", recommendable=False)], logs, LOG)
    shelf = Shelf()
    follower.follow(shelf)
    assert shelf.withdrawn == {"POST"}


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
