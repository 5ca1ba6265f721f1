"""Tables of every shape become the events that they tell of."""

import gzip
import io
import re
import shutil
import zipfile
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import Profile, Purchase, Return, parse_event
from contracts.money import to_millionths
from contracts.times import rfc3339, to_micros
from producer.cleaning import ColumnError, clean_id
from producer.mapping import AMOUNT_ITEM, MappingError, MappingRequest, attribute_names, parse_assignments
from producer.replay import read_events
from producer.table import TableError, TableFile, look_at

NOW = to_micros(datetime(2026, 1, 1, tzinfo=UTC))
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def write(tmp_path, text, name="table.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def events(path, request=None, **options):
    replay = read_events(path, request, now=NOW, **options)
    return replay, [parse_event(message.value) for message in replay]


def retail(tmp_path, *rows, **options):
    lines = [
        f"{invoice},{item},name,{quantity},{at},{price},{customer},UK"
        for invoice, item, quantity, at, price, customer in rows
    ]
    return events(write(tmp_path, "\n".join([HEADER, *lines]) + "\n"), **options)


def test_lines_of_one_invoice_are_one_order_at_its_first_time_wherever_they_stand(tmp_path):
    _, got = retail(
        tmp_path,
        ("1", "a", 2, "2011-01-01 10:05", "1.50", "17850.0"),
        ("2", "b", 1, "2011-01-01 10:00", "9.99", "17851"),
        ("1", "c", 1, "2011-01-01 09:55", "0", "17850"),
    )
    assert [event.event_id for event in got] == ["1:purchase", "2:purchase"]
    assert got[0].customer_id == "17850"
    assert got[0].occurred_at == datetime(2011, 1, 1, 9, 55, tzinfo=UTC)
    assert [(line.item_id, line.quantity, line.unit_price) for line in got[0].lines] == [("a", 2, 1.5), ("c", 1, 0.0)]
    assert got[0].currency == "GBP"


def test_negative_lines_and_c_invoices_are_returns_with_their_own_time(tmp_path):
    replay, got = retail(
        tmp_path,
        ("7", "a", 5, "2011-01-02 10:00", "2", "1"),
        ("7", "a", -2, "2011-01-02 10:01", "2", "1"),
        ("C8", "a", 3, "2011-01-01 10:00", "2", "1"),
        ("C8", "b", -1, "2011-01-01 10:00", "4", "1"),
    )
    assert [(type(event), event.event_id) for event in got] == [
        (Return, "C8:return"),
        (Purchase, "7:purchase"),
        (Return, "7:return"),
    ]
    assert [line.quantity for line in got[0].lines] == [3, 1]
    assert got[2].occurred_at == datetime(2011, 1, 2, 10, 1, tzinfo=UTC)
    assert (replay.summary.orders, replay.summary.returns) == (1, 2)
    assert replay.summary.refunds("GBP") == 14_000_000


def test_an_invoice_of_two_customers_is_an_order_of_each(tmp_path):
    _, got = retail(tmp_path, ("7", "a", 1, "2011-01-02", "2", "1"), ("7", "b", 1, "2011-01-01", "2", "2"))
    assert [(event.customer_id, event.occurred_at.day) for event in got] == [("2", 1), ("1", 2)]


def test_rows_that_cannot_be_lines_are_counted_by_their_first_reason(tmp_path):
    at = "2011-01-02 10:00"
    replay, got = retail(
        tmp_path,
        ("1", "a", 1, at, "2", "1"),
        ("1", "a", 1, at, "2", ""),
        ("2", "a", 1, at, "-2", ""),
        ("1", "a", 1, "soon", "2", "1"),
        ("1", "a", 1, "2031-01-01 00:00", "2", "1"),
        ("", "a", 1, at, "2", "1"),
        ("1", " ", 1, at, "2", "1"),
        ("1", "a", "many", at, "2", "1"),
        ("1", "a", 0, at, "2", "1"),
        ("1", "a", 1.5, at, "2", "1"),
        ("1", "a", 1_000_001, at, "2", "1"),
        ("1", "a", 1, at, "inf", "1"),
        ("1", "a", 1, at, "-0.01", "1"),
        ("1", "a", 1, at, "10000000.000001", "1"),
        ("1", "a", 1_000_000, at, "1000001", "1"),
        ("1", "x" * 129, 1, at, "2", "1"),
    )
    assert len(got) == 1
    assert replay.summary.guests == 2
    assert replay.summary.skipped == {
        "no customer": 2,
        "no time, or none that can be read": 1,
        "time in the future": 1,
        "no order": 1,
        "no item": 1,
        "item too long, or with control characters": 1,
        "quantity is no number": 1,
        "zero quantity": 1,
        "quantity is not whole": 1,
        "quantity above 1000000": 1,
        "price is no number": 1,
        "negative price": 1,
        "price above 10000000": 1,
        "line worth more than 1e12": 1,
    }
    assert replay.summary.rows == replay.summary.lines + sum(replay.summary.skipped.values())
    first = replay.summary.first_skipped
    assert first.keys() == replay.summary.skipped.keys()
    assert [first[reason].row for reason in ("no customer", "quantity is no number", "line worth more than 1e12")] == [
        *(2, 8, 15),
    ]
    lines = (tmp_path / first["no customer"].file).read_text().splitlines()
    assert ",many," in lines[first["quantity is no number"].row], "the first line has the names"


def test_events_beyond_the_contract_are_named_not_sent_silently(tmp_path):
    rows = [("big", f"i{n}", 1, "2011-01-01", "1", "1") for n in range(10_001)]
    rows += [("long", f"{n:0120d}", 1, "2011-01-01", "1", "1") for n in range(9_000)]
    rows += [("dear", "a", 100_000, "2011-01-01", "9999999", "1") for _ in range(10)]
    replay, got = retail(tmp_path, *rows, ("fine", "a", 1, "2011-01-01", "1", "1"))
    assert [event.order_id for event in got] == ["fine"]
    assert [(refusal.event_id, refusal.reason.split("; ")[-1]) for refusal in replay.summary.not_sent] == [
        ("big:purchase", "at most 10000 may be"),
        ("long:purchase", "at most 1048576 may be"),
        ("dear:purchase", "worth more than 9e12"),
    ]


def test_prices_are_rounded_to_six_decimals_and_ids_stripped(tmp_path):
    _, got = retail(tmp_path, ("1", " 85123a ", 1, "2011-01-01", "0.12345649", "1"))
    assert (got[0].lines[0].item_id, got[0].lines[0].unit_price) == ("85123a", 0.123456)


def test_one_id_that_is_none_beside_a_single_good_one_is_a_row_left_out(tmp_path):
    row = "{},a,name,1,2011-01-01,1,1,UK"
    rows = [HEADER, row.format("1"), row.format("x" * 129)]
    replay, got = events(write(tmp_path, "\n".join(rows) + "\n"))
    assert len(got) == 1
    assert replay.summary.skipped == {"order too long, or with control characters": 1}
    head = "customer_id,occurred_at,order_id,item_id,unit_price,currency\n"
    text = f"{head}1,2024-01-01,7,a,1,EUR\n1,2024-01-01,8,a,1,{'E' * 129}\n"
    replay, got = events(write(tmp_path, text, "coins.csv"))
    assert len(got) == 1
    assert replay.summary.skipped == {"no currency": 1}


@pytest.mark.parametrize(
    "ids",
    [
        pa.array([Decimal(2**53), Decimal(2**53 + 1)], pa.decimal128(38, 0)),  # Snowflake's integers
        pa.array([Decimal(2**53), Decimal(2**53 + 1)], pa.decimal128(38, 10)),  # Oracle's
        pa.array([Decimal(10**30), Decimal(10**30 + 1)], pa.decimal256(60, 0)),
        pa.array([b"9007199254740992", b"C\xc3\xa9"], pa.binary()),
        pa.array([b"17", b"18"], pa.binary(2)),
        pa.array(["17", "18"]).dictionary_encode(),
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"a" * 16, b"b" * 16], pa.binary(16))),
    ],
    ids=lambda ids: str(ids.type),
)
def test_ids_are_whole_whatever_type_a_database_gives_them(tmp_path, ids):
    table = pa.table(
        {
            "customer_id": ids,
            "occurred_at": ["2024-01-01", "2024-01-02"],
            "order_id": ids,
            "item_id": ["a", "b"],
            "quantity": pa.array([Decimal(2), Decimal(3)], pa.decimal128(38, 0)),
            "unit_price": pa.array([Decimal("1.50"), Decimal("2.00")], pa.decimal128(10, 2)),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    wanted = [str(one, "utf-8") if isinstance(one, bytes) else str(one) for one in ids.to_pylist()]
    wanted = [one.removesuffix(".0000000000") for one in wanted]
    _, got = events(tmp_path / "a.parquet", MappingRequest(currency="EUR"))
    assert [event.customer_id for event in got] == wanted
    assert [(event.lines[0].quantity, event.lines[0].unit_price) for event in got] == [(2, 1.5), (3, 2.0)]
    (piece,) = look_at(tmp_path / "a.parquet").pieces(["customer_id"])
    assert [clean_id(one) for one in piece["customer_id"]] == wanted


def test_bytes_that_are_no_text_are_refused_by_the_column_s_name(tmp_path):
    pq.write_table(pa.table({"who": pa.array([b"\xff\xfe"], pa.binary())}), tmp_path / "a.parquet")
    for read in (TableFile.read, lambda table, names: list(table.pieces(names))):
        with pytest.raises(TableError, match="column 'who' holds bytes that are no text in UTF-8"):
            read(look_at(tmp_path / "a.parquet"), ["who"])


def test_since_leaves_out_whole_orders_and_counts_them(tmp_path):
    replay, got = retail(
        tmp_path,
        ("1", "a", 1, "2011-01-01", "1", "1"),
        ("1", "a", 1, "2011-02-01", "1", "1"),
        ("2", "a", 1, "2011-02-01", "1", "1"),
        since=to_micros(datetime(2011, 2, 1, tzinfo=UTC)),
    )
    assert [event.order_id for event in got] == ["2"]
    assert (replay.summary.before_since, replay.summary.orders, len(replay)) == (1, 1, 1)


def test_the_same_table_in_every_format(tmp_path):
    text = f"{HEADER}\n1,85123A,caf\u00e9,6,2011-01-01 10:00:00,2.55,17850,UK\n2,22,,1,2011-01-02 10:00:00,1,,UK\n"
    frame = pd.DataFrame(
        {
            "InvoiceNo": ["1", "2"],
            "StockCode": ["85123A", "22"],
            "Quantity": pd.array([6, 1], dtype="int32"),
            "InvoiceDate": pd.to_datetime(["2011-01-01 10:00", "2011-01-02 10:00"]),
            "UnitPrice": [2.55, 1.0],
            "CustomerID": pd.array([17850, None], dtype="Int32"),
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    frame.astype({"CustomerID": "float64"}).to_parquet(tmp_path / "b.parquet")
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "d.csv").write_bytes(text.encode("cp1252"))
    (tmp_path / "e.tsv").write_text(text.replace(",", "\t"))
    (tmp_path / "f.csv").write_text(text.replace(",", ";"))
    (tmp_path / "g.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "h.csv").write_text(
        text.replace("2011-01-01 10:00:00", "1/1/2011 10:00").replace("2011-01-02", "1/2/2011")
    )
    with zipfile.ZipFile(tmp_path / "i.csv.zip", "w") as packed:  # as a Mac packs it
        packed.writestr("shop/", b"")
        packed.writestr("shop/orders.csv", text)
        packed.writestr("shop/.DS_Store", b"\0")
        packed.writestr("__MACOSX/shop/._orders.csv", b"\0")
    shutil.copy(tmp_path / "i.csv.zip", tmp_path / "j.zip")
    wanted = list(read_events(tmp_path / "a.parquet", now=NOW))
    assert len(wanted) == 1
    for path in sorted(tmp_path.iterdir()):
        assert list(read_events(path, now=NOW)) == wanted, path


@pytest.mark.parametrize(
    ("texts", "zone", "expected"),
    [
        (["12/1/2010 8:26", "1/2/2011 17:05"], "UTC", ["2010-12-01T08:26:00Z", "2011-01-02T17:05:00Z"]),
        (["1/12/2010 8:26", "13/2/2011 17:05"], "UTC", ["2010-12-01T08:26:00Z", "2011-02-13T17:05:00Z"]),
        (["19970101", "19970118"], "UTC", ["1997-01-01T00:00:00Z", "1997-01-18T00:00:00Z"]),
        (["2011-01-01T10:00:00+02:00", "2011-01-01 10:00"], "UTC", ["2011-01-01T08:00:00Z", "2011-01-01T10:00:00Z"]),
        # Clocks went on from 02:00 to 03:00, and back from 03:00 to 02:00.
        (["2024-03-31 02:30", "2024-10-27 02:30"], "Europe/Berlin", ["2024-03-31T01:00:00Z", "2024-10-27T00:30:00Z"]),
        (["9999-12-31", "2024-01-01"], "Europe/Berlin", ["2023-12-31T23:00:00Z"]),
    ],
)
def test_times(tmp_path, texts, zone, expected):
    rows = [(n, "a", 1, text, "1", "1") for n, text in enumerate(texts)]
    _, got = retail(tmp_path, *rows, zone=ZoneInfo(zone))
    assert sorted(rfc3339(to_micros(event.occurred_at)) for event in got) == sorted(expected)


# ---- other tables ----


def test_any_other_table_by_map_and_set(tmp_path):
    path = write(tmp_path, "who;day;basket;thing;n;each;extra\nA;2024-05-01;9;x;2;1.25;?\n")
    request = MappingRequest(
        columns=parse_assignments(
            ["customer_id=who", "occurred_at=day", "order_id=basket", "item_id=thing", "quantity=n", "unit_price=each"],
            "--map",
        ),
        constants=parse_assignments(["currency=EUR"], "--set"),
    )
    _, got = events(path, request)
    assert [(event.order_id, event.currency, event.lines[0].quantity) for event in got] == [("9", "EUR", 2)]


def test_amounts_without_items_are_an_order_a_row_and_money_stays_exact(tmp_path):
    path = write(tmp_path, "id,date,cds,dollars\n4,19970101,3,10.00\n4,19970101,1,5\n5,19970102,2,-7.01\n")
    request = MappingRequest(
        columns={"customer_id": "id", "occurred_at": "date", "quantity": "cds", "amount": "dollars"}, currency="USD"
    )
    replay, got = events(path, request)
    assert [event.order_id for event in got] == ["4@1997-01-01T00:00:00Z", "4@1997-01-01T00:00:00Z#2"]
    assert [(line.quantity, line.unit_price) for line in got[0].lines] == [(2, 3.333333), (1, 3.333334)]
    assert {line.item_id for event in got for line in event.lines} == {AMOUNT_ITEM}
    assert replay.summary.spend("USD") == 15_000_000
    assert replay.summary.skipped == {"negative price": 1}
    assert replay.summary.lines == 2


def test_a_negative_amount_without_quantity_came_back(tmp_path):
    path = write(tmp_path, "id,date,dollars\n4,19970101,-3.5\n")
    request = MappingRequest(columns={"customer_id": "id", "occurred_at": "date", "amount": "dollars"}, currency="USD")
    _, got = events(path, request)
    assert [(type(event), event.lines[0].unit_price) for event in got] == [(Return, 3.5)]


def test_without_order_column_items_of_a_moment_are_one_order(tmp_path):
    path = write(
        tmp_path, "customer_id,occurred_at,item_id,unit_price\n1,2024-01-01,a,1\n1,2024-01-01,b,1\n1,2024-01-02,a,1\n"
    )
    _, got = events(path, MappingRequest(currency="EUR"))
    assert [[line.item_id for line in event.lines] for event in got] == [["a", "b"], ["a"]]


def test_an_order_in_two_currencies_loses_neither(tmp_path):
    path = write(
        tmp_path, "customer_id,occurred_at,order_id,item_id,unit_price,currency\n1,2024,7,a,1,eur\n1,2024,7,b,2,USD\n"
    )
    replay, got = events(path, MappingRequest(time_format="%Y"))
    assert [event.event_id for event in got] == ["7:purchase", "7:purchase:USD"]
    assert (replay.summary.spend("EUR"), replay.summary.spend("USD")) == (1_000_000, 2_000_000)


def test_profiles(tmp_path):
    path = write(
        tmp_path, "CustomerID,Gender,Age,Annual Income (k$)\n1,Male,19,15\n2,,21,15.5\n1,Male,20,15\n,Male,1,1\n"
    )
    replay, got = events(path)
    assert all(isinstance(event, Profile) for event in got)
    assert [(event.customer_id, event.attributes) for event in got] == [
        ("2", {"age": 21, "annual_income": 15.5}),
        ("1", {"gender": "Male", "age": 20, "annual_income": 15}),
    ]
    assert {to_micros(event.occurred_at) for event in got} == {NOW}
    assert replay.summary.profiles == 2
    assert sum(replay.summary.skipped.values()) == 2
    assert list(replay) == list(read_events(path, now=NOW))


def test_attributes_keep_brackets_where_names_would_clash():
    assert attribute_names(["Score (1-100)", "Score (z)", "firstName"], {"firstName": "name"}) == {
        "Score (1-100)": "score_1_100",
        "Score (z)": "score_z",
        "firstName": "name",
    }


# ---- what the user is told ----

MAPPED = {"customer_id": "c", "occurred_at": "t", "unit_price": "p"}


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name in names:
            packed.writestr(name, HEADER)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "request_", "told"),
    [
        ("none.csv", None, None, "no such file"),
        ("empty.csv", b"", None, "is empty"),
        ("blank.csv", b"\n\n", None, "is empty"),
        ("head.csv", HEADER.encode(), None, "no rows"),
        ("broken.csv.gz", b"nonsense", None, "cannot be read"),
        ("cut.csv.gz", gzip.compress(HEADER.encode() * 100, mtime=0)[:40], None, "cannot be read"),
        ("broken.zip", b"nonsense", None, "cannot be read"),
        ("two.zip", zipped("a.csv", "b.csv"), None, "holds 2 files; unpack it"),
        ("two.csv.zip", zipped("a.csv", "b.csv"), None, "holds 2 files; unpack it"),
        ("book.zip", zipped("book.xlsx"), None, "expected .csv"),
        ("broken.parquet", b"nonsense", None, "cannot be read"),
        ("table.doc", b"nonsense", None, "expected .csv"),
        ("twice.csv", b"a,a \n1,2\n", None, "two columns are named 'a'"),
        ("quote.csv", (HEADER + '\n"1,2\n').encode(), None, "inside string"),
        ("unknown.csv", b"a,b\n1,2\n", None, "The table has: a, b."),
        ("near.csv", b"Customer,b\n1,2\n", MappingRequest({"customer_id": "customr"}), "Did you mean 'Customer'?"),
        ("price.csv", b"c,q\n1,2\n", MappingRequest({"customer_id": "c", "quantity": "q"}), "--map unit_price=COLUMN"),
        ("time.csv", b"c,p\n1,2\n", MappingRequest({"customer_id": "c", "unit_price": "p"}), "--map occurred_at="),
        ("field.csv", b"c,t,p,x\n1,2,3,4\n", MappingRequest({**MAPPED, "colour": "x"}), "unknown field"),
        ("money.csv", b"c,t,p\n1,2024-01-01,3\n", MappingRequest(MAPPED), "--set currency=EUR"),
        ("coin.csv", b"c,t,p\n1,2024-01-01,3\n", MappingRequest(MAPPED, currency="Euro"), "ISO 4217"),
        ("type.csv", b"c,t,p\n1,2024-01-01,low\n", MappingRequest(MAPPED, currency="EUR"), "no number: such as 'low'"),
        ("when.csv", b"c,t,p\n1,soon,3\n", MappingRequest(MAPPED, currency="EUR"), "no time: such as 'soon'"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(tmp_path, name, content, request_, told):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((TableError, MappingError, ColumnError), match=re.escape(told)):
        read_events(path, request_, now=NOW)


@pytest.mark.parametrize("text", ["customer_id", "=x", "customer_id="])
def test_an_assignment_needs_both_sides(text):
    with pytest.raises(MappingError, match="expected FIELD=VALUE"):
        parse_assignments([text], "--map")


# ---- the law: whatever the rows, the events are what a plain reading of the rule says ----

START = datetime(2020, 1, 1, tzinfo=UTC)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "C3", "4 "]),
        st.sampled_from(["a", "A", " b"]),
        st.integers(-3, 3),
        st.integers(0, 5),
        st.integers(-100, 100_000_000),
        st.sampled_from(["17850", "17850.0", "x", "", "NaN"]),
    ),
    min_size=1,
    max_size=30,
)


def plain_reading(rows):
    """Events as {(order, customer, sign): (minute, [(item, quantity, millionths)])}, in the order they go out."""
    gathered = defaultdict(list)
    for invoice, item, quantity, minute, price, customer in rows:
        customer_id = {"17850.0": "17850", "NaN": ""}.get(customer, customer)
        if customer_id and quantity and price >= 0:
            back = quantity < 0 or invoice.startswith("C")
            gathered[(invoice.strip(), customer_id, back)].append((minute, item.strip(), abs(quantity), price))
    found = [(min(line[0] for line in lines), key, [line[1:] for line in lines]) for key, lines in gathered.items()]
    return sorted(found, key=lambda event: event[0])


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_events_are_a_plain_reading_of_the_rows(tmp_path_factory, rows):
    columns = ["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["InvoiceDate"] = [START + timedelta(minutes=minute) for minute in frame["InvoiceDate"]]
    frame["UnitPrice"] = frame["UnitPrice"] / 1e6
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    frame.to_csv(path, index=False)
    replay, got = events(path)
    assert [
        (
            (event.occurred_at - START).seconds // 60,
            (event.order_id, event.customer_id, isinstance(event, Return)),
            [(line.item_id, line.quantity, to_millionths(line.unit_price)) for line in event.lines],
        )
        for event in got
    ] == plain_reading(rows)
    assert replay.summary.lines + sum(replay.summary.skipped.values()) == len(rows)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 10**9)), min_size=1, max_size=20))
def test_amounts_and_units_are_exact_whatever_the_quantity(tmp_path_factory, rows):
    frame = pd.DataFrame(rows, columns=["n", "amount"])
    frame = frame.assign(amount=[f"{amount / 100:.2f}" for amount in frame["amount"]], who="1", day="2024-01-01")
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    frame.to_csv(path, index=False)
    request = MappingRequest(
        {"customer_id": "who", "occurred_at": "day", "quantity": "n", "amount": "amount"}, {"currency": "EUR"}
    )
    _, got = events(path, request)
    lines = [line for event in got for line in event.lines]
    assert sum(line.quantity for line in lines) == sum(quantity for quantity, _ in rows)
    spend = sum(line.quantity * to_millionths(line.unit_price) for line in lines)
    assert Fraction(spend, 10**6) == Fraction(sum(amount for _, amount in rows), 100)


@pytest.mark.parametrize(
    ("name", "separator"),
    [("bare.csv", ","), ("bare.txt", " "), ("bare.txt", "   "), ("bare.tsv", "\t"), ("b.csv", ";")],
)
def test_a_bare_table_has_numbers_for_names(tmp_path, name, separator):
    rows = [
        ("004", "19970101", "2", "29.33"),
        ("004", "19970118", "1", "14.96"),
        ("021", "19970101", "3", "63.34"),
    ]
    lead = " " if separator.isspace() and separator != "\t" else ""
    path = write(tmp_path, "".join(f"{lead}{separator.join(row)}\n" for row in rows), name)
    columns = {"customer_id": "1", "occurred_at": "2", "quantity": "3", "amount": "4"}
    _, got = events(path, MappingRequest(columns=columns, currency="USD", header=False))
    assert [(one.customer_id, one.occurred_at.date().isoformat()) for one in got] == [
        ("004", "1997-01-01"),
        ("021", "1997-01-01"),
        ("004", "1997-01-18"),
    ]
    worth = [sum(Fraction(str(line.unit_price)) * line.quantity for line in one.lines) for one in got]
    assert worth == [Fraction("29.33"), Fraction("63.34"), Fraction("14.96")]


def test_a_bare_table_names_what_can_be_mapped_and_other_kinds_have_names(tmp_path):
    bare = write(tmp_path, "a,2026-01-01,3\n", "bare.csv")
    with pytest.raises(MappingError, match="The table has: 1, 2, 3"):
        events(bare, MappingRequest(columns={"customer_id": "4"}, header=False))
    with pytest.raises(TableError, match="--no-header is for text tables"):
        events(write(tmp_path, '{"a": 1}\n', "lines.jsonl"), MappingRequest(header=False))
