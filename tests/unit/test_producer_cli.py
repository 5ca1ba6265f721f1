"""What the user sees of a replay and of a simulation."""

import io

import pytest
from rich.console import Console

from contracts.events import parse_event
from contracts.keys import LogNames
from contracts.times import SECOND
from logs.memory import MemoryLogs
from producer.cli import run_replay, run_simulate
from producer.mapping import MappingRequest
from producer.shop import ShopSettings

NOW = 1_770_000_000 * SECOND
TABLE = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,a,x,2,2011-01-31 23:30,1.50,17850,UK
1,b,x,1,2011-01-31 23:30,-1,17850,UK
C2,a,x,-1,2011-02-01 00:30,1.50,17850,UK
3,a,x,1,2011-02-01 00:30,1.50,,UK
"""


@pytest.fixture
def logs():
    return MemoryLogs(now=lambda: NOW)


@pytest.fixture
def screen():
    return Console(file=io.StringIO(), width=120)


def published(logs):
    return [parse_event(value) for batch in logs.read_all(LogNames().events) for value in batch.values]


def test_a_replay_ends_with_its_totals(logs, screen, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    summary = run_replay(path, logs, now=NOW, console=screen, partitions=3)
    assert logs.describe(LogNames().events).partitions == 3
    assert [event.event_id for event in published(logs)] == ["1:purchase", "C2:return"]
    shown = screen.file.getvalue()
    for told in (
        "2 events of 1 customers (Online Retail)",
        "from 2011-01-31T23:30:00Z to 2011-02-01T00:30:00Z",
        "2011-01",
        "revenue GBP",
        "4 rows read, 2 used",
        "1 skipped: no customer (1 orders of guests)",
        "1 skipped: negative price",
    ):
        assert told in shown
    assert summary.events == 2


def test_a_replay_of_profiles_names_the_attributes(logs, screen, tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("id,Age,Annual Income (k$)\n1,20,15\n")
    run_replay(path, logs, now=NOW, request=MappingRequest({"customer_id": "id"}), console=screen)
    assert "1 profiles with age, annual_income" in screen.file.getvalue()
    assert [event.attributes for event in published(logs)] == [{"age": 20, "annual_income": 15}]


def test_a_simulation_publishes_its_past_then_its_present(logs, screen):
    settings = ShopSettings(now=NOW, customers=20)
    done = run_simulate(logs, settings, clock=lambda: NOW, rate=None, events=1_000, console=screen)
    assert done.history > 0
    assert done.live > 0
    assert done.history + done.live == len(published(logs)) == 1_000
    assert "1,000 events published" in screen.file.getvalue()


def test_a_simulation_may_end_within_its_past(logs, screen):
    done = run_simulate(logs, ShopSettings(now=NOW), clock=lambda: NOW, events=50, console=screen)
    assert (done.history, done.live, len(published(logs))) == (50, 0, 50)


@pytest.mark.parametrize("interrupt", [False, True])
def test_a_simulation_stops_when_told_and_says_what_was_published(logs, screen, interrupt):
    left = 30

    def stop():
        nonlocal left
        left -= 1
        if left <= 0 and interrupt:
            raise KeyboardInterrupt
        return left <= 0

    settings = ShopSettings(now=NOW, history_days=0)
    done = run_simulate(logs, settings, clock=lambda: NOW, rate=None, stop=stop, console=screen)
    assert 0 < done.live == len(published(logs)) < 30
