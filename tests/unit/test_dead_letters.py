"""Dead letters afterwards, through the real commands on a deployment in memory: counted, shown, replayed, dropped."""

import base64
import json
import re
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from consumer.dead_letter_log import (
    SETTLED,
    LetterId,
    LetterIdError,
    Settling,
    read_fates,
    read_letters,
)
from consumer.memory_state import MemoryState
from consumer.patience import Patience
from contracts.documents import DeadLetter, SettledLetters
from contracts.errors import LivesegmentsError
from contracts.times import DAY, HOUR
from livesegments.app import Deployment, create_logs, open_worker
from livesegments.bytes_text import readable
from livesegments.commands import dead_letters
from livesegments.dead_letters import AT_ONCE, DeadLetters, Selection
from livesegments.settings import Settings
from logs.base import LogSpec
from logs.memory import MemoryLogs, wall_clock
from recommender.store import MemoryViews

START = datetime(2024, 1, 1, tzinfo=UTC)
LETTERS = "dead-letters"
EVENTS = "customer-events"


def purchase(event_id, who="ann", **fields) -> bytes:
    line = {"item_id": "tea", "quantity": 1, "unit_price": 2.5}
    event = {
        "type": "purchase",
        "event_id": event_id,
        "customer_id": who,
        "occurred_at": START.isoformat(),
        "order_id": event_id,
        "lines": [line],
        "currency": "GBP",
    }
    return json.dumps(event | fields).encode()


BAD = {
    "not-json": b"\xff\x00 no json",
    "invalid": purchase("e1", order_id=""),
    "unknown-type": b'{"type": "coupon", "event_id": "a"}',
    "newer-version": purchase("e2", v=9),
    "currency": purchase("e3", currency="EUR"),
    "future": purchase("e4", occurred_at="2099-01-01T00:00:00Z"),
    "too-large": purchase("e5", note="x" * 1_100_000),
}


class Shop:
    """A deployment in memory, and the commands on it."""

    def __init__(self, monkeypatch) -> None:
        self.now = wall_clock()
        self.logs = MemoryLogs(lambda: self.now)
        self.state = MemoryState()
        self.views = MemoryViews(lambda: self.now)
        self.set_up()
        create_logs(self.deployment.settings, self.logs)
        self.writer = self.logs.writer()
        self._monkeypatch = monkeypatch

    def set_up(self, **settings) -> None:
        chosen = Settings(clock="event", partitions=3, review_inline=True, figures_interval="100ms", **settings)
        self.deployment = Deployment(chosen, self.logs, self.state, self.views)

    def publish(self, *values: bytes | None, partition=None) -> None:
        for value in values:
            self.writer.append(EVENTS, b"ann", value, partition=partition)

    def work(self):
        with open_worker(self.deployment, Patience(threading.Event())) as worker:
            worker.run(until_idle=0.1)
            return worker

    def run(self, *arguments: str, status: int = 0) -> str:
        @contextmanager
        def opened(_):
            yield self.deployment

        self._monkeypatch.setattr(dead_letters, "open_deployment", opened)
        self._monkeypatch.setenv("COLUMNS", "160")
        answer = CliRunner().invoke(dead_letters.app, list(arguments))
        if answer.exit_code != status:
            raise AssertionError((answer.output, answer.exception))
        return answer.output

    def refused(self, *arguments: str) -> str:
        with pytest.raises(AssertionError) as caught:
            self.run(*arguments)
        (_, error) = caught.value.args[0]
        assert isinstance(error, LivesegmentsError)
        return str(error)

    def listed(self, *options: str) -> dict:
        return json.loads(self.run("list", "--json", *options))

    def id_of(self, reason: str) -> str:
        [one] = [one["id"] for one in self.listed("--limit", "100", "--settled")["newest"] if one["reason"] == reason]
        return one

    def events(self) -> list[bytes]:
        return [value for batch in self.logs.read_all(EVENTS) for value in batch.values]


@pytest.fixture
def shop(monkeypatch):
    return Shop(monkeypatch)


@pytest.fixture
def full(shop):
    """One letter of each kind, and a customer who counts."""
    shop.publish(*BAD.values(), purchase("good"))
    assert shop.work().figures.dead_letters.total() == len(BAD)
    return shop


def test_letters_are_counted_by_reason(full):
    found = full.listed()
    assert set(found["reasons"]) == set(BAD)
    assert all((one["open"], one["replayed"], one["dropped"]) == (1, 0, 0) for one in found["reasons"].values())
    assert {one["reason"] for one in found["newest"]} == set(BAD)
    shown = full.run("list")
    assert "currency" in shown
    assert "upgrade and replay it" in shown


def test_a_list_can_be_narrowed(full):
    assert set(full.listed("--reason", "future")["reasons"]) == {"future"}
    (partition,) = {one["partition"] for one in full.listed()["newest"]}
    assert len(full.listed("--partition", str(partition))["reasons"]) == len(BAD)
    assert full.listed("--partition", str((partition + 1) % 3))["reasons"] == {}
    assert len(full.listed("--limit", "2")["newest"]) == 2
    assert full.run("list", "--reason", "nonsense") == "no dead letters\n"
    full.now += 2 * HOUR
    full.logs.writer().append(LETTERS, None, b"somebody else's")
    full._monkeypatch.setattr(dead_letters, "wall_micros", lambda: full.now)
    assert set(full.listed("--since", "1h")["reasons"]) == {"unreadable"}
    assert len(full.listed("--since", "3h")["reasons"]) == len(BAD) + 1


@pytest.mark.parametrize("reason", BAD)
def test_a_letter_shows_its_bytes_and_what_the_contract_says_today(full, reason):
    shown = full.run("show", full.id_of(reason))
    assert f": {reason}: " in shown
    assert f"today: still {reason}: " in shown
    if reason == "currency":
        assert '  "currency": "EUR"' in shown.splitlines()
    if reason == "not-json":
        assert "ff 00 20 6e 6f" in shown
    assert json.loads(full.run("show", full.id_of(reason), "--json"))["today"]["reason"] == reason


def test_a_letter_that_is_not_there(full):
    for command in ("show", "replay", "drop"):
        assert re.match("there (is|are) no dead letters? 0:999, or", full.refused(command, "0:999"))
    assert "expected an id" in full.refused("show", "first")


def test_nothing_is_replayed_or_dropped_unless_it_is_said_what(full):
    assert "--all" in full.refused("replay")
    assert "--all" in full.refused("drop")


def test_replayed_letters_count_once_and_are_not_replayed_again(full):
    full.set_up(rates={"EUR": {"2020-01-01": Decimal("0.9")}})
    shown = full.run("show", full.id_of("currency"))
    assert "today: a valid purchase of 2024-01-01T00:00:00Z, customer ann: it can be replayed" in shown
    before = len(full.events())

    tried = full.run("replay", "--all", "--dry-run", status=1)
    assert "1 would be published again" in tried
    assert "1 still can not be used: future" in tried
    assert len(full.events()) == before

    done = full.run("replay", "--all", status=1)
    assert "1 were published again" in done
    assert full.events().count(BAD["currency"]) == 2
    assert full.work().figures.events == {"purchase": 1}
    assert full.listed()["reasons"]["currency"] | {"newest_at": 0} == {
        "open": 0,
        "replayed": 1,
        "dropped": 0,
        "newest_at": 0,
    }
    assert "(replayed)" in full.run("list", "--settled")

    again = full.run("replay", "--reason", "currency")
    assert "0 were published again" in again
    assert "1 were replayed or dropped before" in again
    assert full.events().count(BAD["currency"]) == 2


def test_a_replay_goes_where_the_customer_belongs(shop):
    """Whatever partition the record stood in, and as it was, byte by byte."""
    odd = b" " + purchase("e", who="zoe", currency="EUR") + b"\n"
    for partition in range(3):
        shop.publish(odd, partition=partition)
    shop.work()
    shop.set_up(rates={"EUR": {"2020-01-01": Decimal("0.9")}})
    assert "3 were published again" in shop.run("replay", "--all")
    worker = shop.work()
    assert (worker.figures.events, worker.figures.ignored, worker.figures.rerouted) == (
        {"purchase": 1},
        {"repeated": 2},
        0,
    )
    (_, *_, last) = [value for value in shop.events() if value == odd]
    assert last == odd


def test_a_replay_that_crashed_before_its_mark_is_harmless(full):
    """The same bytes with the same event id: the second ones are a repeat."""
    full.set_up(rates={"EUR": {"2020-01-01": Decimal("0.9")}})
    full._monkeypatch.setattr("livesegments.dead_letters.Settling.flush", _fail)
    with pytest.raises(AssertionError, match="the plug was pulled"):
        full.run("replay", "--reason", "currency")
    full._monkeypatch.undo()
    assert "1 were published again" in full.run("replay", "--reason", "currency")
    assert full.work().figures.ignored == {"repeated": 1}


def _fail(_):
    raise OSError("the plug was pulled")


def test_a_letter_without_its_bytes_stays_where_it_is(shop):
    letter = DeadLetter(log=EVENTS, partition=2, offset=7, reason="too-large", message="too large", bytes=b"")
    shop.writer.append(LETTERS, None, letter.encode())
    assert "they stand in customer-events, partition 2, position 7" in shop.run("show", "0:0")
    assert "1 still can not be used: too-large" in shop.run("replay", "--all", status=1)


def test_a_record_without_value_is_shown_and_stays(shop):
    shop.logs.writer().append(EVENTS, b"ann", b"")
    part = shop.logs.find(EVENTS).partitions
    for one in part:
        one.values = [None for _ in one.values]
    shop.work()
    assert "today: still empty: the record has no value (a tombstone)" in shop.run("show", shop.id_of("empty"))
    assert "(no bytes)" in shop.run("show", shop.id_of("empty"))


def test_dropped_letters_stay_dropped(full):
    assert "1 were dropped" in full.run("drop", full.id_of("future"))
    assert "2 were dropped" in full.run("drop", full.id_of("invalid"), full.id_of("not-json"))
    assert full.listed()["reasons"]["future"]["dropped"] == 1
    assert "future" not in {one["reason"] for one in full.listed()["newest"]}
    assert "0 were published again" in full.run("replay", full.id_of("future"))
    assert f"{len(BAD) - 3} were dropped" in full.run("drop", "--all")
    assert full.listed()["newest"] == []


def test_more_letters_than_are_published_at_once(shop):
    """They are marked in a few records, and one that may not be replayed between them stays."""
    for n in range(AT_ONCE + 10):
        letter = DeadLetter(
            log=EVENTS,
            partition=0,
            offset=n,
            reason="x",
            message="m",
            bytes=base64.b64encode(purchase(f"e{n}") if n != 5 else b"{}"),
        )
        shop.writer.append(LETTERS, None, letter.encode())
    done = DeadLetters(shop.deployment).replay(Selection(), shop.now)
    assert (done.done, done.refused.total()) == (AT_ONCE + 9, 1)
    marks = [
        SettledLetters.model_validate_json(value)
        for batch in shop.logs.read_all(LETTERS)
        for key, value in zip(batch.keys, batch.values, strict=True)
        if key == SETTLED
    ]
    assert [mark.letters for mark in marks] == [((0, 4), (6, AT_ONCE)), ((AT_ONCE + 1, AT_ONCE + 9),)]
    assert shop.work().figures.events == {"purchase": AT_ONCE + 9}


# ---- the log ----


@given(st.lists(st.sampled_from(["keep", "settle", "flush"]), max_size=40), st.lists(st.booleans(), max_size=40))
def test_exactly_what_was_settled_is_settled(first, second):
    """Over two rounds, with flushes anywhere between."""
    logs = MemoryLogs()
    logs.create(LogSpec(LETTERS, 1))
    writer = logs.writer()
    steps = [one for one in first if one != "flush"]
    for n in range(len(steps)):
        letter = DeadLetter(log=EVENTS, partition=0, offset=n, reason="x", message="m", bytes=b"")
        writer.append(LETTERS, None, letter.encode())
    expected = {}
    settling = Settling(writer, LETTERS, "dropped", DAY)
    position = 0
    for step in first:
        if step == "flush":
            settling.flush()
            continue
        one = LetterId(0, position)
        position += 1
        expected[one] = "dropped" if step == "settle" else "open"
        (settling.settle if step == "settle" else settling.leave)(one)
    settling.flush()
    again = Settling(writer, LETTERS, "replayed", DAY)
    for (one, fate), wanted in zip(list(expected.items()), second, strict=False):
        if wanted and fate == "open":
            expected[one] = "replayed"
            again.settle(one)
        else:
            again.leave(one)
    again.flush()
    assert {one.id: one.fate for one in read_letters(logs, LETTERS, read_fates(logs, LETTERS))} == expected


def test_marks_of_a_newer_version_are_passed_over():
    logs = MemoryLogs()
    logs.create(LogSpec(LETTERS, 1))
    logs.writer().append(LETTERS, SETTLED, b'{"v":2,"fate":"sold"}')
    assert list(read_letters(logs, LETTERS, read_fates(logs, LETTERS))) == []


@given(st.builds(LetterId, st.integers(0, 999), st.integers(0, 2**106)))
def test_an_id_reads_as_it_is_written(one):
    assert LetterId.parse(str(one)) == one


@pytest.mark.parametrize("text", ["", "1", "1:", ":1", "1:2:3", "a:1", "1:-", "1:2-", "-1:2", "1:٣", "1:" + "9" * 30])
def test_what_is_no_id(text):
    with pytest.raises(LetterIdError):
        LetterId.parse(text)


@given(st.binary(max_size=300))
def test_any_bytes_can_be_shown(value):
    assert all(one.isprintable() or one == "\n" for one in readable(value))
