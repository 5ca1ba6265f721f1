"""Tables of items, as shops export them: what each row says, and what becomes of rows that say nothing usable."""

import gzip
import json

import pandas as pd
import pytest

from contracts.catalog import CatalogItem
from producer.item_table import ItemTableError, parse_flag, read_items
from producer.mapping import MappingError
from producer.table import TableError


def write(tmp_path, text, name="items.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def by_id(table):
    return {item.item_id: item for item in table.items}


def test_columns_that_bear_a_fields_name_are_understood(tmp_path):
    table = read_items(write(tmp_path, "Item ID,Name,inStock,Colour\n 17850.0 , White  mug ,no,red\n"))
    assert list(table.items) == [CatalogItem(item_id="17850", name="White mug", in_stock=False)]
    assert table.unused == ("Colour",)


def test_what_a_row_lacks_is_not_said(tmp_path):
    found = by_id(read_items(write(tmp_path, "item_id,name,in_stock\na,,yes\nb,B,\n")))
    assert found == {"a": CatalogItem(item_id="a", in_stock=True), "b": CatalogItem(item_id="b", name="B")}


def test_columns_are_mapped_and_values_set_for_all_rows(tmp_path):
    path = write(tmp_path, "sku,name,title\na,wrong,Right\n")
    table = read_items(path, {"item_id": "sku", "name": "title"}, {"category": "Mugs", "in_stock": "no"})
    assert list(table.items) == [CatalogItem(item_id="a", name="Right", category="Mugs", in_stock=False)]


@pytest.mark.parametrize(
    ("text", "said"),
    [("yes", True), ("TRUE", True), ("1", True), ("12", True), ("0", False), ("-3", False), ("out of stock", False)],
)
def test_stock_is_yes_or_no_or_a_number_of_pieces(text, said):
    assert parse_flag("in_stock", text) is said


@pytest.mark.parametrize("text", ["maybe", "2", "nan"])
def test_what_is_neither_yes_nor_no_is_refused(text):
    with pytest.raises(ValueError, match="expected yes or no"):
        parse_flag("recommendable", text)


BAD = "item_id,in_stock\na,yes\nb,maybe\n,no\n" + "x" * 200 + ",yes\nc,3\n"


def test_where_rows_can_not_be_used_nothing_is_loaded_and_each_is_named(tmp_path):
    with pytest.raises(ItemTableError) as raised:
        read_items(write(tmp_path, BAD))
    told = str(raised.value).splitlines()
    assert "3 of 5 rows can not be used, so nothing is loaded" in told[0]
    assert "--skip-bad" in told[0]
    assert told[1].startswith("row 2: in_stock is 'maybe'")
    assert told[2] == "row 3: no item_id"
    assert told[3].startswith("row 4: item_id: String should have at most 128 characters")


def test_bad_rows_are_left_out_where_that_is_asked_for(tmp_path):
    table = read_items(write(tmp_path, BAD), skip_bad=True)
    assert list(by_id(table)) == ["a", "c"]
    assert len(table.bad) == 3


def test_of_very_many_bad_rows_ten_are_named(tmp_path):
    with pytest.raises(ItemTableError) as raised:
        read_items(write(tmp_path, "item_id,name\n" + ",x\n" * 100))
    assert len(str(raised.value).splitlines()) == 12
    assert str(raised.value).endswith("and 90 more")


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("", TableError, "is empty"),
        ("item_id,name\n", TableError, "no rows"),
        ("sku,name\na,b\n", ItemTableError, "--map item_id=COLUMN. The table has: sku, name"),
        ("item_id,colour\na,b\n", ItemTableError, "--map name=COLUMN"),
    ],
)
def test_what_a_table_lacks_is_said(tmp_path, text, error, told):
    with pytest.raises(error, match=told):
        read_items(write(tmp_path, text))


def test_unknown_fields_and_columns_are_refused_with_those_there_are(tmp_path):
    path = write(tmp_path, "sku,name\na,b\n")
    with pytest.raises(MappingError, match=r"no column 'skuu'.*Did you mean 'sku'"):
        read_items(path, {"item_id": "skuu"})
    with pytest.raises(MappingError, match="--map price: unknown field; there are item_id, name"):
        read_items(path, {"item_id": "sku", "price": "name"})
    with pytest.raises(MappingError, match="--set name: unknown field"):
        read_items(path, {"item_id": "sku"}, {"name": "x"})
    with pytest.raises(ItemTableError, match="in_stock is 'perhaps'"):
        read_items(path, {"item_id": "sku"}, {"in_stock": "perhaps"})


def test_hostile_names_are_kept_readable(tmp_path):
    names = ["a\x00b\x1b[2J", "x" * 10_000, "line\nbreak", "\u202edrow", "=HYPERLINK(1)"]
    path = tmp_path / "items.parquet"
    pd.DataFrame({"item_id": list("abcde"), "name": names}).to_parquet(path)
    found = by_id(read_items(path))
    assert found["a"].name == "a b [2J"
    assert len(found["b"].name) == 200
    assert found["c"].name == "line break"
    assert all(CatalogItem.model_validate_json(one.encode()) == one for one in found.values())


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".xlsx", ".jsonl", ".jsonl.gz", ".tsv"])
def test_every_kind_of_file_says_the_same(tmp_path, ending):
    frame = pd.DataFrame(
        {"item_id": ["a", "17850"], "name": ["Cup", None], "in_stock": [0, 3], "recommendable": [True, False]}
    )
    path = tmp_path / f"items{ending}"
    if ending == ".parquet":
        frame.to_parquet(path)
    elif ending == ".xlsx":
        frame.to_excel(path, index=False, engine="xlsxwriter")
    elif ending.startswith(".jsonl"):
        rows = frame.astype(object).to_dict("records")
        lines = [json.dumps({name: one for name, one in row.items() if isinstance(one, str | int)}) for row in rows]
        data = "\n".join(lines).encode()
        path.write_bytes(gzip.compress(data) if ending.endswith(".gz") else data)
    else:
        frame.to_csv(path, index=False, sep="\t" if ending == ".tsv" else ",")
    assert by_id(read_items(path)) == {
        "a": CatalogItem(item_id="a", name="Cup", in_stock=False, recommendable=True),
        "17850": CatalogItem(item_id="17850", in_stock=True, recommendable=False),
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [('{"item_id": "a", "name": 1}\n{"item_id"', "line 2 is no JSON object"), ("[1]", "line 1"), ("\n\n", "is empty")],
)
def test_a_broken_line_of_json_is_named(tmp_path, text, told):
    with pytest.raises(TableError, match=told):
        read_items(write(tmp_path, text, "items.jsonl"))


def test_json_of_every_kind_becomes_text(tmp_path):
    lines = [{"item_id": 10**30, "name": {"en": "Cup"}}, {"item_id": 5, "name": ["a"]}, {"item_id": 1.5, "name": True}]
    path = write(tmp_path, "\n".join(map(json.dumps, lines)), "items.ndjson")
    assert {item: one.name for item, one in by_id(read_items(path)).items()} == {
        str(10**30): '{"en":"Cup"}',
        "5": '["a"]',
        "1.5": "True",
    }
