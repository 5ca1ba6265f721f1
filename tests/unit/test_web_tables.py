"""Tables as streams of bytes: what comes out is what went in, piece by piece."""

import csv
import io

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard import table_stream
from dashboard.table_stream import encoded, schema_with_constants, with_constants

SCHEMA = pa.schema(
    [pa.field("id", pa.string()), pa.field("n", pa.int64()), pa.field("at", pa.timestamp("us", tz="UTC"))]
)
ids = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00\r"), max_size=20)
rows = st.lists(st.tuples(ids, st.integers(-(2**62), 2**62)), max_size=20)


def batches(groups):
    return [
        pa.RecordBatch.from_pylist([{"id": one, "n": n, "at": 1_700_000_000_000_000} for one, n in group], SCHEMA)
        for group in groups
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(rows, max_size=4))
def test_csv_holds_every_row_whatever_ids_look_like(groups):
    text = b"".join(encoded("csv", SCHEMA, batches(groups))).decode()
    header, *found = csv.reader(io.StringIO(text, newline=""))
    assert header == ["id", "n", "at"]
    assert [(one, int(n)) for one, n, _ in found] == [row for group in groups for row in group]
    assert {at for _, _, at in found} <= {"2023-11-14T22:13:20.000000Z"}


@settings(max_examples=30, deadline=None)
@given(st.lists(rows, max_size=4))
def test_parquet_holds_every_row(groups):
    data = b"".join(encoded("parquet", SCHEMA, batches(groups)))
    table = pyarrow.parquet.read_table(io.BytesIO(data))
    assert table.schema.equals(SCHEMA)
    assert table.column("id").to_pylist() == [one for group in groups for one, _ in group]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_pieces_come_while_the_table_is_made(kind, monkeypatch):
    monkeypatch.setattr(table_stream, "GROUP_ROWS", 10)
    made = 0

    def endless():
        nonlocal made
        while True:
            made += 1
            yield batches([[(f"c{made}-{n}", n) for n in range(10)]])[0]

    pieces = encoded(kind, SCHEMA, endless())
    size = 0
    while size < 10_000:
        size += len(next(pieces))
    assert made < 200


def test_constants_stand_in_every_row():
    constants = {"model_version": pa.scalar(7, pa.int32())}
    batch = with_constants(batches([[("a", 1), ("b", 2)]])[0], constants)
    assert batch.schema == schema_with_constants(SCHEMA, constants)
    assert batch.column("model_version").to_pylist() == [7, 7]
