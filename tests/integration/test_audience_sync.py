"""`livesegments audience …` on a real Redis: what a marketer gets, and what becomes of somebody who is erased."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from livesegments.audience_sync.ledger import SyncLedger
from livesegments.cli import app
from online_model.rules import audiences
from tests.audience_receiver import FolderReceiver, rows_of
from tests.deployment import Deployment
from tests.kinds import purchase_event
from tests.servers.secured import clean_environment
from tests.webhook_receiver import SECRET, Receiver, Reply

SECONDS = 120.0
CONDITIONS = {"Tea & mugs": "spend > 1", "Nobody": "spend > 1e6"}


class Shop:
    """A deployment of twenty customers, and commands on it."""

    def __init__(self, redis_url, tag, folder):
        self.deployment = Deployment(redis_url, redis_url, tag, partitions=1)
        self.deployment.settings["audiences"] = audiences(CONDITIONS)
        self.exports = folder / "exports"
        self.exports.mkdir()
        self.environment = {
            **clean_environment(),
            "COLUMNS": "200",
            "CRM_SECRET": SECRET,
            "LIVESEGMENTS_LOG_FORMAT": "json",
            "LIVESEGMENTS_REDIS_URL": redis_url,
            "LIVESEGMENTS_KEY_PREFIX": tag,
            "LIVESEGMENTS_LOG_PREFIX": f"{tag}-",
            "LIVESEGMENTS_GROUP": tag,
            "LIVESEGMENTS_CLOCK": "event",
            "LIVESEGMENTS_CONSENT_UNKNOWN": "true",
            "LIVESEGMENTS_AUDIENCES": json.dumps(CONDITIONS),
            "LIVESEGMENTS_AUDIENCE_SYNC_FOLDER": str(folder / "kept"),
        }

    def publish(self, *events):
        with self.deployment.writer() as writer:
            for one in events:
                writer.append(self.deployment.names.events, one["customer_id"].encode(), json.dumps(one).encode())
            writer.flush(SECONDS)
        self.deployment.run()

    def call(self, *arguments, status=0):
        done = CliRunner().invoke(app, ["audience", *arguments], env=self.environment)
        assert done.exit_code == status, (done.output, done.exception)
        return done.output if status == 0 else f"{done.output}{done.exception}"


@pytest.fixture
def shop(one_redis_url, unique, tmp_path):
    shop = Shop(one_redis_url, unique, tmp_path)
    shop.publish(*(purchase_event(n) for n in range(20)))
    return shop


def test_a_folder_and_an_endpoint_know_who_is_in_an_audience_until_somebody_is_erased_or_refuses(shop):
    receiver = FolderReceiver(shop.exports, "Tea & mugs")
    with Receiver() as crm:
        to = (
            "sync",
            "Tea & mugs",
            "--to",
            str(shop.exports),
            "--to",
            crm.url,
            "--secret",
            "env:CRM_SECRET",
            "--rows",
            "8",
        )
        said = shop.call(*to)
        assert f"{shop.exports}: full 1, 20 customers; 20 in it" in said
        assert [len(one.data["members"]) for one in crm.taken] == [8, 8, 4]
        assert "p4th-token" not in said
        assert shop.call(*to).count("nothing has changed; 20 in it") == 2
        at = purchase_event(0)["occurred_at"]
        erase = {"type": "erase", "event_id": "x", "customer_id": "c3", "occurred_at": at}
        refuse = {"type": "profile", "event_id": "p", "customer_id": "c4", "occurred_at": at}
        shop.publish(erase, purchase_event(30), {**refuse, "attributes": {"marketing_consent": False}})
        crm.answer = lambda _: Reply(400)
        said = shop.call(*to, status=1)
        assert "answered 400; what is due stays" in said
        receiver.follow()
        assert receiver.members == {f"c{n}" for n in (*range(20), 30)} - {"c3", "c4"}
        manifest = json.loads(next(shop.exports.glob("*.manifest.json")).read_text())
        assert manifest["deliveries"][-1]["left_out"] == {"refused": 1, "unknown": 0, "no_contact": 0}
        crm.answer = lambda _: Reply()
        said = shop.call(*to)
        assert "what was due: delta 2, 1 entered, 2 left; 19 in it" in said
        assert said.count("left out: 1 refused to be written to\n") == 2
        assert [one["customer_id"] for one in crm.taken[-1].data["left"]] == ["c3", "c4"]
        assert not crm.forged
    ledgers = list((shop.exports.parent / "kept").iterdir())
    assert len(ledgers) == 2
    for one in ledgers:
        with SyncLedger(one) as ledger:
            assert set(ledger.members()) == receiver.members
    shop.environment["LIVESEGMENTS_CONSENT_UNKNOWN"] = "false"
    folder = to[:4]
    said = shop.call(*folder)
    assert "delta 3, 19 left; 0 in it" in said
    assert "left out: 1 refused to be written to, of 19 it is not known whether they agreed" in said
    assert "delta 4, 20 entered; 20 in it" in shop.call(*folder, "--no-consent")


def test_syncs_of_the_settings(shop):
    table = {"audience": "Tea & mugs", "to": str(shop.exports), "preset": "klaviyo", "contact": "customer_id"}
    shop.environment["LIVESEGMENTS_AUDIENCE_SYNCS"] = json.dumps(
        {"mail": table, "all": {"audience": "Tea & mugs", "to": str(shop.exports)}}
    )
    assert [one["sequence"] for one in json.loads(shop.call("syncs", "--json"))] == [None, None]
    assert "not synced: mail" in shop.call("sync-run", "--once", status=1)
    assert len(rows_of(shop.exports / "all-000001-full.csv")) == 20
    assert not list(shop.exports.glob("mail*")), "ids that are no addresses are not an audience of nobody"
    listed = {one["name"]: one for one in json.loads(shop.call("syncs", "--json"))}
    assert (listed["all"]["members"], listed["all"]["due"], listed["mail"]["sequence"]) == (20, None, 0)
    assert "20" in shop.call("syncs")
    (ledger,) = Path(shop.environment["LIVESEGMENTS_AUDIENCE_SYNC_FOLDER"]).glob("all-*.sqlite")
    with SyncLedger(ledger):
        assert "under way" in shop.call("syncs"), "a sync that is at work hides no other"
    assert "there is no sync 'x'" in shop.call("sync-run", "x", status=1)
    process = subprocess.Popen(
        [sys.executable, "-m", "livesegments", "audience", "sync-run"],
        env=shop.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert "audience syncs start" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        assert process.wait(SECONDS) == 0
        assert "audience syncs stopped" in said
        assert "audience synced" not in said, "done a moment ago, and due in a day"
    finally:
        process.kill()
        process.wait()


def test_mistakes_say_what_to_do(shop):
    to = ("--to", str(shop.exports))
    assert "the settings name no audience 'Tee'; there are: Tea & mugs, Nobody" in shop.call(
        "sync", "Tee", *to, status=1
    )
    assert "make it" in shop.call("sync", "Nobody", "--to", str(shop.exports / "x"), status=1)
    assert "no preset 'hubspot'" in shop.call("sync", "Nobody", *to, "--preset", "hubspot", status=1)
    assert 'expected "Header=source"' in shop.call("sync", "Nobody", *to, "--column", "x", status=1)
    assert "name at least one" in shop.call("sync", "Nobody", "--to", "https://x.example", status=1)
    assert "no syncs are set" in shop.call("syncs", status=1)
    assert "0 customers; 0 in it" in shop.call("sync", "Nobody", *to)
    said = shop.call("sync", "Tea & mugs", *to, "--preset", "brevo", status=1)
    assert "none of the 20 members of Tea & mugs can be handed on" in said
    assert "20 have no usable attributes.email" in said
    shop.environment["LIVESEGMENTS_KEY_PREFIX"] = "elsewhere"
    assert "no worker has counted the audience 'Nobody' yet" in shop.call("sync", "Nobody", *to, status=1)
