"""A workbook tells the same events as the CSV file with the same cells."""

import sys
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.times import to_micros
from producer.mapping import MappingRequest
from producer.replay import read_events
from producer.table import TableError, open_table

NOW = to_micros(datetime(2026, 1, 1, tzinfo=UTC))


def at(*parts):
    """A cell's time: it knows no zone."""
    return datetime(*parts)  # noqa: DTZ001


HEADER = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
ROWS = [
    ["536365", "85123A", "HEART, white", 6, at(2010, 12, 1, 8, 26), 2.55, 17850, "United Kingdom"],
    ["536365", "22423", 'a "quoted" name', 2, at(2010, 12, 1, 8, 26), 12.75, 17850, "United Kingdom"],
    ["C536379", "22423", None, -1, at(2010, 12, 1, 9, 41, 30), 12.75, 13047, "Eire"],
    ["536380", "84029g", "Düne", 1, at(2010, 12, 2), 0, None, "France"],
]


def workbook(path, sheets):
    """A file with these sheets, lists of rows by name; None is an empty cell."""
    with xlsxwriter.Workbook(path, {"default_date_format": "dd/mm/yyyy hh:mm", "strings_to_numbers": False}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for place, row in enumerate(rows):
                sheet.write_row(place, 0, ["" if cell is None else cell for cell in row])
    return path


def csv(path, rows):
    pd.DataFrame(rows[1:], columns=rows[0]).to_csv(path, index=False)
    return path


def told(path, request=None):
    return [message.value for message in read_events(path, request, now=NOW)]


def test_a_workbook_tells_what_its_csv_tells(tmp_path):
    rows = [HEADER, *ROWS]
    book = told(workbook(tmp_path / "t.xlsx", {"Year": rows}))
    assert book == told(csv(tmp_path / "t.csv", rows))
    assert len(book) == 2


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["1", "2", "C3"]),
            st.sampled_from(["22423", "85123A", "a b"]),
            st.integers(-5, 5),
            st.integers(0, 10**6),
            st.decimals("0", "99", places=2),
            st.one_of(st.none(), st.integers(1, 4)),
        ),
        min_size=1,
    )
)
def test_any_rows_are_the_same_events(tmp_path_factory, drawn):
    start = at(2011, 1, 1)
    rows = [HEADER, ["9", "x", "n", 1, start, 1.5, 9, "UK"]]
    rows += [
        [order, item, "n", quantity, start + timedelta(seconds=s), float(price), customer, "UK"]
        for order, item, quantity, s, price, customer in drawn
    ]
    folder = tmp_path_factory.mktemp("book")
    assert told(workbook(folder / "t.xlsx", {"s": rows})) == told(csv(folder / "t.csv", rows))


def test_numbers_kept_as_text_and_ids_kept_as_numbers(tmp_path):
    """Spreadsheets do both: a customer 17850 is the number 17850.0, a price may be the text 2.55."""
    typed = [HEADER, [536365, 22423, "n", "6", "2010-12-01 08:26", "2.55", 17850.0, "UK"]]
    texts = [HEADER, ["536365", "22423", "n", "6", "2010-12-01 08:26", "2.55", "17850", "UK"]]
    assert told(workbook(tmp_path / "a.xlsx", {"s": typed})) == told(csv(tmp_path / "a.csv", texts))


def test_ids_of_both_kinds_in_one_column(tmp_path):
    rows = [
        HEADER,
        [1, 22423, "n", 1, at(2011, 1, 1), 1, 7, "UK"],
        ["C2", "85123A", "n", 1, at(2011, 1, 2), 1, 7, "UK"],
    ]
    (purchase, returned) = told(workbook(tmp_path / "t.xlsx", {"s": rows}))
    assert b'"item_id":"22423"' in purchase
    assert b'"customer_id":"7"' in purchase
    assert b'"item_id":"85123A"' in returned


def test_a_table_of_profiles(tmp_path):
    rows = [["CustomerID", "Gender", "Age"], [1, "Female", 31], [2, "Male", None]]
    book = told(workbook(tmp_path / "t.xlsx", {"s": rows}))
    assert book == told(csv(tmp_path / "t.csv", rows))
    assert b'"attributes":{"gender":"Female","age":31}' in book[0]
    assert b'"attributes":{"gender":"Male"}' in book[1]


def test_the_first_sheet_with_cells_or_the_one_asked_for(tmp_path):
    rows = [HEADER, *ROWS]
    path = workbook(tmp_path / "t.xlsx", {"cover": [], "2010": rows, "2011": [HEADER, ROWS[0]]})
    assert len(told(path)) == 2
    assert len(told(path, MappingRequest(sheet="2010"))) == 2  # a name goes before a number
    assert len(told(path, MappingRequest(sheet="3"))) == 1


def test_what_stands_above_and_between_does_not_matter(tmp_path):
    empty = [None] * len(HEADER)
    path = workbook(tmp_path / "t.xlsx", {"s": [empty, empty, HEADER, ROWS[0], empty, ROWS[2], empty]})
    assert told(path) == told(csv(tmp_path / "t.csv", [HEADER, ROWS[0], ROWS[2]]))


def test_a_failed_formula_is_no_value(tmp_path):
    path = tmp_path / "t.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["CustomerID", "Age"])
        sheet.write_row(1, 0, [1, 31])
        sheet.write_number(2, 0, 2)
        sheet.write_formula(2, 1, "=NA()", None, "#N/A")
    assert open_table(path).read({"Age"})["Age"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("sheets", "sheet", "said"),
    [
        ({"a": [["x"], [1]]}, "b", "there is no sheet 'b'; it has 'a'"),
        ({"a": []}, "a", "sheet 'a' is empty"),
        ({"a": []}, None, "all sheets are empty"),
        ({"a": [["x", "x"], [1, 2]]}, None, "two columns are named 'x'"),
    ],
)
def test_what_is_said_of_a_workbook_that_does_not_do(tmp_path, sheets, sheet, said):
    with pytest.raises(TableError, match=said):
        open_table(workbook(tmp_path / "t.xlsx", sheets), sheet)


def test_no_workbook_at_all(tmp_path):
    path = tmp_path / "t.xlsx"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(TableError, match="cannot be read as a workbook"):
        open_table(path)
    table = csv(tmp_path / "t.csv", [["a"], [1]])
    with pytest.raises(TableError, match="--sheet is for workbooks"):
        open_table(table, "1")


def test_a_cell_far_off_ends_no_process(tmp_path):
    path = tmp_path / "far.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Year")
        sheet.write_row(0, 0, HEADER)
        sheet.write(1_048_575, 16_383, "x")
    with pytest.raises(TableError, match="over 1,048,576 rows and 16,384 columns"):
        open_table(path)


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    path = workbook(tmp_path / "t.xlsx", {"s": [HEADER, *ROWS]})
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(TableError, match=r"pip install 'livesegments\[xlsx\]'"):
        open_table(path)
