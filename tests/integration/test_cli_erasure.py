"""Dead letters and erasure with proof, by the installed command on real servers, with both logs."""

import json
from contextlib import closing

import pytest

from logs.base import LogSpec
from logs.open import open_logs
from producer.publisher import EventPublisher
from tests.integration.test_cli import shell  # noqa: F401 - a fixture
from tests.servers.secured import kafka_security_of_tests

WHO = "customer-0017-a"


def publish(shell, *values: bytes) -> None:  # noqa: F811
    """Bytes as they are, onto the events log."""
    environment = shell.environment
    name = f"{environment['LIVESEGMENTS_LOG_PREFIX']}customer-events"
    with (
        closing(open_logs(environment["LIVESEGMENTS_LOG_URL"], security=kafka_security_of_tests())) as logs,
        closing(logs.writer()) as writer,
    ):
        logs.create(LogSpec(name, 4))
        for value in values:
            writer.append(name, WHO.encode(), value).result(30)


def purchase(event_id: str, **more) -> bytes:
    line = {"item_id": "tea", "quantity": 1, "unit_price": 2.5}
    event = {
        "type": "purchase",
        "event_id": event_id,
        "customer_id": WHO,
        "occurred_at": "2024-01-01T00:00:00Z",
        "order_id": event_id,
        "lines": [line],
        "currency": "GBP",
    }
    return json.dumps(event | more).encode()


def counts(listed: dict) -> dict:
    """Open, replayed and dropped letters by reason."""
    return {reason: (one["open"], one["replayed"], one["dropped"]) for reason, one in listed["reasons"].items()}


def test_dead_letters_are_listed_shown_replayed_and_dropped(shell):  # noqa: F811
    publish(shell, b"{not json", purchase("1", currency="EUR"), purchase("2"), purchase("3", v=7))
    shell.run("worker", "--until-idle", "1s")
    found = json.loads(shell.run("dead-letters", "list", "--json"))
    assert counts(found) == {"not-json": (1, 0, 0), "currency": (1, 0, 0), "newer-version": (1, 0, 0)}
    (letter,) = [one["id"] for one in found["newest"] if one["reason"] == "currency"]

    rates = ("--rates", '{"EUR": {"2020-01-01": "0.5"}}')
    shown = shell.run("dead-letters", "show", letter, *rates)
    assert '"currency": "EUR"' in shown
    assert "it can be replayed" in shown
    replayed = shell.run("dead-letters", "replay", "--all", *rates, status=1)
    assert "1 were published again" in replayed
    assert "1 still can not be used: newer-version" in replayed
    assert "1 were replayed or dropped before" in shell.run("dead-letters", "replay", letter, *rates)
    assert "2 were dropped" in shell.run("dead-letters", "drop", "--all")
    shell.run("worker", "--until-idle", "1s", *rates)
    assert json.loads(shell.run("show", WHO, "--json"))["row"]["spend"] == 3.75
    found = json.loads(shell.run("dead-letters", "list", "--json"))
    assert counts(found) == {"not-json": (0, 0, 1), "currency": (0, 1, 0), "newer-version": (0, 0, 1)}


def test_an_erasure_is_proved(shell):  # noqa: F811
    publish(shell, purchase("1"), purchase("2", v=7), purchase("3", customer_id="bob"))
    with shell.start("worker") as worker:
        worker.wait_for("partition claimed")
        told = shell.run("erase", WHO, "--verify", "--json")  # and a line on stderr
        found, _ = json.JSONDecoder().raw_decode(told, told.index("{"))
        assert worker.end() == 0
    assert (found["clean"], found["left"], found["dead_letters_dropped"]) == (True, [], 1)
    held = {one["log"].rpartition("-")[2]: one for one in found["logs"]}
    assert held["letters"]["records"] == 1
    assert held["letters"]["kept_until"].startswith("20")
    assert "nothing is left" in shell.run("erase", WHO, "--only-verify")
    assert "left: a view" in shell.run("erase", "bob", "--only-verify", status=1)
    assert counts(json.loads(shell.run("dead-letters", "list", "--json"))) == {"newer-version": (0, 0, 1)}


@pytest.mark.parametrize("shell", ["kafka"], indirect=True)
def test_events_of_the_past_published_again_resurrect_nobody(shell):  # noqa: F811
    publish(shell, purchase("1"), purchase("3", customer_id="bob"))
    environment = shell.environment
    with (
        closing(open_logs(environment["LIVESEGMENTS_LOG_URL"], security=kafka_security_of_tests())) as logs,
        EventPublisher(logs, log=f"{environment['LIVESEGMENTS_LOG_PREFIX']}customer-events", partitions=4) as publisher,
    ):
        publisher.erase(customer_id=WHO, occurred_at="2024-01-02T00:00:00Z")
    publish(shell, purchase("1"), purchase("late", occurred_at="2024-01-01T12:00:00Z"))
    shell.run("worker", "--until-idle", "1s")
    found = shell.run("erase", WHO, "--only-verify")
    assert "nothing is left" in found
    assert "until for ever" in found
    # From the beginning, into fresh keys.
    prefix = environment["LIVESEGMENTS_KEY_PREFIX"]
    environment |= {"LIVESEGMENTS_KEY_PREFIX": f"{prefix}-again", "LIVESEGMENTS_GROUP": f"{prefix}-again"}
    shell.run("worker", "--until-idle", "1s")
    assert "nothing is left" in shell.run("erase", WHO, "--only-verify")
    assert json.loads(shell.run("show", "bob", "--json"))["known"]
