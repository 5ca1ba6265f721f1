"""What settings say of audience syncs, and when each is due."""

import json

import pytest
from prometheus_client import CollectorRegistry

from contracts.errors import LivesegmentsError
from contracts.times import DAY, HOUR, MINUTE, SECOND
from livesegments.audience_sync.contacts import LeftOut
from livesegments.audience_sync.ledger import LedgerBusyError
from livesegments.audience_sync.running import Schedule, told
from livesegments.audience_sync.syncing import Synced
from livesegments.audience_sync.syncs import read_syncs
from livesegments.monitoring.audience_syncs import SyncMetrics
from livesegments.parts import syncs
from livesegments.sources import SettingsError, load_settings, shown

AUDIENCES = '{"Big": "spend > 1000"}'


def load(table, **more):
    flags = {"audiences": AUDIENCES, "audience_syncs": json.dumps({"crm": table}), **more}
    return load_settings(flags=flags).settings


def test_every_word_arrives():
    settings = load(
        {
            "audience": "Big",
            "to": "https://crm.example/secret-path",
            "preset": "brevo",
            "contact": "customer_id",
            "columns": {"CITY": "attributes.city"},
            "every": "6h",
            "full_every": "7d",
            "secrets": ["env:CRM"],
            "rows": 50,
            "consent": False,
        },
        audience_sync_folder="/kept",
    )
    one = syncs(settings)["crm"]
    assert (one.audience, one.to.url, one.preset) == ("Big", "https://crm.example/secret-path", "brevo")
    assert (one.shape.headers, one.shape.source) == (("EMAIL", "CITY"), "customer_id")
    assert (one.every, one.full_every, one.rows, one.to.secrets) == (6 * HOUR, 7 * DAY, 50, ("env:CRM",))
    assert not one.consent
    assert one.ledger(settings.audience_sync_folder, "a").parent.name == "kept"
    assert one.ledger(settings.audience_sync_folder, "a") != one.ledger(settings.audience_sync_folder, "b")
    assert (
        "secret-path" not in f"{one!r} {one.shown_to} {shown('audience_syncs', settings.audience_syncs)} {settings!r}"
    )
    assert shown("audience_syncs", {"x": {"to": "/exports"}}) == "{x: /exports}"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("x", "audience_syncs.crm"),
        ({"to": "/x"}, "audience_syncs.crm.audience: expected a text"),
        ({"audience": "Big"}, "audience_syncs.crm.to: expected a text"),
        ({"audience": "Huge", "to": "/x"}, "'Huge' is not among audiences"),
        ({"audience": "Big", "to": "/x", "by": "mail"}, "'by' is not known"),
        ({"audience": "Big", "to": "/x", "preset": "hubspot"}, "no preset 'hubspot'"),
        ({"audience": "Big", "to": "/x", "columns": ["a"]}, "crm.columns: expected a table"),
        ({"audience": "Big", "to": "/x", "columns": {"a": "b"}}, "columns.a: expected attributes.NAME"),
        ({"audience": "Big", "to": "/x", "every": "daily"}, "crm.every: expected a duration"),
        ({"audience": "Big", "to": "/x", "every": "0"}, "crm.every: expected 1m at least"),
        ({"audience": "Big", "to": "/x", "every": "1s"}, "crm.every: expected 1m at least"),
        ({"audience": "Big", "to": "/x", "rows": 0}, "crm.rows: expected a whole number"),
        ({"audience": "Big", "to": "/x", "consent": "no"}, "crm.consent: expected true or false"),
        ({"audience": "Big", "to": "/x", "secrets": ["env:X"]}, "files are not signed"),
        ({"audience": "Big", "to": "https://x"}, "crm.secrets: name at least one"),
        ({"audience": "Big", "to": "https://x", "secrets": ["whsec_abc"]}, "where secrets stand"),
        ({"audience": "Big", "to": "http://x", "secrets": ["env:X"]}, "unencrypted"),
        ({"audience": "Big", "to": "ftp://x", "secrets": ["env:X"]}, "crm.to: expected https://host/path"),
    ],
)
def test_what_can_not_be_used_is_one_line(table, said):
    with pytest.raises(SettingsError) as caught:
        load(table)
    assert said in str(caught.value)
    assert "abc" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_each_is_done_when_it_is_due_and_a_failure_holds_up_no_other():
    table = {"audience": "Big", "to": "/x", "every": "1h"}
    chosen = read_syncs({"a": table, "b": {**table, "every": "2h"}}, plain_http=False)
    done, broken = [], set()

    def run(one):
        if one.name in broken:
            raise LivesegmentsError("it does not answer")
        done.append(one.name)
        return Synced(None, None, 3, LeftOut())

    start = 100 * DAY
    schedule = Schedule(chosen, {"a": start, "b": None}, run)
    assert schedule.work(start) == []
    assert done == ["b"]
    assert schedule.next_due == start + HOUR
    broken.add("a")
    assert schedule.work(start + HOUR) == ["a"]
    assert schedule.next_due == start + HOUR + MINUTE
    assert schedule.work(start + HOUR + MINUTE) == ["a"]
    assert schedule.next_due == start + HOUR + 3 * MINUTE
    for _ in range(12):
        schedule.work(schedule.next_due)
    assert done.count("b") > 1
    assert figure(schedule, "last_timestamp_seconds", sync="a") == start // SECOND
    assert figure(schedule, "failures", sync="a") > 5
    broken.clear()
    at = schedule.next_due
    while "a" not in done:
        schedule.work(schedule.next_due)
        assert schedule.next_due <= at + 3 * HOUR
        at = schedule.next_due
    assert figure(schedule, "failures", sync="a") == 0
    assert figure(schedule, "members", sync="a") == 3


def figure(schedule, name, **labels):
    metrics, registry = SyncMetrics(), CollectorRegistry()
    metrics.look(schedule)
    registry.register(metrics)
    return registry.get_sample_value(f"livesegments_audience_sync_{name}", labels)


def test_who_is_busy_is_tried_again():
    chosen = read_syncs({"a": {"audience": "Big", "to": "/x"}}, plain_http=False)

    def busy(_):
        raise LedgerBusyError("another process does this sync now")

    assert Schedule(chosen, {}, busy).work(1) == ["a"]
    assert told(Synced(None, None, 3, LeftOut(no_contact=2))) == {"members": 3, "left_out_no_contact": 2}
