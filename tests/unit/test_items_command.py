"""`livesegments items`: what a person reads of what was learnt about items."""

import json
import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from consumer.memory_state import MemoryState
from consumer.patience import Patience
from contracts.times import DAY, EPOCH
from livesegments.app import Deployment, create_logs, open_worker
from livesegments.commands import items
from livesegments.settings import Settings
from logs.memory import MemoryLogs
from producer.publisher import EventPublisher
from recommender.store import MemoryViews
from tests.in_process import START
from tests.unit.test_items_learnt import two_tastes


@pytest.fixture
def asked(monkeypatch):
    """The command on a deployment in memory, with or without purchases."""
    chosen = Settings(clock="event", partitions=2, review_inline=True)
    now = START + 30 * DAY
    deployment = Deployment(chosen, MemoryLogs(lambda: now), MemoryState(), MemoryViews(lambda: now))
    create_logs(chosen, deployment.logs)

    @contextmanager
    def opened(_):
        yield deployment

    monkeypatch.setattr(items, "open_deployment", opened)
    monkeypatch.setenv("COLUMNS", "100")

    def ask(*options, buying=True):
        if buying and deployment.state.item_model() is None:
            with EventPublisher(deployment.logs, partitions=2) as publisher:
                for one in two_tastes():
                    publisher.publish(one)
            with open_worker(deployment, Patience(threading.Event())) as worker:
                worker.run(until_idle=0.3)
        return CliRunner().invoke(items.app, list(options))

    return ask


def test_what_was_learnt_and_how_it_is_blended(asked):
    said = asked().output
    assert "8 items, 120 customers" in said
    assert "again_half_life" in said
    assert "are needed to tune" in said
    told = json.loads(asked("--json").output)
    assert (told["items"], told["customers"]) == (8, 120)
    assert told["version"] >= 1
    assert told["blend"]["again_half_life"] == 365
    assert told["as_of"] == (EPOCH + timedelta(microseconds=START + 119 * 3_600_000_000)).isoformat().replace(
        "+00:00", "Z"
    )


def test_what_goes_with_an_item(asked):
    rows = asked("spade").output.splitlines()
    assert {row.split()[0] for row in rows[1:4]} == {"seeds", "gloves", "hose"}
    told = json.loads(asked("spade", "--json").output)
    assert told["item_id"] == "spade"
    assert [score for _, score in told["items"]] == sorted((score for _, score in told["items"]), reverse=True)


def test_an_item_that_nobody_bought_is_named(asked):
    answer = asked("unicorn")
    assert answer.exit_code != 0
    assert "nothing has been learnt about unicorn" in str(answer.exception)


def test_before_there_are_purchases(asked):
    assert "nothing has been learnt about items yet" in asked(buying=False).output
    assert json.loads(asked("--json", buying=False).output) == {"version": 0}
