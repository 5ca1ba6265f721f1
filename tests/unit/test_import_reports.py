"""What imports and replays came to: kept for a page, one for each set of files, without a word of their rows."""

import itertools
import json

import pytest

from consumer.memory_state import MemoryState
from consumer.state import StateUnavailableError
from contracts.documents import ImportReport, LeftOut
from contracts.times import SECOND, from_micros
from dashboard.pages.import_table import import_table, reasons
from livesegments import import_reports
from livesegments.import_reports import KEPT, Source, read_reports, reported
from livesegments.settings import Settings
from producer.summary import Place, ReplaySummary

NOW = 1_790_000_000 * SECOND
ORDERS = Source(command="import", files=["orders.csv"])
SUMMARY = ReplaySummary(
    rows=12,
    orders=7,
    skipped={"zero quantity": 1, "no item": 3, "single attributes": 2},
    first_skipped={"zero quantity": Place("orders.csv", 9), "no item": Place("orders.csv", 2)},
    refused=1,
)
LEFT_OUT = (
    LeftOut(reason="no item", rows=3, file="orders.csv", row=2),
    LeftOut(reason="single attributes", rows=2),
    LeftOut(reason="zero quantity", rows=1, file="orders.csv", row=9),
)


@pytest.fixture
def state(monkeypatch):
    """In memory; each look at the clock is a second later than the one before."""
    kept = MemoryState()
    clock = itertools.count(NOW, SECOND)
    monkeypatch.setattr(import_reports, "RedisState", lambda *_: kept)
    monkeypatch.setattr(import_reports, "wall_micros", lambda: next(clock))
    return kept


def publish(source=ORDERS, summary=SUMMARY, sent=7, tell=pytest.fail):
    with reported(source, summary, 7, Settings(), tell) as report:
        report(sent)


def test_a_run_is_told_of_while_it_goes_on_and_at_its_end(state):
    with reported(ORDERS, SUMMARY, 7, Settings(), pytest.fail) as report:
        report(3)
        [told] = read_reports(state)
        assert (told.outcome, told.events, told.published) == ("publishing", 7, 0), "not for each event anew"
        report(7)
    [told] = read_reports(state)
    assert (told.outcome, told.published, told.rows, told.refused) == ("done", 7, 12, 1)
    assert told.left_out == LEFT_OUT
    assert told.started_at < told.at


def test_while_it_lasts_it_is_told_again(state, monkeypatch):
    monkeypatch.setattr(import_reports, "EVERY", 0.0)
    with reported(ORDERS, SUMMARY, 7, Settings(), pytest.fail) as report:
        report(3)
        assert read_reports(state)[0].published == 3


def test_the_same_files_again_take_the_place_of_what_was_there(state):
    publish()
    publish(sent=5)
    publish(Source(command="replay", files=["orders.csv"]))
    publish(Source(command="import", files=["b.csv", "a.csv"]))
    publish(Source(command="import", files=["a.csv", "b.csv"], who="anna"))
    assert [(one.command, one.files, one.published) for one in read_reports(state)] == [
        ("import", ("a.csv", "b.csv"), 7),
        ("replay", ("orders.csv",), 7),
        ("import", ("orders.csv",), 5),
    ]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_one_that_is_stopped_says_so(state, error):
    def stopped(sent):
        report(sent)
        raise error

    with pytest.raises(error), reported(ORDERS, SUMMARY, 7, Settings(), pytest.fail) as report:
        stopped(2)
    [told] = read_reports(state)
    assert (told.outcome, told.published) == ("stopped", 2)


def test_the_newest_are_kept_and_what_nobody_can_read_goes_first(state):
    state.put_import("later", b'{"v": 2}')
    for number in range(KEPT + 2):
        publish(Source(command="import", files=[f"{number}.csv"]))
    assert [one.files[0] for one in read_reports(state)] == [f"{n}.csv" for n in range(KEPT + 1, 1, -1)]
    assert len(state.imports()) == KEPT


def test_of_very_many_files_some_are_named(state):
    publish(Source(command="import", files=[f"{n}.csv" for n in range(25)]))
    [told] = read_reports(state)
    assert (len(told.files), told.more_files) == (10, 15)
    assert "9.csv and 15 more" in json.dumps(import_table([told], NOW, names=True).to_plotly_json(), default=plain)


def test_a_redis_that_is_away_stops_nothing_and_is_said_once(state, monkeypatch):
    tries = []

    def away(*_):
        tries.append(None)
        raise StateUnavailableError("Redis: away")

    monkeypatch.setattr(state, "put_import", away)
    monkeypatch.setattr(import_reports, "EVERY", 0.0)
    said = []
    with reported(ORDERS, SUMMARY, 7, Settings(), said.append) as report:
        for sent in range(8):
            report(sent)
    assert len(tries) == 2, "in the beginning, and once more at the end"
    assert said == ["the page Data will not tell of this (Redis: away): it is told here alone"]


# ---- on the page ----


def plain(component):
    return component.to_plotly_json()


def page(now=NOW, *, names=False, **changed):
    report = {
        "command": "import",
        "files": ("<b>.csv",),
        "who": "anna",
        "started_at": from_micros(NOW),
        "at": from_micros(NOW),
        "outcome": "done",
        "rows": 12,
        "events": 7,
        "published": 7,
        "left_out": LEFT_OUT,
    }
    return json.dumps(import_table([ImportReport(**report | changed)], now, names=names), default=plain)


def test_names_of_keys_are_for_whoever_may_see_who_did_what():
    assert "Imported by page, 21 Sep 2026" in page()
    assert "Imported by page by anna" in page(names=True)
    assert "Imported by page, " in page(names=True, who="")
    assert "Replayed on the command line" in page(names=True, who=None, command="replay")


def test_how_far_one_came_is_told_in_words():
    assert '"events, from 12 rows"' in page()
    assert '"of 7 events, from 12 rows"' in page(outcome="publishing", published=3)
    assert "of 7 events, from 12 rows; silent for 2 min" in page(NOW + 130 * SECOND, outcome="publishing", published=3)
    assert "of 7 events, from 12 rows; then it was stopped" in page(outcome="stopped", published=3)


def test_what_was_left_out_is_told_by_reason_with_the_first_place():
    told = page()
    assert '"3: no item"' in told
    assert " (first: row 2 of orders.csv)" in told
    assert " more" not in told
    assert "nothing" in page(left_out=())
    many = tuple(LeftOut(reason=f"r{n}", rows=1) for n in range(5))
    assert '"3 more"' in page(left_out=many, refused=4)


def test_reasons_are_added_up_over_all_runs():
    report = ImportReport(
        command="import",
        files=("a.csv",),
        started_at=from_micros(NOW),
        at=from_micros(NOW),
        outcome="done",
        rows=12,
        events=7,
        published=7,
        left_out=LEFT_OUT,
        refused=2,
    )
    assert reasons([report, report]) == {
        "No item": 6,
        "Single attributes": 4,
        "Orders that no event can be": 4,
        "Zero quantity": 2,
    }
