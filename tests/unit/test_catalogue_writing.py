"""What is said of items reaches the catalogue: by order lines, by a user, and only what differs."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalog import CatalogItem
from contracts.times import rfc3339, to_micros
from logs.base import LogSpec
from logs.memory import MemoryLogs
from producer.catalogue import publish_items, read_catalogue, remove_items
from producer.mapping import MappingRequest
from producer.replay import read_events

LOG = "catalog"
NOW = to_micros(datetime(2026, 1, 1, tzinfo=UTC))
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


@pytest.fixture
def logs():
    return new_logs()


def new_logs():
    made = MemoryLogs(lambda: NOW)
    made.create(LogSpec(LOG, 1))
    return made


def records(logs):
    return sum(len(batch) for batch in logs.read_all(LOG))


def said_by(tmp_path, text, request=None):
    path = tmp_path / "orders.csv"
    path.write_text(text)
    return {item.item_id: item for item in read_events(path, request, now=NOW).items}


# ---- what order lines say ----


def test_the_latest_name_that_a_purchase_gave_counts_and_the_first_line_is_when_it_came(tmp_path):
    found = said_by(
        tmp_path,
        HEADER
        + "1,a,OLD,1,2011-02-01 10:00,1,17850,UK\n"
        + "3,a,  NEW  NAME ,1,2011-04-01 10:00,1,17850,UK\n"
        + "2,a,MIDDLE,1,2011-03-01 10:00,1,17850,UK\n"
        + "4,a,,1,2011-05-01 10:00,1,17850,UK\n"
        + "C5,a,damaged,-1,2011-06-01 10:00,1,17850,UK\n"
        + "6,a,found in a box,1,2011-07-01 10:00,0,,UK\n"
        + "7,nameless,,1,2011-02-01 10:00,1,17850,UK\n"
        + "C8,back,ONLY RETURNED,-1,2011-02-01 10:00,1,17850,UK\n"
        + "9,guest,SOLD TO A GUEST,1,2011-02-01 10:00,1,,UK\n",
    )
    assert {item: one.name for item, one in found.items()} == {
        "a": "NEW NAME",
        "nameless": None,
        "back": "ONLY RETURNED",
    }
    assert found["a"].since == datetime(2011, 2, 1, 10, tzinfo=UTC)
    assert list(found) == ["a", "back", "nameless"]
    assert all(one.from_orders and one.offered for one in found.values())


def test_a_preset_names_its_non_products(tmp_path):
    found = said_by(
        tmp_path,
        HEADER + "1,POST,POSTAGE,1,2011-02-01 10:00,18,17850,UK\n2,85123A,HEART,1,2011-02-01 10:00,1,17850,UK\n",
    )
    assert {item: one.recommendable for item, one in found.items()} == {"POST": False, "85123A": None}


def test_any_table_may_have_names_and_categories(tmp_path):
    text = "customer_id,occurred_at,item_id,unit_price,name,category\nc,2024-01-01,POST,1,Post card,Paper\n"
    (item,) = said_by(tmp_path, text, MappingRequest(currency="GBP")).values()
    assert (item.name, item.category, item.recommendable) == ("Post card", "Paper", None)


def test_a_table_without_items_says_nothing_of_any(tmp_path):
    text = "customer_id,occurred_at,amount\nc,2024-01-01,1\n"
    assert said_by(tmp_path, text, MappingRequest(currency="GBP")) == {}


# ---- putting it together with what is known ----


def one(logs, item="a"):
    return read_catalogue(logs, LOG).get(item)


def orders_say(logs, **more):
    return publish_items([CatalogItem(item_id="a", from_orders=True, **more)], logs, LOG, NOW)


def a_user_says(logs, **more):
    return publish_items([CatalogItem(item_id="a", **more)], logs, LOG, NOW)


def test_publishing_twice_publishes_nothing(logs):
    items = [CatalogItem(item_id=f"i{n}", name=f"Item {n}") for n in range(10)]
    assert publish_items(items, logs, LOG, NOW).new == 10
    again = publish_items(items, logs, LOG, NOW + 10**9)
    assert (again.new, again.changed, again.alike) == (0, 0, 10)
    assert records(logs) == 10


def test_what_is_not_said_stays(logs):
    a_user_says(logs, name="Cup", category="Kitchen", recommendable=False)
    assert a_user_says(logs, in_stock=False).changed == 1
    assert one(logs) == CatalogItem(
        item_id="a", name="Cup", category="Kitchen", in_stock=False, recommendable=False, since=None
    )


def test_a_later_table_renames_what_order_lines_named(logs):
    orders_say(logs, name="OLD", category="X")
    orders_say(logs, name="NEW")
    assert (one(logs).name, one(logs).category) == ("NEW", "X")


def test_a_users_own_word_wins_over_order_lines_which_fill_what_is_missing(logs):
    orders_say(logs, name="WHITE MUG")
    a_user_says(logs, name="White mug", recommendable=True)
    orders_say(logs, name="WHITE MUG", category="Kitchen", recommendable=False)
    found = one(logs)
    assert (found.name, found.category, found.recommendable) == ("White mug", "Kitchen", True)
    orders_say(logs, category="Garden")
    assert one(logs).category == "Kitchen"


def test_a_word_on_stock_leaves_the_name_to_order_lines(logs):
    orders_say(logs, name="OLD")
    a_user_says(logs, in_stock=False)
    orders_say(logs, name="NEW")
    assert (one(logs).name, one(logs).in_stock) == ("NEW", False)


def test_items_are_new_once_there_is_a_catalogue(logs):
    a_user_says(logs, name="first load")
    publish_items([CatalogItem(item_id="b")], logs, LOG, NOW)
    assert one(logs).since is None
    assert one(logs, "b").since == datetime(2026, 1, 1, tzinfo=UTC)
    publish_items([CatalogItem(item_id="b", in_stock=False)], logs, LOG, NOW + 10**9)
    assert one(logs, "b").since == datetime(2026, 1, 1, tzinfo=UTC)


def test_what_is_removed_is_gone(logs):
    a_user_says(logs, name="Cup")
    remove_items(["a"], logs, LOG)
    assert read_catalogue(logs, LOG) == {}


def test_there_need_be_no_catalogue_to_read_one():
    assert read_catalogue(MemoryLogs(lambda: NOW), LOG) == {}


words = st.one_of(st.none(), st.sampled_from(["x", "y"]))
flags = st.one_of(st.none(), st.booleans())
sayings = st.lists(
    st.builds(
        CatalogItem,
        item_id=st.sampled_from("ab"),
        name=words,
        category=words,
        in_stock=flags,
        recommendable=flags,
        from_orders=st.booleans(),
    ),
    max_size=8,
)


@given(sayings)
def test_one_by_one_or_at_once_comes_to_the_same(said):
    together, apart = new_logs(), new_logs()
    publish_items(said, together, LOG, NOW)
    for item in said:
        publish_items([item], apart, LOG, NOW)
    ignored = {"since": None}  # apart, the second item comes into a catalogue that has begun
    assert {item: found.model_copy(update=ignored) for item, found in read_catalogue(together, LOG).items()} == {
        item: found.model_copy(update=ignored) for item, found in read_catalogue(apart, LOG).items()
    }


@given(sayings)
def test_a_users_last_word_is_what_stands(said):
    logs = new_logs()
    publish_items(said, logs, LOG, NOW)
    for item_id, found in read_catalogue(logs, LOG).items():
        for field in ("name", "category", "in_stock", "recommendable"):
            own = [getattr(one, field) for one in said if one.item_id == item_id and not one.from_orders]
            last = next((word for word in reversed(own) if word is not None), None)
            if last is not None:
                assert getattr(found, field) == last


def test_a_replayed_table_is_said_once(tmp_path, logs):
    rows = "".join(f"{n},sku{n % 50},NAME {n % 50},1,{rfc3339(NOW - n * 10**9)[:16]},1,1,UK\n" for n in range(1, 500))
    items = said_by(tmp_path, HEADER + rows).values()
    assert publish_items(items, logs, LOG, NOW).new == 50
    again = publish_items(said_by(tmp_path, HEADER + rows).values(), logs, LOG, NOW)
    assert (again.new, again.changed) == (0, 0)
