"""`livesegments audit`: what stands on the log `audit`, chosen and shown."""

import io

import pytest
from rich.console import Console

from contracts.times import DAY, SECOND, rfc3339
from dashboard.audit import AuditTrail
from dashboard.audit_reading import Wanted, hash_of
from livesegments.commands.audit import _table, acts
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
    ("wanted", "most", "found"),
    [
        (Wanted(), 9, ["export", "erase", "rename"]),
        (Wanted(by="bob"), 9, ["erase", "rename"]),
        (Wanted(by="bob", act="erase"), 9, ["erase"]),
        (Wanted(customer=hash_of("ann")), 9, ["erase"]),
        (Wanted(since=rfc3339(NOW)[:19]), 9, ["erase", "rename"]),
        (Wanted(), 1, ["rename"]),
        (Wanted(by="nobody"), 9, []),
        (Wanted(until=rfc3339(NOW)[:19]), 9, ["export"]),
        (Wanted(since=rfc3339(NOW)[:10], until=rfc3339(NOW + DAY)[:10]), 9, ["erase", "rename"]),
    ],
)
def test_acts_are_chosen(logs, wanted, most, found):
    assert [one["act"] for one in acts(logs, "audit", wanted, most)] == found


def test_what_is_shown_moves_no_terminal(logs):
    shown = io.StringIO()
    Console(file=shown, width=200).print(_table(acts(logs, "audit", Wanted(), 9)))
    assert "\x1b" not in shown.getvalue()
    assert "segment 3" in shown.getvalue()


def test_without_a_log_that_is_said():
    with pytest.raises(LogMissingError):
        acts(MemoryLogs(), "audit", Wanted(), 9)
