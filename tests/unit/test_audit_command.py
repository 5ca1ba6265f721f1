"""`livesegments audit`: what stands on the log `audit`, chosen and shown."""

import io

import pytest
from rich.console import Console

from contracts.times import DAY, SECOND, rfc3339
from dashboard.audit import AuditTrail
from livesegments.commands.audit import _table, acts, hash_of
from logs.base import LogMissingError, LogSpec
from logs.memory import MemoryLogs

NOW = 20_000 * DAY


@pytest.fixture
def logs():
    logs = MemoryLogs()
    logs.create(LogSpec("audit", 1))
    writer = logs.writer()
    trail = AuditTrail(writer, "audit")
    trail.note(NOW - 2 * DAY, "anna", "export", "/export/customers.csv")
    trail.note(NOW, "bob", "erase", "POST /events", "ann")
    for odd in (b"no JSON", b"[]", b'{"at":1}', b"[" * 5000):
        writer.append("audit", None, odd).result()
    trail.note(NOW + SECOND // 2, "bob", "rename", "segment 3\x1b[31m")
    return logs


@pytest.mark.parametrize(
    ("wanted", "since", "most", "found"),
    [
        ({}, None, 9, ["export", "erase", "rename"]),
        ({"by": "bob"}, None, 9, ["erase", "rename"]),
        ({"by": "bob", "act": "erase"}, None, 9, ["erase"]),
        ({"customer": hash_of("ann")}, None, 9, ["erase"]),
        ({}, NOW, 9, ["erase", "rename"]),
        ({}, None, 1, ["rename"]),
        ({"by": "nobody"}, None, 9, []),
    ],
)
def test_acts_are_chosen(logs, wanted, since, most, found):
    since = since and rfc3339(since)[:19]
    assert [one["act"] for one in acts(logs, "audit", wanted, since, most)] == found


def test_what_is_shown_moves_no_terminal(logs):
    shown = io.StringIO()
    Console(file=shown, width=200).print(_table(acts(logs, "audit", {}, None, 9)))
    assert "\x1b" not in shown.getvalue()
    assert "segment 3" in shown.getvalue()


def test_without_a_log_that_is_said():
    with pytest.raises(LogMissingError):
        acts(MemoryLogs(), "audit", {}, None, 9)
