"""A shop's own exports: what is guessed is right, what is unclear is asked, totals are those of its books."""

import io
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import parse_event
from contracts.money import MILLIONTHS
from contracts.times import to_micros
from livesegments.import_steps import ContradictionError, check, obstacles
from livesegments.settings import Settings
from producer.cleaning import ColumnError
from producer.importing.examining import Known, examine
from producer.importing.plan import ImportPlan, PlanError
from producer.importing.pseudonyms import Pseudonyms, SaltError, normal_address
from producer.importing.reading import Import, assigned
from producer.importing.sampling import open_files
from producer.importing.words import fit
from producer.mapping import MappingError
from producer.summary import Place
from producer.table import TableError

NOW = to_micros(datetime(2026, 11, 1, tzinfo=UTC))
SALT = "a salt for tests only"


def shop(seed=1, orders=400, guests=0.2):
    """Order lines of a made-up shop, as its own database has them."""
    rng = np.random.default_rng(seed)
    day = pd.Timestamp("2025-01-01")
    rows = []
    for order in range(orders):
        at = day + pd.Timedelta(minutes=int(rng.integers(0, 600 * 24 * 60)))
        customer = None if rng.random() < guests else f"K{rng.integers(100, 180)}"
        back = rng.random() < 0.05
        for _ in range(rng.integers(1, 5)):
            item = int(rng.integers(1, 30))
            price = round(item * 1.37 + (1000 if item == 7 else 0), 2)
            quantity = int(rng.integers(1, 6)) * (-1 if back else 1)
            rows.append((f"B{5000 + order}", customer, at, f"A-{item:03d}", f"Größe {item}", quantity, price))
    return pd.DataFrame(rows, columns=["order", "customer", "at", "item", "name", "quantity", "price"])


def german(number):
    """1.234,50"""
    return f"{number:,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".")


def books(frame, zone="UTC"):
    """What pandas says: orders, revenue, returns and refunds by month and currency, guests and customers."""
    frame = frame.assign(
        at=frame.groupby("order")["at"].transform("min"),
        amount=(frame["quantity"].abs() * (frame["price"] * MILLIONTHS).round().astype("int64")),
        back=frame["quantity"] < 0,
        currency=frame.get("currency", "EUR"),
    )
    months = frame["at"].dt.strftime("%Y-%m")
    found = {}
    for (month, currency), part in frame.groupby([months, "currency"]):
        bought, back = part[~part["back"]], part[part["back"]]
        found[month, currency] = (
            bought["order"].nunique(),
            back["order"].nunique(),
            int(bought["amount"].sum()),
            int(back["amount"].sum()),
        )
    guests = frame[frame["customer"].isna() & ~frame["back"]]
    return found, frame["customer"].nunique(), guests["order"].nunique(), int(guests["amount"].sum())


def totals(summary):
    months = {(one.month, one.currency): (one.orders, one.returns, one.spend, one.refunds) for one in summary.months}
    return months, summary.customers, summary.guests, sum(one.spend for one in summary.guest_months)


def look(paths, known=Known(), **answers):  # noqa: B008
    said = {name.replace("__", "."): value for name, value in answers.items()}
    return examine(open_files(paths), said, known)


def asked(found):
    return sorted(question.options for question in found.questions)


def read(found, **options):
    assert found.questions == []
    orders = found.orders.tables if found.orders else ()
    return Import(found.plan, found.lines.tables, orders, now=NOW, **options)


def test_semicolons_and_decimal_commas(tmp_path):
    frame = shop()
    table = pd.DataFrame(
        {
            "Bestellnr.": frame["order"],
            "Kundennummer": frame["customer"],
            "Bestelldatum": frame["at"].dt.strftime("%d.%m.%Y %H:%M"),
            "Artikelnummer": frame["item"],
            "Bezeichnung": frame["name"],
            "Menge": frame["quantity"],
            "Einzelpreis (€)": frame["price"].map(german),
            "Gesamtpreis": (frame["quantity"] * frame["price"]).map(german),
        }
    )
    path = tmp_path / "bestellungen.csv"
    table.to_csv(path, sep=";", index=False, encoding="cp1252")
    assert asked(look([path])) == ["--set currency=EUR, or --map currency=COLUMN", "--zone Europe/London"]
    found = look([path], set__currency="EUR", zone="Europe/Berlin")
    assert found.plan == ImportPlan.of_table(
        {
            "columns": {
                "customer_id": "Kundennummer",
                "occurred_at": "Bestelldatum",
                "order_id": "Bestellnr.",
                "item_id": "Artikelnummer",
                "quantity": "Menge",
                "unit_price": "Einzelpreis (€)",
                "name": "Bezeichnung",
            },
            "constants": {"currency": "EUR"},
            "decimal": ",",
            "time_format": "dmy",
            "zone": "Europe/Berlin",
        }
    )
    with read(found) as done:
        assert totals(done.summary) == books(frame)
        assert done.summary.rows == done.summary.lines == len(frame)
        assert {one.item_id: one.name for one in done.items}["A-003"] == "Größe 3"
        events = [parse_event(message.value) for message in done.messages()]
    assert [event.occurred_at for event in events] == sorted(event.occurred_at for event in events)
    first = frame.sort_values("at").iloc[0]
    assert events[0].occurred_at == first["at"].replace(tzinfo=ZoneInfo("Europe/Berlin")).to_pydatetime()


def test_a_table_of_many_columns(tmp_path):
    """pandas reads so wide a text in several pieces, whose texts it keeps in pieces."""
    frame = shop(orders=2_000)
    path = tmp_path / "orders.csv"
    frame.assign(**{f"note {number}": "" for number in range(300)}).to_csv(path, index=False)
    with read(look([path], Known(currency="EUR"), zone="UTC", map__unit_price="price")) as done:
        assert totals(done.summary) == books(frame)


@pytest.mark.parametrize(("days", "order"), [(range(1, 29), "dmy"), (range(1, 13), None)])
def test_day_first_dates_are_decided_by_a_day_beyond_twelve_or_asked_about(tmp_path, days, order):
    frame = shop()
    frame["at"] = [at.replace(day=days[at.day % len(days)]) for at in frame["at"]]
    path = tmp_path / "orders.csv"
    frame.assign(at=frame["at"].dt.strftime("%d/%m/%Y %I:%M %p")).to_csv(path, index=False)
    known = Known(currency="GBP", zone="Europe/London")
    found = look([path], known, map__unit_price="price")
    if order is None:
        assert asked(found) == ["--time-format dmy or --time-format mdy"]
        found = look([path], known, map__unit_price="price", time_format="dmy")
    assert found.plan.lines.time_format == "dmy"
    with read(found) as done:
        assert totals(done.summary) == books(frame.assign(currency="GBP"))


def test_the_only_day_beyond_twelve_may_stand_in_the_last_line(tmp_path):
    path = tmp_path / "orders.csv"
    rows = [f"{number},k{number},a,1,0{1 + number % 9}/0{1 + number % 7}/2026,2.00" for number in range(30_000)]
    path.write_text("\n".join(["order id,customer id,sku,qty,date,unit price", *rows, "z,k,a,1,13/02/2026,2.00\n"]))
    assert look([path], Known(currency="EUR")).plan.lines.time_format == "dmy"


def test_dates_that_contradict_each_other_are_asked_about(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("order id,customer id,sku,date,unit price\n1,k,a,13/02/2026,2\n2,k,a,02/13/2026,2\n")
    (question,) = look([path], Known(currency="EUR")).questions
    assert "'13/02/2026' and '02/13/2026'" in question.text


def test_what_contradicts_the_plan_further_down_is_told(tmp_path):
    path = tmp_path / "orders.csv"
    head = "order id;customer id;sku;date;unit price\n"
    path.write_text(head + "".join(f"{n};k;a;13/01/2026;2,50\n" for n in range(20_000)) + "x;k;a;02/13/2026;2,50\n")
    found = look([path], Known(currency="EUR"))
    with read(found) as done:
        assert done.summary.skipped == {"no time, or none that can be read": 1}
        assert done.contradictions == ["dates such as '02/13/2026' are mdy, and all are read as dmy"]
    path.write_text(f"{head}1;k;a;13/01/2026;2,50\n2;k;a;13/01/2026;1,250.75\n3;k;a;13/01/2026;free\n")
    with Import(found.plan, found.lines.tables, now=NOW) as done:
        assert done.contradictions == ["numbers such as '1,250.75' have a decimal point, and all are read with a comma"]
        assert obstacles(done, Settings(currency="EUR"), {}) == done.contradictions
        with pytest.raises(ContradictionError, match="nothing is published"):
            check(done, Settings(currency="EUR"), {})
        check(done, Settings(currency="EUR"), {"decimal": ","})
    path.write_text(f"{head}1;k;a;13/01/2026;2,50\n2;k;a;32/13/2026;1\n3;k;a;;free\n")
    with Import(found.plan, found.lines.tables, now=NOW) as done:
        assert done.contradictions == []


def test_two_currencies(tmp_path):
    frame = shop()
    frame["currency"] = np.where(frame["order"].str[-1].isin(["3", "7"]), "USD", "EUR")
    path = tmp_path / "export.jsonl"
    renamed = frame.rename(
        columns={
            "order": "orderNumber",
            "customer": "customerId",
            "at": "createdAt",
            "item": "sku",
            "name": "productName",
            "price": "unitPrice",
        }
    )
    renamed["createdAt"] = frame["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    renamed.to_json(path, orient="records", lines=True)
    found = look([path])
    assert found.plan.lines.columns["currency"] == "currency"
    with read(found) as done:
        assert totals(done.summary) == books(frame)


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_separate_files_of_orders_and_lines(tmp_path, kind):
    frame = shop()
    ids = {order: 90_000 + place for place, order in enumerate(frame["order"].unique())}
    heads = frame.drop_duplicates("order")[["order", "customer", "at"]]
    totals_ = frame.assign(total=frame["quantity"] * frame["price"]).groupby("order")["total"].sum()
    orders = pd.DataFrame(
        {
            "id": heads["order"].map(ids),
            "order_number": heads["order"],
            "customer_id": heads["customer"],
            "created_at": heads["at"],
            "currency": "EUR",
            "total": heads["order"].map(totals_).round(2),
        }
    )
    lines = pd.DataFrame(
        {
            "order_id": frame["order"].map(ids),
            "sku": frame["item"],
            "title": frame["name"],
            "quantity": frame["quantity"],
            "price": frame["price"],
        }
    ).sample(frac=1, random_state=1)
    paths = [tmp_path / f"orders.{kind}", tmp_path / f"lines.{kind}"]
    for table, path in zip((orders, lines), paths, strict=True):
        match kind:
            case "csv":
                table.to_csv(path, index=False)
            case "parquet":
                table.to_parquet(path)
            case _:
                table.to_excel(path, index=False, engine="xlsxwriter")
    found = look(paths, Known(zone="UTC"))
    assert found.plan.orders.columns["order_id"] == "id"
    assert found.plan.lines.columns == {
        "order_id": "order_id",
        "item_id": "sku",
        "quantity": "quantity",
        "unit_price": "price",
        "name": "title",
    }
    with read(found) as done:
        # The orders' own numbers are others, and that is all.
        assert totals(done.summary) == books(frame)
        assert done.summary.skipped == {}
    lone, none = assigned(found.plan, [paths[1], paths[0]])
    assert ([one.path for one in lone], [one.path for one in none]) == ([paths[1]], [paths[0]])


def test_no_customer_ids_but_e_mails(tmp_path):
    frame = shop()
    ways = ("{}@Shop.example", " {}@shop.EXAMPLE ")
    written = [None if pd.isna(who) else ways[place % 2].format(who) for place, who in enumerate(frame["customer"])]
    frame["customer"] = written
    path = tmp_path / "orders.csv"
    frame.rename(columns={"customer": "Billing Email", "price": "Unit price"}).to_csv(path, index=False, sep="\t")
    known = Known(currency="EUR", zone="UTC")
    assert asked(look([path], known)) == ["--customer-from email or --customer-from nobody"]
    found = look([path], known, customer_from="email")
    with pytest.raises(SaltError, match="customer_salt"):
        read(found)
    with read(found, pseudonyms=Pseudonyms(SALT), folder=tmp_path) as done:
        (kept,) = tmp_path.glob("livesegments-import-*")
        assert not any(b"shop.example" in file.read_bytes().lower() for file in kept.iterdir())
        same = frame.assign(customer=[None if pd.isna(one) else one.strip().casefold() for one in written])
        # An order whose lines are written in two ways is one customer's all the same.
        assert totals(done.summary) == books(same)
        ids = {parse_event(message.value).customer_id for message in done.messages()}
    assert not list(tmp_path.glob("livesegments-import-*"))
    assert {one[:3] for one in ids if not one.startswith("guest:")} == {"em-"}
    nobody = look([path], known, customer_from="nobody")
    with read(nobody) as done:
        assert (done.summary.customers, done.summary.guests) == (0, frame[frame["quantity"] > 0]["order"].nunique())


def test_guests_are_left_out_where_that_is_wanted_and_still_told(tmp_path):
    frame = shop()
    path = tmp_path / "orders.csv"
    frame.rename(columns={"price": "unit price"}).to_csv(path, index=False)
    known = Known(currency="EUR", zone="UTC")
    with read(look([path], known)) as counted, read(look([path], known, guests="leave-out")) as left_out:
        assert totals(counted.summary) == totals(left_out.summary) == books(frame)
        guests = [one for one in counted.messages() if parse_event(one.value).customer_id.startswith("guest:")]
        assert len(counted) - len(left_out) == len(guests) == len(counted) - sum(1 for _ in left_out.messages())
    assert {one.key for one in guests} == {b"guest:" + parse_event(one.value).order_id.encode() for one in guests}


def test_what_is_said_in_the_first_line_of_an_order_holds_for_all(tmp_path):
    path = tmp_path / "orders_export.csv"
    path.write_text(
        "Name,Email,Created at,Currency,Total,Lineitem sku,Lineitem quantity,Lineitem price\n"
        "#1,a@b.org,2026-01-02 10:00:00 +0100,EUR,5.00,x,1,2.00\n"
        "#1,,2026-01-02 10:00:00 +0100,,,y,1,3.00\n"
        "#2,c@d.org,2026-01-03 10:00:00 +0100,EUR,4.00,x,2,2.00\n"
        "#3,e@f.org,2026-01-04 10:00:00 +0100,USD,3.00,x,1,2.00\n"
        "#3,,2026-01-04 10:00:00 +0100,,,y,1,1.00\n"
        "#4,,2026-01-04 10:00:00 +0100,USD,4.00,x,1,2.00\n"
        "#4,,2026-01-04 10:00:00 +0100,,,y,1,2.00\n"
    )
    found = look([path], customer_from="email", map__order_id="Name")
    with read(found, pseudonyms=Pseudonyms(SALT)) as done:
        assert (done.summary.orders, done.summary.customers, done.summary.guests) == (4, 3, 1)
        assert (done.summary.spend("EUR"), done.summary.guest_spend("USD")) == (9_000_000, 4_000_000)


def test_a_price_that_grows_with_the_quantity_is_that_of_the_line(tmp_path):
    frame = shop(guests=0)
    known = Known(currency="EUR", zone="UTC")
    path = tmp_path / "orders.csv"
    frame.assign(price=(frame["quantity"] * frame["price"]).round(2)).to_csv(path, index=False)
    found = look([path], known)
    assert found.plan.lines.columns["amount"] == "price"
    with read(found) as done:
        assert totals(done.summary) == books(frame)
    frame.to_csv(path, index=False)
    assert look([path], known).plan.lines.columns["unit_price"] == "price"


def test_the_total_of_an_order_is_no_price_of_a_line(tmp_path):
    frame = shop(guests=0)
    totals_ = (frame["quantity"] * frame["price"]).groupby(frame["order"]).transform("sum").round(2)
    path = tmp_path / "orders.csv"
    frame.drop(columns="price").assign(total=totals_).to_csv(path, index=False)
    (question,) = look([path], Known(currency="EUR", zone="UTC")).questions
    assert question.text.startswith("which column is the price?")


def test_a_thousand_or_three_decimals_is_asked(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("order id;customer id;sku;date;unit price\n1;k;a;2026-02-13;1.250\n2;k;a;2026-02-14;3.500\n")
    known = Known(currency="EUR")
    assert asked(look([path], known)) == ["--decimal point or --decimal comma"]
    for sign, spend in ((".", 4_750_000), (",", 4_750_000_000)):
        with read(look([path], known, decimal=sign)) as done:
            assert done.summary.spend("EUR") == spend


def test_currencies_stand_beside_prices_or_are_asked(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("order id,customer id,sku,date,unit price\n1,k,a,2026-02-13,€ 12.50\n")
    with read(look([path])) as done:
        assert done.summary.spend("EUR") == 12_500_000
    path.write_text("order id,customer id,sku,date,unit price\n1,k,a,2026-02-13,$ 12.50\n")
    (question,) = look([path]).questions
    assert "Beside them stands $." in question.text


def test_two_currencies_beside_the_prices(tmp_path):
    path = tmp_path / "orders.csv"
    head = "order id,customer id,sku,date,unit price\n"
    path.write_text(head + '1,k,a,2026-02-13,€2.50\n2,k,a,2026-02-14,"£1,003.50"\n3,k,a,2026-02-15,4.50\n')
    for found in (look([path]), look([path], map__currency="unit price")):
        with read(found) as done:
            spent = {currency: done.summary.spend(currency) / MILLIONTHS for currency in done.summary.currencies}
            assert spent == {"EUR": 2.5, "GBP": 1003.5}
            assert done.summary.skipped == {"currency is no ISO 4217 code": 1}
    # Further down than what is looked at, and in next month's file: nothing in pounds is counted as euros.
    rows = "".join(f"{n},k{n % 40},a,2026-02-13,{n % 7}.50 €\n" for n in range(20_000))
    path.write_text(f"{head}{rows}x,k,a,2026-02-14,£3.50\ny,k,a,2026-02-14,$3.50\nz,k,a,2026-02-14,3.50\n")
    with read(look([path])) as done:
        assert done.summary.currencies == ("EUR",)
        assert done.summary.skipped == {"another currency stands beside the price": 2}
        assert done.summary.lines == 20_001


@pytest.mark.timeout(60)
def test_a_cell_that_takes_long_to_be_looked_at_is_passed_over(tmp_path):
    rows = "".join(f"{n},k{n % 9},a,2026-01-{n % 28 + 1:02d},{n}.50\n" for n in range(50))
    for cell in ("(" + " " * 2000 + "x", "01.02.2026" + " " * 100_000 + "x", "a@" + "." * 100_000 + "@"):
        path = tmp_path / "orders.csv"
        path.write_text(f"order id,customer id,sku,date,unit price\n{rows}50,k,{cell},{cell},{cell}\n")
        with read(look([path], Known(currency="EUR"))) as done:
            assert (done.summary.lines, sum(done.summary.skipped.values())) == (50, 1)


def test_credit_notes_are_asked_about(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(
        "order id,customer id,sku,qty,date,unit price\n1,k,a,1,2026-02-13,2.00\n2,k,a,1,2026-02-13,2.00\n"
        "C2,k,a,1,2026-02-15,2.00\n"
    )
    (question,) = look([path], Known(currency="EUR")).questions
    assert question.options == "--cancelled 'C\\d' or --cancelled ''"
    with read(look([path], Known(currency="EUR"), cancelled=r"C\d")) as done:
        assert (done.summary.orders, done.summary.returns) == (2, 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings_and_lines_before_the_header(tmp_path, encoding):
    path = tmp_path / "orders.csv"
    text = "Umsätze 2026\r\n\r\nOrder id|Customer id|SKU|Datum|Preis je Stück\r\n1|Jürgen-1|Löffel|2026-02-13|2.50\r\n"
    path.write_bytes(text.encode(encoding))
    (files,) = open_files([path])
    assert files.columns == ("Order id", "Customer id", "SKU", "Datum", "Preis je Stück")
    with read(look([path], Known(currency="EUR"), map__unit_price="Preis je Stück")) as done:
        (message,) = done.messages()
    event = parse_event(message.value)
    assert (event.customer_id, event.lines[0].item_id) == ("Jürgen-1", "Löffel")


def test_a_table_without_names_of_columns(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("1001;K7;2026-02-13;A1;2;3,50\n1002;K8;2026-02-14;A2;1;4,00\n")
    (files,) = open_files([path])
    assert files.columns == ("1", "2", "3", "4", "5", "6")
    assert {"--map customer_id=COLUMN"} < {one.option for one in look([path], Known(currency="EUR")).questions} | {""}
    maps = {"map__order_id": "1", "map__customer_id": "2", "map__quantity": "5", "map__unit_price": "6"}
    with read(look([path], Known(currency="EUR"), map__item_id="4", **maps)) as done:
        assert done.summary.spend("EUR") == 11_000_000


def test_nothing_that_is_wrong_with_a_file_goes_unsaid(tmp_path):
    empty, broken = tmp_path / "empty.csv", tmp_path / "broken.parquet"
    empty.write_text("")
    broken.write_bytes(b"PAR1 nothing else")
    bare = tmp_path / "bare.csv"
    bare.write_text("order id,customer id,sku,date,unit price\n")
    for path, told in ((empty, "is empty"), (broken, "cannot be read"), (tmp_path / "none.csv", "no such file")):
        with pytest.raises(TableError, match=told):
            open_files([path])
    with pytest.raises(TableError, match="no rows"):
        look([bare], Known(currency="EUR"))
    with pytest.raises(TableError, match="named twice"):
        open_files([bare, bare])
    fine = tmp_path / "fine.csv"
    fine.write_text("order id,customer id,sku,date,unit price\n1,k,a,2026-02-13,2.00\n")
    with pytest.raises(MappingError, match="no column 'Kunde'"):
        look([fine], Known(currency="EUR"), map__customer_id="Kunde")
    with pytest.raises(MappingError, match="unknown field"):
        look([fine], Known(currency="EUR"), map__kunde="sku")
    wrong = look([fine], Known(currency="EUR"), time_format="%d.%m.%Y")
    with pytest.raises(ColumnError, match="holds no time"):
        read(wrong)


def test_rows_that_are_no_orders_are_counted(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(
        "order id,customer id,sku,qty,date,unit price\n1,k,a,1,2026-02-13,2.00\n2,k,a,0.5,2026-02-14,2.00\n"
        "3,k,a,1,2026-02-30,2.00\n4,k,a,1,2027-02-14,2.00\n,,,,,\nTotal,,,,,8.00\n5,k,a,1,2026-02-15,-1.00\n"
        '6,"=cmd|calc",a,1,2026-02-16,1.00\n'
    )
    with read(look([path], Known(currency="EUR"))) as done:
        assert (
            done.summary.skipped
            == {
                "quantity is not whole": 1,
                "no time, or none that can be read": 2,
                "time in the future": 1,
                "no customer": 1,
                "negative price": 1,
            }
            or sum(done.summary.skipped.values()) + done.summary.lines == done.summary.rows
        )
        assert done.summary.lines == 2


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 7))
def test_in_pieces_and_buckets_the_same_events_come_in_the_same_order(tmp_path_factory, seed, buckets):
    frame = shop(seed, orders=60).sample(frac=1, random_state=seed)
    frame["at"] = frame["at"].dt.floor("D")  # many orders at one moment
    path = tmp_path_factory.mktemp("pieces") / "orders.csv"
    frame.rename(columns={"price": "unit price"}).to_csv(path, index=False)
    found = look([path], Known(currency="EUR", zone="UTC"))
    with read(found) as whole:
        expected, told, items = list(whole.messages()), whole.summary, whole.items
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("producer.importing.reading.buckets_for", lambda size: buckets)
        patch.setattr("producer.table.TableFile.pieces", _by_sevens)
        with read(found) as pieces:
            assert list(pieces.messages()) == expected
            assert (pieces.summary, pieces.items) == (told, items)


def _by_sevens(table, wanted, rows=7):
    frame = pd.read_csv(table.path, dtype=str, usecols=list(wanted))
    for start in range(0, len(frame), 7):
        yield frame.iloc[start : start + 7]


def test_several_files_of_one_kind_are_one_table(tmp_path):
    frame = shop().rename(columns={"price": "unit price"})
    paths = [tmp_path / "orders-2025.csv", tmp_path / "orders-2026.csv"]
    for path, part in zip(paths, (frame[:500], frame[500:]), strict=True):
        part.to_csv(path, index=False)
    with read(look(paths, Known(currency="EUR", zone="UTC"))) as done:
        assert totals(done.summary) == books(shop())


def test_orders_that_stand_in_two_exports_count_once(tmp_path):
    head = "order id,customer id,sku,date,unit price\n"
    both = "2,k,a,2026-02-14,2.00\n2,k,a,2026-02-14,2.00\n2,k,b,2026-02-14,5.00\n"
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text(f"{head}1,k,a,2026-02-13,1.00\n{both}")
    second.write_text(f"{head}{both}3,k,a,2026-02-15,4.00\n1,m,a,2026-02-13,1.00\n")
    with read(look([first, second], Known(currency="EUR"))) as done:
        assert done.summary.spend("EUR") == 15_000_000
        assert done.summary.skipped == {"stands in an earlier file, too": 3}
        assert sum(done.summary.skipped.values()) + done.summary.lines == done.summary.rows == 9
        assert done.summary.first_skipped == {"stands in an earlier file, too": Place("b.csv", 1)}


def test_the_first_row_that_was_skipped_is_named_with_its_file(tmp_path, monkeypatch):
    """Also where rows were taken apart, and of the table of orders."""
    monkeypatch.setattr("producer.importing.reading.buckets_for", lambda _: 3)
    orders, lines, more = (tmp_path / f"{name}.csv" for name in ("orders", "lines", "more"))
    told = "".join(f"B{order},k{order},2026-02-13\n" for order in range(200, 400))
    orders.write_text(f"order,customer,date\n{told}B203,k,2026-02-13\nB777,k,2026-02-13\n")
    head = "order,item,quantity,unit price\n"
    lines.write_text(head + "".join(f"B{order},a,1,2.50\n" for order in range(200, 400)))
    more.write_text(f"{head}B201,a,1,2.50\nB202,a,much,2.50\nB999,a,1,1\nB204,a,some,1\nB998,a,1,1\n")
    with read(look([orders, lines, more], Known(currency="EUR", zone="UTC"))) as done:
        assert done.summary.first_skipped == {
            "stands in an earlier file, too": Place("more.csv", 1),
            "quantity is no number": Place("more.csv", 2),
            "no order in the table of orders": Place("more.csv", 3),
            "another row of this order stands before (table of orders)": Place("orders.csv", 201),
            "order without lines (table of orders)": Place("orders.csv", 202),
        }
        assert sum(done.summary.skipped.values()) == 7


def test_two_columns_of_one_name(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("order id,customer id,name,date,unit price,name\n1,k,Ann,2026-02-13,2.00,Tea\n")
    with read(look([path], Known(currency="EUR"))) as done:
        assert done.summary.spend("EUR") == 2_000_000
    path.write_text("order id,customer id,sku,date,unit price,unit price\n1,k,a,2026-02-13,2.00,3.00\n")
    (options,) = asked(look([path], Known(currency="EUR")))
    assert options == "--map 'unit_price=unit price' or --map 'unit_price=unit price.1'"
    with read(look([path], Known(currency="EUR"), map__unit_price="unit price.1")) as done:
        assert done.summary.spend("EUR") == 3_000_000


def test_addresses_are_one_however_they_are_written():
    ids = Pseudonyms(SALT)
    assert ids.of("Ju\u0308rgen@Example.org ") == ids.of("j\u00fcrgen@EXAMPLE.ORG")
    assert ids.of("a@b.c") != Pseudonyms(SALT + "!").of("a@b.c")
    assert [normal_address(text) for text in ("", "-", "a@b@c", "a b@c.d", "a@b.c;d@e.f")] == [None] * 5
    # Letters that only look alike are others: nobody gets another's purchases.
    assert ids.of("anna@example.org") != ids.of("\u0430nna@example.org")
    with pytest.raises(SaltError):
        Pseudonyms("short")


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("Kd.-Nr.", "customer_id"),
        ("N° client", "customer_id"),
        ("Código cliente", "customer_id"),
        ("Numéro de commande", "order_id"),
        ("Data ordine", "occurred_at"),
        ("Ilość", "quantity"),
        ("Qté", "quantity"),
        ("Prix unitaire HT", "unit_price"),
        ("Precio unitario (€)", "unit_price"),
        ("Währung", "currency"),
        ("Artikel-Nr.", "item_id"),
        ("Warengruppe", "category"),
    ],
)
def test_names_in_several_languages(column, field):
    best = max(
        ("customer_id", "order_id", "occurred_at", "quantity", "unit_price", "currency", "item_id", "category"),
        key=lambda one: fit(column, one),
    )
    assert fit(column, best) > 1
    assert best == field


def test_a_plan_is_what_it_was_after_the_settings_kept_it(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("order id;customer id;sku;date;unit price\n1;k;a;13.02.2026;2,00\n")
    plan = look([path], Known(currency="EUR")).plan
    assert ImportPlan.of_table(plan.as_table()) == plan


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({}, "columns: expected a table"),
        ({"columns": {"who": "A"}}, "unknown field"),
        ({"columns": {"customer_id": "A"}}, "occurred_at is missing"),
        ({"columns": {"customer_id": "A", "occurred_at": "B"}}, "price"),
        ({"columns": {"customer_id": "A", "occurred_at": "B", "amount": "C"}}, "currency is missing"),
        ({"columns": {"occurred_at": "B", "amount": "C", "currency": "D"}}, "customer_id is missing"),
        ({"columns": {"customer_id": "A"}, "decimal": ";"}, "decimal"),
        ({"columns": {"customer_id": "A"}, "zone": "Mars"}, "zone"),
        ({"columns": {"customer_id": "A"}, "nonsense": 1}, "there is no 'nonsense'"),
        ({"columns": {"customer_id": "A"}, "orders": {"columns": {"occurred_at": "B"}}}, "joined by order_id"),
    ],
)
def test_a_plan_that_can_not_be_used_says_why(table, told):
    with pytest.raises(PlanError, match=told):
        ImportPlan.of_table(table)


def test_ids_are_no_numbers_and_a_full_disk_is_told(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("Order id,Customer id,SKU1,Date,Unit price\n1,k,ART001,2026-02-13,EUR 2.00\n")
    found = look([path], map__item_id="SKU1")
    assert (found.lines.facts["SKU1"].numbers, found.plan.constants) == (0.0, {"currency": "EUR"})
    with pytest.raises(TableError, match="TMPDIR"):
        read(found, folder=tmp_path / "nowhere")


def test_encodings_of_rows_further_down(tmp_path):
    path = Path(tmp_path / "late.csv")
    head = b"order id,customer id,sku,date,unit price\n" + b"1,k,a,2026-02-13,2.00\n" * 60_000
    path.write_bytes(head + "2,k,Löffel,2026-02-13,2.00\n".encode("cp1252"))
    (files,) = open_files([path])
    assert files.tables[0].dialect.encoding == "cp1252"
    assert io.BytesIO(path.read_bytes()).readline().startswith(b"order")
