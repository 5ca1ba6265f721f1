"""`livesegments webhooks run` as a process: real Kafka and Redis, a real receiver; killed, kept waiting, refused."""

import contextlib
import json
import signal
import ssl
import subprocess
import sys
import threading
import time

import pytest
from typer.testing import CliRunner

from livesegments.app import open_ledger
from livesegments.cli import app
from livesegments.sources import load_settings
from tests.deployment import Deployment
from tests.kinds import purchase_event
from tests.servers.secured import Certificates, clean_environment
from tests.webhook_receiver import SECRET, Receiver, Reply, change

SECONDS = 120.0
OLD_SECRET = "whsec_" + "b2xkLXNlY3JldC1vZi10aGUtcmVjZWl2ZXItdGVzdHM="


class Shop:
    """A deployment, and what settings the process is given."""

    def __init__(self, deployment, endpoints, **more):
        self.deployment = deployment
        self.settings = {
            "redis_url": deployment.redis_url,
            "log_url": deployment.log_url,
            "key_prefix": deployment.tag,
            "log_prefix": f"{deployment.tag}-",
            "group": deployment.tag,
            # Whoever was killed is missed after so long.
            "session_timeout": "6s",
            "webhooks": json.dumps(endpoints),
            **more,
        }
        self.environment = {
            **clean_environment(),
            "SHOP_SECRET": f"{SECRET} {OLD_SECRET}",
            "LIVESEGMENTS_LOG_FORMAT": "json",
            **{f"LIVESEGMENTS_{name.upper()}": value for name, value in self.settings.items()},
        }
        self.said = []

    def start(self) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "livesegments", "webhooks", "run"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._drain = threading.Thread(target=lambda: self.said.extend(process.stderr))
        self._drain.start()
        return process

    @contextlib.contextmanager
    def running(self):
        process = self.start()
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0, "".join(self.said)
        finally:
            process.kill()
            process.wait()
            self._drain.join(SECONDS)

    def call(self, *arguments: str):
        """A command, in this process."""
        return CliRunner().invoke(app, ["webhooks", *arguments], env=self.environment)

    def publish(self, *values: bytes, key: bytes | None = None) -> None:
        with self.deployment.writer() as writer:
            for value in values:
                whom = json.loads(value)["customer_id"].encode() if key is None else key
                writer.append(self.deployment.names.changes, whom, value)
            writer.flush(SECONDS)

    def wait_for(self, name, wanted):
        settings = load_settings(flags={**self.settings, "webhooks": "{}"}).settings
        deadline = time.monotonic() + SECONDS
        with open_ledger(settings) as ledger:
            while not wanted(kept := ledger.kept(name)):
                assert time.monotonic() < deadline, (kept, "".join(self.said))
                time.sleep(0.02)
        return kept


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(params=["kafka", "cluster"])
def deployment(request, redis_url, unique):
    if request.param == "kafka":
        return Deployment(f"kafka://{request.getfixturevalue('kafka_bootstrap')}", redis_url, unique, partitions=3)
    one = request.getfixturevalue("one_redis_url")
    return Deployment(one, request.getfixturevalue("cluster_url"), unique, partitions=1)


on_kafka = pytest.mark.parametrize("deployment", ["kafka"], indirect=True)


def to(receiver, **more):
    return {"url": receiver.url, "secrets": ["env:SHOP_SECRET"], **more}


def test_what_a_worker_says_arrives_signed_once_and_in_clear_nowhere(deployment, receiver):
    shop = Shop(deployment, {"crm": to(receiver, kinds=["moved"])}, log_level="debug")
    with shop.running():
        shop.wait_for("crm", lambda kept: kept.seen_at)
        with deployment.writer() as writer:
            for n in range(40):
                writer.append(deployment.names.events, f"c{n}".encode(), json.dumps(purchase_event(n)).encode())
            writer.flush(SECONDS)
        deployment.run()
        receiver.wait_for(lambda r: len(r.taken) == 40)
        receiver.answer = lambda _: Reply(400)
        shop.publish(change("bad", 1))
        shop.wait_for("crm", lambda kept: kept.letters == 1)
    assert not receiver.forged
    assert {one.headers["webhook-signature"].count("v1,") for one in receiver.taken} == {2}, "one by each secret"
    published = deployment.changes()
    assert {one.id: one.data for one in receiver.taken} == {
        one: json.loads(values[0]) for one, values in published.items() if one != "0-token-1"
    }
    assert sorted(receiver.ids()) == sorted(set(receiver.ids()))
    assert len(shop.said) > 3
    told = "".join(shop.said)
    for secret in (SECRET, OLD_SECRET, SECRET.removeprefix("whsec_"), "p4th-token"):
        assert secret not in told


@on_kafka
def test_killed_in_between_it_goes_on_and_repeats_have_their_ids(deployment, receiver):
    shop = Shop(deployment, {"crm": to(receiver)})

    def answer(_):
        time.sleep(0.002)
        return Reply()

    receiver.answer = answer
    process = shop.start()
    try:
        shop.wait_for("crm", lambda kept: len(kept.positions) == 3)
        shop.publish(*(change(f"c{n % 20}", n) for n in range(1200)))
        receiver.wait_for(lambda r: len(r.taken) >= 300)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process = shop.start()
        receiver.wait_for(lambda r: len({one.id for one in r.taken}) == 1200)
        shop.wait_for("crm", lambda kept: sum(kept.positions.values()) == 1200)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    assert set(receiver.ids()) == {f"0-token-{n}" for n in range(1200)}
    for customer in range(20):
        assert receiver.numbers(f"c{customer}") == list(range(customer, 1200, 20))
    by_id = {}
    for one in receiver.taken:
        assert by_id.setdefault(one.id, one.payload) == one.payload


@on_kafka
def test_one_that_is_slow_holds_up_nobody_and_one_that_refuses_has_dead_letters(deployment, receiver):
    held = threading.Event()
    with Receiver(lambda _: Reply(wait=held)) as slow, Receiver(lambda _: Reply(422)) as strict:
        endpoints = {"crm": to(receiver), "slow": to(slow), "strict": to(strict)}
        shop = Shop(deployment, endpoints)
        with shop.running():
            for name in endpoints:
                shop.wait_for(name, lambda kept: len(kept.positions) == 3)
            shop.publish(*(change(f"c{n}", n) for n in range(20)))
            receiver.wait_for(lambda r: len(r.taken) == 20)
            assert not slow.taken
            shop.wait_for("strict", lambda kept: kept.letters == 20)
            letters = json.loads(shop.call("list", "strict", "--limit", "3", "--json").stdout)
            assert [one["status"] for one in letters] == [422] * 3
            shown = shop.call("show", "strict", letters[0]["id"])
            assert '"customer_id": "c' in shown.stdout
            strict.answer = lambda _: Reply()
            assert shop.call("drop", "strict", letters[1]["id"]).stdout == "1 dropped\n"
            assert shop.call("replay", "strict", "--all").stdout.startswith("19 will be")
            shop.wait_for("strict", lambda kept: kept.letters == kept.again == 0)
            held.set()
            slow.wait_for(lambda r: len(set(r.ids())) == 20)
            states = {one["name"]: one for one in json.loads(shop.call("list", "--json").stdout)}
            assert {one["state"] for one in states.values()} <= {"delivering", "failing"}
            assert states["strict"]["given_up"] == 20
    assert len(strict.taken) == 19
    assert not strict.forged


def test_a_test_is_sent_over_tls_and_its_answer_is_shown(unique, tmp_path):
    certificates = Certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.of("server"))
    deployment = type("", (), {"redis_url": "redis://127.0.0.1:1/0", "log_url": "kafka://127.0.0.1:1", "tag": unique})
    with Receiver(lambda _: Reply(200, body=b"thanks"), tls=context) as receiver:
        shop = Shop(deployment, {"crm": to(receiver)})
        untrusted = shop.call("test", "crm")
        assert "its certificate is not trusted" in str(untrusted.exception)
        shop.environment["LIVESEGMENTS_WEBHOOK_CA_FILE"] = str(certificates.ca)
        done = shop.call("test", "crm")
        assert done.exit_code == 0
        assert "took it in: 200\nthanks" in done.stdout
        (request,) = receiver.taken
        assert request.payload["type"] == "test"
        assert not receiver.forged
        receiver.answer = lambda _: Reply(500, body=b"\x1b[31mno")
        refused = shop.call("test", "crm")
        assert "answered 500" in str(refused.exception)
        assert "\x1b" not in str(refused.exception)
        shop.environment["SHOP_SECRET"] = None
        assert "SHOP_SECRET is not set" in str(shop.call("test", "crm").exception)
        assert "no webhook 'mail'" in str(shop.call("test", "mail").exception)
