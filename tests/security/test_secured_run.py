"""The whole way from publishing to reading, with TLS, SCRAM and the printed access control lists; nothing is told."""

import json
import os
import shlex
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from contracts.events import Erase
from contracts.keys import Keys
from livesegments import EventPublisher
from logs.base import LogError, LogUnavailableError
from logs.kafka_log import KafkaLogs
from recommender.reader import CustomerReader
from recommender.store import ViewsUnavailableError
from tests.conftest import missing
from tests.servers import NoServerError
from tests.servers.secured import ADMIN, secured_servers

pytestmark = pytest.mark.slow

PREFIX = "locked"
WORKER, PRODUCER, READER, DASHBOARD = (f"{PREFIX}-{role}" for role in ("worker", "producer", "reader", "dashboard"))
NAMES = {"LIVESEGMENTS_KEY_PREFIX": PREFIX, "LIVESEGMENTS_LOG_PREFIX": f"{PREFIX}.", "LIVESEGMENTS_GROUP": PREFIX}


def livesegments(folder: Path, *arguments: str, env=None, status: int | None = 0) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIVESEGMENTS_")}
    done = subprocess.run(
        [sys.executable, "-m", "livesegments", *arguments],
        cwd=folder,
        env=clean | NAMES | {"COLUMNS": "200", "LIVESEGMENTS_PARTITIONS": "2"} | (env or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert status in {None, done.returncode}, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """Servers with the users that `livesegments acl` printed, word for word."""
    folder = tmp_path_factory.mktemp("secured")
    lines = livesegments(folder, "acl", "--log-url", "kafka://h:1", "--passwords", "secret").stdout.splitlines()
    passwords = {f"{PREFIX}-{role}": password for role, password in map(str.split, (folder / "secret").open())}
    passwords.setdefault(PRODUCER, "a-producers-passw0rd")
    try:
        with secured_servers(passwords, lines) as servers:
            for line in livesegments(folder, "acl", "--kafka").stdout.splitlines():
                words = shlex.split(line)
                servers.kafka.allow(words[words.index("--add") :])
            yield servers
    except NoServerError as error:
        missing(str(error))


@pytest.fixture(scope="module")
def said(secured, tmp_path_factory):
    """All that the commands of a run printed: published as the producer, worked as the worker, at level debug."""
    folder = tmp_path_factory.mktemp("run")
    worker, loud = secured.settings_of(WORKER), {"LIVESEGMENTS_LOG_LEVEL": "debug"}
    producer = {name: value for name, value in secured.settings_of(PRODUCER).items() if "REDIS" not in name}
    steps = {
        "simulate": livesegments(folder, "simulate", "--events", "800", "--customers", "80", env=producer | loud),
        "check": livesegments(folder, "check", env=worker),
        "worker": livesegments(folder, "worker", "--until-idle", "2s", "--clock", "event", env=worker | loud),
        "settings": livesegments(folder, "settings", env=worker),
        "segments": livesegments(folder, "segments", env=secured.settings_of(DASHBOARD)),
        "history": livesegments(folder, "history", env=secured.settings_of(DASHBOARD)),
    }
    return {name: done.stdout + done.stderr for name, done in steps.items()}


def test_a_run_from_publishing_to_reading(secured, said):
    assert "TLS, logged in as" in said["check"]
    assert "failed" not in said["check"]
    with redis.Redis.from_url(secured.redis_url(ADMIN)) as admin:
        views = [key.decode() for key in admin.scan_iter(f"{PREFIX}:customer:*", count=1000)]
    assert len(views) > 40
    with CustomerReader(secured.redis_url(READER), PREFIX, near_cache=True) as reader:
        listed = reader.segments()
        answer = reader.get(views[0].removeprefix(Keys(PREFIX).customer("")))
        assert answer.known
        assert listed is not None
        assert sum(segment.size for segment in listed.segments) >= len(views)
        assert all(segment.name in said["segments"] for segment in listed.segments if segment.size)


def test_no_password_is_told(secured, said):
    for name, text in said.items():
        assert text, name
        for password in secured.passwords.values():
            assert password not in text, name
    assert "**********" in said["settings"]


def test_each_may_do_its_own_only(secured):
    events = f"{PREFIX}.customer-events"
    only_publishes = KafkaLogs(secured.kafka.bootstrap, security=secured.kafka_security(PRODUCER))
    with closing(only_publishes), pytest.raises(LogError, match="does not allow"):
        only_publishes.read_all(events)
    with closing(KafkaLogs(secured.kafka.bootstrap, security=secured.kafka_security(DASHBOARD))) as logs:
        assert logs.describe(events).partitions == 2
        writer = logs.writer()
        with pytest.raises(LogError):
            writer.append(events, b"k", b"v").result(30)
        writer.close(30)


def test_an_application_publishes_by_url(secured):
    address, security = f"kafka://{secured.kafka.bootstrap}", secured.kafka_security(PRODUCER)
    with EventPublisher(address, security=security, log=f"{PREFIX}.customer-events") as publisher:
        sent = publisher.publish(Erase(event_id="x", customer_id="nobody", occurred_at=datetime.now(UTC)))
    assert sent.result(30).partition in {0, 1}


def test_without_certificate_or_login_nobody_gets_in(secured, tmp_path):
    bare = secured.redis_url(READER).partition("&ssl_certfile")[0]
    nobody = secured.redis_url(READER).replace(f"{READER}:{secured.passwords[READER]}@", "")
    for url in (bare, nobody):
        with CustomerReader(url, PREFIX) as reader, pytest.raises(ViewsUnavailableError):
            reader.get("c")
    with closing(KafkaLogs(secured.kafka.bootstrap)) as logs, pytest.raises(LogUnavailableError):
        logs.describe("customer-events")
    env = secured.settings_of(WORKER) | {"LIVESEGMENTS_REDIS_CA_FILE": "", "LIVESEGMENTS_KAFKA_PASSWORD": "Wrong-1"}
    done = livesegments(tmp_path, "check", env=env, status=1)
    assert "name its authority by redis_ca_file" in done.stdout
    assert "or its password is wrong" in done.stdout
    assert "Wrong-1" not in json.dumps(done.stdout + done.stderr)
