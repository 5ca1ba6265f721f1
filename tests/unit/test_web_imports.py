"""Imports by page: what is looked at in a child process, what is asked, what is refused, and that nothing stays."""

import gzip
import io
import time
import zipfile
from multiprocessing import Pipe

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from dashboard.imports import ImportRefusedError
from livesegments.settings import Settings
from livesegments.sources import Loaded
from livesegments.web import import_work, importing
from livesegments.web.importing import StateImports, safe_name
from producer.importing.unpacking import check_unpacked
from producer.table import TableError

SECONDS = 300.0
ROOM = 1_000_000
TABLE = """Bestellnr;Kundennr;Datum;Artikel;Menge;Einzelpreis
1;K1;13.02.2026 10:00;Tasse;2;1.250,50
2;;14.02.2026 11:00;=cmd|'/c calc'!A1;1;1.250,50
3;K1;15.03.2026 12:00;<script>alert(1)</script>;4;2,50
"""
TABLE += "".join(f"{n};K{n};16.03.2026 12:00;Tasse;{n};2,00\n" for n in range(4, 24))
TABLE += "99;K1;15.03.2026 12:00;Tasse;viele;2,50\n"


@pytest.fixture
def desk(tmp_path):
    made = StateImports(Loaded(Settings(), {}, {}), ROOM, tmp_path)
    yield made
    made.close()
    assert list(tmp_path.iterdir()) == []


def send(desk, name, data, *, who="anna", first=True):
    coming = desk.receive(who, name, len(data), first=first)
    coming.write(data)
    coming.close(whole=True)


def wait(desk, *stages, who="anna"):
    deadline = time.monotonic() + SECONDS
    while (state := desk.state(who)).stage not in stages:
        assert state.stage != "failed", state.problem
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return state


def test_a_file_is_looked_at_and_what_is_unclear_is_asked(desk, tmp_path):
    send(desk, "C:\\Exporte\\Bestellungen 2026.csv", TABLE.encode("cp1252"))
    desk.look("anna")
    asked = wait(desk, "asking")
    assert "currency" in asked.asked.text
    desk.answer("anna", asked.turn, {asked.asked.key: "EUR"})
    desk.answer("anna", asked.turn, {asked.asked.key: "GBP"})  # pressed twice
    asked = wait(desk, "asking")
    assert "time zone" in asked.asked.text
    desk.answer("anna", asked.turn, {asked.asked.key: "Europe/Berlin"})
    state = wait(desk, "shown")
    found = state.understood
    assert (found.rows, found.lines, found.customers, found.guests, found.events) == (24, 23, 21, 1, 23)
    assert found.months[-1] == ("total", "23", "0", "4,301.50", "0.00")
    assert found.orders[0].when == "Friday 13 February 2026 10:00"
    assert found.orders[1].customer is None
    assert sum(found.unread.values()) == 1
    assert "Menge" in found.columns
    assert str(tmp_path) not in repr(state)
    desk.correct("anna", {"set.currency": "USD"})
    found = wait(desk, "shown").understood
    assert found.currencies == ("USD",)
    assert "rates.USD" in found.obstacles[0]
    with pytest.raises(ImportRefusedError, match="Nothing of this"):
        desk.publish("anna", desk.state("anna").turn)
    with pytest.raises(ImportRefusedError, match="changed meanwhile"):
        desk.publish("anna", asked.turn)
    assert desk.state("bob").stage == "choose"
    desk.drop("anna")
    assert desk.state("anna").stage == "choose"
    assert [one.name for one in next(tmp_path.iterdir()).iterdir()] == ["lock"]


def workbook(rows):
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet()
        for place, row in enumerate(rows):
            sheet.write_row(place, 0, row)
    return file.getvalue()


def bomb():
    """A workbook whose sheet unpacks to a million bytes, and says that it has 10."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b" " * 1_000_000)
    return file.getvalue().replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))


def vast():
    """A workbook of two cells, of which one says that it is in the last column of the last row."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook([["a"], ["b"]]))) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            text = old.read(name)
            if name.endswith("sheet1.xml"):
                text = text.replace(b'r="A2"', b'r="XFD1048576"').replace(b'r="2"', b'r="1048576"')
            new.writestr(name, text)
    return file.getvalue()


def repeated():
    """A Parquet file of few bytes in which one value stands for a million rows."""
    file = io.BytesIO()
    one = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int8()), pa.array(["x" * 100]))
    pq.write_table(pa.table({"a": one}), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("bomb.xlsx", bomb(), "larger than"),
        ("many.parquet", repeated(), "larger than"),
        ("bomb.csv.gz", gzip.compress(b"a,b\n" * 300_000, mtime=0), "larger than"),
        ("broken.csv.gz", gzip.compress(b"a,b\n" * 300, mtime=0)[:-20], "cannot be unpacked"),
        ("orders.parquet", b"PAR1 not really PAR1", "cannot be unpacked"),
        ("orders.xlsx", b"PK\3\4 not really", "cannot be unpacked"),
    ],
)
def test_what_would_not_fit_unpacked_is_refused_before_it_is_read(tmp_path, name, data, said):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(TableError, match=said):
        check_unpacked(path, 900_000)


def test_what_fits_is_let_through(tmp_path):
    for name, data in (
        ("a.xlsx", workbook([["a"], [1]])),
        ("a.csv.gz", gzip.compress(b"a\n1\n", mtime=0)),
        ("a.csv", b"a\n" * 900_000),
    ):
        (tmp_path / name).write_bytes(data)
        check_unpacked(tmp_path / name, 900_000)


def test_too_little_memory_is_told_in_words(monkeypatch, tmp_path):
    def take_all(*_):
        raise MemoryError

    monkeypatch.setattr(import_work, "_work", take_all)
    ours, theirs = Pipe()
    import_work.work(theirs, None)
    assert "more memory than there is" in ours.recv().text


def test_a_file_that_can_not_be_read_ends_its_child_alone_and_the_next_one_is_read(desk):
    for name, data, said in (("vast.xlsx", vast(), "far off"), ("orders.csv", b"\0\1" * 999, "orders.csv: ")):
        send(desk, name, data)
        desk.look("anna")
        deadline = time.monotonic() + SECONDS
        while (state := desk.state("anna")).stage == "looking":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert state.stage == "failed"
        assert said in state.problem
    desk.drop("anna")


def test_what_may_not_come_does_not_and_leaves_nothing(desk, tmp_path, monkeypatch):
    with pytest.raises(ImportRefusedError, match="web_import_max"):
        desk.receive("anna", "a.csv", ROOM + 1, first=True)
    coming = desk.receive("anna", "a.csv", 10, first=True)
    coming.write(b"x" * ROOM)
    with pytest.raises(ImportRefusedError, match="web_import_max"):
        coming.write(b"x")  # more than was said
    coming.close(whole=False)
    with pytest.raises(ImportRefusedError, match="choose them again"):
        desk.look("anna")
    send(desk, "b.csv", b"a\n1\n")
    with pytest.raises(ImportRefusedError, match="two files named"):
        desk.receive("anna", "x/b.csv", 1, first=False)
    monkeypatch.setattr(importing, "AT_A_TIME", 1)
    with pytest.raises(ImportRefusedError, match="others are importing"):
        desk.receive("bob", "c.csv", 1, first=True)
    for name in ("", "..", "/", ".csv"):
        with pytest.raises(ImportRefusedError, match="no name"):
            safe_name(name)
    assert safe_name("../../\u202eorders.csv") == "_orders.csv"
    now = time.monotonic()
    monkeypatch.setattr(desk, "_monotonic", lambda: now + importing.IDLE_SECONDS + 60)
    desk.drop_idle()
    assert [one.name for one in next(tmp_path.iterdir()).iterdir()] == ["lock"]


def test_a_file_that_broke_off_takes_no_room_from_the_one_sent_again(desk):
    send(desk, "a.csv", b"a\n1\n")
    for _ in range(3):
        coming = desk.receive("anna", "b.csv", 10, first=False)
        coming.write(b"x" * (ROOM - 4))
        with pytest.raises(ImportRefusedError, match="web_import_max"):
            coming.write(b"xx")
        coming.close(whole=False)
    send(desk, "b.csv", b"x" * (ROOM - 4), first=False)
    assert [one.size for one in desk.state("anna").uploads] == [4, ROOM - 4]
    with pytest.raises(ImportRefusedError, match="web_import_max"):
        desk.receive("anna", "c.csv", 1, first=False)
    desk.drop("anna")


def test_what_a_process_left_that_was_killed_goes_at_the_next_start(desk, tmp_path):
    send(desk, "a.csv", b"a\n1\n")
    (left := tmp_path / "livesegments-upload-x").mkdir()
    (left / "lock").touch()
    (left / "orders.csv").write_text("secret")
    (tmp_path / "other").mkdir()
    importing.sweep(tmp_path)
    assert not left.exists()
    assert desk.state("anna").uploads[0].size == 4
    assert len(list(tmp_path.rglob("a.csv"))) == 1
    (tmp_path / "other").rmdir()
