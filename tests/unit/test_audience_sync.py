"""Audiences kept in step elsewhere: nothing is lost and nothing told twice, wherever a sync is killed."""

import contextlib
import itertools
import json
import os
import signal
import sqlite3
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import LivesegmentsError
from contracts.safe_cells import safe_cell
from contracts.times import DAY
from dashboard.formula_safe import formula_safe
from livesegments.audience_sync import ledger as ledgers
from livesegments.audience_sync.contacts import Contact
from livesegments.audience_sync.file_names import file_name
from livesegments.audience_sync.folder import FolderError, FolderTarget, replace_whole
from livesegments.audience_sync.ledger import LedgerBusyError, LedgerError, SyncLedger
from livesegments.audience_sync.shapes import PRESETS, ShapeError, address, shape_of
from livesegments.audience_sync.syncing import sync
from tests.audience_receiver import FolderReceiver, rows_of, text_of

GENERIC = PRESETS["generic"]


class Killed(BaseException):
    """As by SIGKILL: nobody catches it."""


class Fuse:
    """Kills at the nth step, before it is done or after it."""

    def __init__(self, steps: int | None, *, for_good: bool = False) -> None:
        self.steps = steps
        self.passed = 0
        self.for_good = for_good

    def kill(self) -> None:
        if self.for_good:
            os.kill(os.getpid(), signal.SIGKILL)
        raise Killed

    def burn(self) -> None:
        self.passed += 1
        if self.steps is not None and self.passed > self.steps:
            self.kill()

    def around(self, do):
        def done(*arguments, **named):
            self.burn()
            result = do(*arguments, **named)
            self.burn()
            return result

        return done


class Place:
    """A folder, a ledger, and whoever takes in what comes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "to"
        self.folder.mkdir()
        self.path = folder / "kept" / "one.sqlite"
        self.receiver = FolderReceiver(self.folder, "Big")
        self.now = 0

    def sync(self, members: dict[str, str], fuse: Fuse | None = None, **more):
        """One sync of customers with these contacts, killed where the fuse says."""
        self.now += DAY
        fuse = fuse or Fuse(None)
        ledger = SyncLedger(self.path)
        try:
            for name in ("decide", "settle", "begin_after"):
                setattr(ledger, name, fuse.around(getattr(ledger, name)))
            target = FolderTarget(self.folder, "Big", {"audience": "Big"}, fuse.around(replace_whole))
            return sync(
                ledger, target, more.pop("shape", GENERIC), lambda: contacts(members), now=self.now, part_rows=3, **more
            )
        finally:
            ledger.close()

    def files(self) -> list[str]:
        return sorted(one.name for one in self.folder.glob("*.csv"))


def contacts(members: dict[str, str]):
    for customer, key in members.items():
        yield Contact(key, customer, ("s", "1", "2.00", customer))


@contextlib.contextmanager
def folder_in_memory():
    """Where writing to disk, which a sync waits for with every step, takes no time."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def place():
    with folder_in_memory() as folder:
        yield Place(folder)


def people(*names: str) -> dict[str, str]:
    return {name: name for name in names}


# ---- the law ----

Audience = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["1", "2", "=3", "'4", "5\n6", "é"]), max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(Audience, st.none() | st.integers(0, 12), st.booleans()), min_size=1, max_size=7))
def test_whoever_follows_the_files_knows_the_audience_wherever_syncs_are_killed(days):
    with folder_in_memory() as folder:
        place = Place(folder)
        audiences, seen = [set()], 0
        for members, steps, full in days:
            audiences.append(set(members.values()))
            with contextlib.suppress(Killed):
                place.sync(members, Fuse(steps), full=full)
                seen = len(audiences) - 1
            place.receiver.follow()
            # What is known is the audience of some day, and never of one before what was known.
            assert place.receiver.members in audiences[seen:]
            seen = audiences.index(place.receiver.members, seen)
        place.sync(members)
        place.receiver.follow()
        assert place.receiver.members == audiences[-1]
        assert not list(place.folder.glob(".*.part")), "what was killed in the middle was begun again and ended"


def test_every_step_of_a_sync_can_be_the_last(place):
    first, then = people("a", "b", "c"), people("b", "c", "d")
    for steps in itertools.count():
        place.sync(first)
        place.receiver.follow()
        fuse = Fuse(steps)
        try:
            place.sync(then, fuse)
        except Killed:
            place.receiver.follow()
            assert place.receiver.members in (set(first), set(then))
            place.sync(then)
        place.receiver.follow()
        assert place.receiver.members == set(then)
        if fuse.passed <= steps:
            break
    assert steps == 10, "decide, three files, settle: each before and after"


def test_a_process_that_is_killed_for_good_leaves_what_the_next_one_goes_on_from(place):
    first, then = people("a", "b", "c"), people("b", "c", "d")
    place.sync(first)
    for steps in range(9):
        wanted = then if steps % 2 else {**first, f"x{steps}": f"x{steps}"}
        child = os.fork()
        if child == 0:
            place.sync(wanted, Fuse(steps, for_good=True))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        place.receiver.follow()
        place.sync(wanted)
        place.receiver.follow()
        assert place.receiver.members == set(wanted.values())


def test_a_file_that_was_decided_is_the_same_although_the_audience_went_on(place):
    place.sync(people("a"))
    with pytest.raises(Killed):
        place.sync(people("a", "b"), Fuse(2))  # decided, nothing written
    done = place.sync(people("a", "c"))
    assert (done.finished.sequence, done.finished.counts) == (2, {"entered": 1})
    assert (done.delivery.sequence, done.delivery.counts) == (3, {"entered": 1, "left": 1})
    assert [
        text_of(row["customer_id"]) for row in rows_of(place.folder / f"{file_name('Big')}-000002-entered.csv")
    ] == ["b"]


# ---- what is told ----


def test_at_first_everybody_then_who_entered_and_who_left_then_nothing(place):
    assert place.sync(people("a", "b")).delivery.kind == "full"
    done = place.sync(people("b", "c"))
    assert (done.delivery.kind, done.delivery.counts, done.members) == ("delta", {"entered": 1, "left": 1}, 2)
    assert place.sync(people("b", "c")).delivery is None
    prefix = file_name("Big")
    assert place.files() == [f"{prefix}-{one}.csv" for one in ("000001-full", "000002-entered", "000002-left")]
    assert list(rows_of(place.folder / f"{prefix}-000002-left.csv")[0]) == ["customer_id"]
    assert list(rows_of(place.folder / f"{prefix}-000002-entered.csv")[0]) == list(GENERIC.headers)


def test_two_customers_with_one_contact_are_one_row_and_stay_while_either_is_in(place):
    place.sync({"a": "x@y.de", "b": "x@y.de"})
    assert [row["last_order_at"] for row in rows_of(place.folder / place.files()[0])] == ["a"]
    assert place.sync({"b": "x@y.de"}).delivery is None
    assert place.sync({}).delivery.counts == {"left": 1}


def test_a_contact_that_changes_leaves_and_enters(place):
    place.sync({"a": "old@y.de"})
    assert place.sync({"a": "new@y.de"}).delivery.counts == {"entered": 1, "left": 1}


def test_an_audience_of_nobody_is_told_too(place):
    assert place.sync({}).delivery.counts == {"full": 0}
    assert place.sync({}).delivery is None
    place.receiver.follow()
    assert place.receiver.members == set()


def test_a_full_list_comes_when_it_is_asked_for_due_or_needed(place, monkeypatch):
    place.sync(people("a"))
    assert place.sync(people("a"), full=True).delivery.kind == "full"
    assert place.sync(people("b"), full_every=2 * DAY).delivery.kind == "delta"
    assert place.sync(people("b"), full_every=2 * DAY).delivery.kind == "full"
    other = shape_of("generic", "attributes.email")
    assert place.sync(people("b@c.de"), shape=other).delivery.kind == "full", "contacts are something else now"
    monkeypatch.setattr("livesegments.audience_sync.syncing.MOST_DELTAS", 2)
    kinds = [place.sync(people(str(turn)), shape=other).delivery.kind for turn in range(4)]
    assert kinds == ["delta", "delta", "full", "delta"]


def test_files_or_ledger_that_are_lost_or_old_are_made_good_by_a_full_list(place, tmp_path):
    place.sync(people("a"))
    place.sync(people("a", "b"))
    backup = place.path.read_bytes()
    place.sync(people("b"))
    place.path.write_bytes(backup)
    place.receiver.follow()
    assert place.sync(people("b")).delivery.sequence == 4, "the ledger is from a backup"
    place.path.unlink()
    assert (done := place.sync(people("b", "c")).delivery).kind == "full"
    assert done.sequence == 5, "numbers go on where the files are"
    for one in place.folder.iterdir():
        one.unlink()
    assert place.sync(people("c")).delivery.kind == "full", "the files were taken away"
    place.receiver.follow()
    assert place.receiver.members == {"c"}


def test_a_full_list_that_is_asked_for_writes_over_no_file(place):
    place.sync(people("a"))
    first = (place.folder / place.files()[0]).read_bytes()
    place.path.unlink()
    assert place.sync(people("b"), full=True).delivery.sequence == 2
    assert (place.folder / place.files()[0]).read_bytes() == first


def test_two_shops_write_into_no_common_manifest(place):
    def target(prefix):
        return FolderTarget(place.folder, "Big", {"deployment": prefix})

    with SyncLedger(place.path) as ledger:
        sync(ledger, target("shop-berlin"), GENERIC, lambda: contacts(people("a")), now=1, part_rows=3)
    assert target("shop-berlin").known().sequence == 1
    with (
        SyncLedger(place.path.with_name("two.sqlite")) as ledger,
        pytest.raises(LivesegmentsError, match="shop-berlin"),
    ):
        sync(ledger, target("shop-london"), GENERIC, lambda: contacts(people("b")), now=1, part_rows=3)
    assert len(place.files()) == 1


def test_nobody_who_left_is_found_in_the_ledger(place):
    place.sync(people(*(f"customer-{n}" for n in range(500)), "erased-somebody"))
    assert b"erased-somebody" in place.path.read_bytes()
    place.sync(people(*(f"customer-{n}" for n in range(500))))
    assert b"erased-somebody" not in place.path.read_bytes()
    assert list(place.path.parent.iterdir()) == [place.path]


def test_what_can_not_be_read_is_not_synced_in_part(place):
    place.sync(people("a", "b"))

    def breaking(members):
        yield from contacts(people("a"))
        raise RuntimeError("Redis is gone")

    ledger = SyncLedger(place.path)
    with ledger, pytest.raises(RuntimeError, match="gone"):
        sync(ledger, FolderTarget(place.folder, "Big", {}), GENERIC, lambda: breaking({}), now=1, part_rows=1)
    assert place.sync(people("a", "b")).delivery is None


def test_one_process_at_a_time(place):
    with SyncLedger(place.path), pytest.raises(LedgerBusyError, match="another process"):
        SyncLedger(place.path)


def test_a_ledger_that_is_none_says_so(tmp_path):
    (tmp_path / "x.sqlite").write_bytes(b"no database at all, but long enough to be taken for one" * 20)
    with pytest.raises(LedgerError, match=r"damaged.*delete it"):
        SyncLedger(tmp_path / "x.sqlite")
    with SyncLedger(tmp_path / "y.sqlite"):
        pass
    with sqlite3.connect(tmp_path / "y.sqlite") as db:
        db.execute("UPDATE notes SET value = '99' WHERE name = 'layout'")
    db.close()
    with pytest.raises(LedgerError, match="another version"):
        SyncLedger(tmp_path / "y.sqlite")


def test_a_folder_that_is_not_there_or_holds_something_else(place):
    with pytest.raises(FolderError, match="there is no folder"):
        FolderTarget(place.folder / "nowhere", "Big", {}).known()
    (place.folder / f"{file_name('Big')}.manifest.json").write_text("[1, 2]")
    with pytest.raises(FolderError, match="no manifest of ours"):
        place.sync(people("a"))


def test_a_folder_that_can_not_be_written_keeps_what_is_due(place):
    place.sync(people("a"))

    def full(path, write):
        raise OSError(28, "No space left on device")

    with SyncLedger(place.path) as ledger, pytest.raises(FolderError, match=r"No space.*stays"):
        sync(
            ledger,
            FolderTarget(place.folder, "Big", {}, full),
            GENERIC,
            lambda: contacts({"b": "b"}),
            now=9,
            part_rows=1,
        )
    assert place.sync(people("b")).finished.counts == {"entered": 1, "left": 1}


# ---- cells and shapes ----


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cell_is_no_formula_and_can_be_had_back(text):
    cell = safe_cell(text)
    if cell != text:
        assert cell == f"'{text}"
    else:
        assert not text.startswith(("=", "@", "'", "＝", "＠"))
    assert text_of(cell) == text


@given(st.lists(st.text("=+-@'09 .,\t\nx＝") | st.none()))
def test_a_column_is_made_safe_as_a_cell_is(texts):
    batch = pa.RecordBatch.from_arrays([pa.array(texts, pa.string())], ["c"])
    safe, found = formula_safe(batch)
    wanted = [text if text is None else safe_cell(text) for text in texts]
    assert safe.column(0).to_pylist() == wanted
    assert found == sum(one != two for one, two in zip(wanted, texts, strict=True))


def test_addresses():
    good = {"Ann.B+c@Example.co.uk": "ann.b+c@example.co.uk", "a@bücher.de": "a@bücher.de", " x_1@y.org\n": "x_1@y.org"}
    assert {text: address(text) for text in good} == good
    for bad in (
        "",
        "ann",
        "=1@x.org",
        "+x@y.org",
        "a b@x.org",
        "é@x.org",
        "a@x",
        "a@@x.org",
        "a@x..org",
        "a@" + "x" * 260 + ".org",
    ):
        assert address(bad) is None, bad


def test_presets_name_columns_as_the_tools_do():
    assert {name: shape.headers for name, shape in PRESETS.items()} == {
        "generic": ("customer_id", "segment", "orders", "net_spend", "last_order_at"),
        "mailchimp": ("Email Address", "First Name", "Last Name", "Tags"),
        "klaviyo": ("Email", "First Name", "Last Name", "Audience"),
        "brevo": ("EMAIL", "FIRSTNAME", "LASTNAME", "EXT_ID"),
    }
    assert shape_of("generic", "attributes.email").headers[0] == "email"
    assert shape_of("klaviyo", columns={"City": "attributes.city"}).headers == ("Email", "City")


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        (("hubspot",), "no preset 'hubspot'"),
        (("generic", "email"), "customer_id or attributes.NAME"),
        (("generic", "attributes."), "customer_id or attributes.NAME"),
        (("generic", None, {"x": "y"}), "columns.x: expected attributes.NAME or one of"),
        (("generic", None, {"customer_id": "orders"}), "there already"),
        (("generic", None, {"": "orders"}), "is no header"),
        (("generic", None, {"a\nb": "orders"}), "is no header"),
        (("generic", None, {f"c{n}": "orders" for n in range(51)}), "50 at most"),
    ],
)
def test_what_is_no_shape(given_, told):
    with pytest.raises(ShapeError, match=told):
        shape_of(*given_)


def test_names_of_files_are_apart():
    names = ["Big", "big", "Big!", "BIG", "../big", "größer", "大", "a" * 100, "a" * 101, "con", ""]
    made = [file_name(one) for one in names]
    assert len({one.lower() for one in made}) == len(names)
    assert all(Path(one).name == one for one in made)


def test_the_manifest_says_what_there_is(place):
    place.sync(people("a"))
    place.sync(people("b"))
    manifest = json.loads((place.folder / f"{file_name('Big')}.manifest.json").read_text())
    assert (manifest["v"], manifest["audience"], manifest["sequence"]) == (1, "Big", 2)
    full, delta = manifest["deliveries"]
    assert [one["change"] for one in full["files"]] == ["full"]
    assert [one["change"] for one in delta["files"]] == ["entered", "left"]
    assert delta["at"] == "1970-01-03T00:00:00Z"
    assert ledgers.MOST_DELTAS == 1_000
