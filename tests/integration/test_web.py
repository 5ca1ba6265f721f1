"""`livesegments web` as a process: on real servers, over real connections, until it is told to stop."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading

import httpx
import pytest

from dashboard.access import hashed
from tests.deployment import Deployment
from tests.kinds import purchase_event

SECONDS = 120.0
KEY = "lsk_for-tests"
KEYS = json.dumps({"shop": {"sha256": hashed(KEY), "role": "admin"}})


@pytest.fixture(params=["redis", "kafka", "cluster"])
def deployment(request, one_redis_url, unique):
    kafka = request.param == "kafka"
    log_url = f"kafka://{request.getfixturevalue('kafka_bootstrap')}" if kafka else one_redis_url
    state_url = request.getfixturevalue("cluster_url") if request.param == "cluster" else one_redis_url
    return Deployment(log_url, state_url, unique, partitions=3 if kafka else 1)


@contextlib.contextmanager
def web(deployment, *flags, keys=KEYS):
    """The process, and a client that shows the key."""
    settings = ("--redis-url", deployment.redis_url, "--log-url", deployment.log_url)
    names = (
        "--key-prefix",
        deployment.tag,
        "--log-prefix",
        f"{deployment.tag}-",
        "--partitions",
        "3",
        "--clock",
        "event",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "livesegments", "web", *settings, *names, "--web-address", "127.0.0.1:0", *flags],
        env={**os.environ, "LIVESEGMENTS_WEB_KEYS": keys, "LIVESEGMENTS_LOG_FORMAT": "json"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(4 * SECONDS, process.kill)
    watchdog.start()
    try:
        seen = []
        for line in process.stdout:
            seen.append(line)
            if address := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            raise AssertionError("".join(seen))
        drain = threading.Thread(target=lambda: seen.extend(process.stdout))
        drain.start()
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=address[0], headers=headers, timeout=SECONDS) as client:
            yield process, client
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()


def test_from_an_event_to_the_change_and_back(deployment):
    with web(deployment) as (process, client):
        assert client.get("/segments").status_code == 404
        with client.stream("GET", "/changes?kind=moved") as listening:
            lines = listening.iter_lines()
            assert next(lines).startswith("retry:")
            answer = client.post("/events", json=[purchase_event(n) for n in range(200)])
            assert answer.json()["accepted"] == 200
            deployment.run()
            assert sorted(who for _, who in read_until(lines, 200)) == sorted(f"c{n}" for n in range(200))
        assert client.get("/customers/c7").json()["items"][0][0] == "mug"
        table = client.get("/export/customers.csv").text
        assert table.count("\n") == 201
        assert client.get("/export/flows.csv").text.count("\n") > 1
        assert client.delete("/customers/c7").status_code == 202
        deployment.run()
        assert client.get("/customers/c7").status_code == 404
        with client.stream("GET", "/changes?start=beginning&kind=moved") as listening:
            assert len(read_until(listening.iter_lines(), 200)) == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0


@pytest.mark.parametrize("deployment", ["kafka"], indirect=True)
def test_another_process_goes_on_where_one_was_killed(deployment):
    """What a listener has seen stands in the listener: nothing is missing, and little is told again.

    Who has logged out of the pages of the one is logged out of the other's.
    """
    with web(deployment) as (process, client):
        left, stayed = (log_in(client) for _ in range(2))
        client.post("/app/logout", headers={"Origin": str(client.base_url), "Cookie": left})
        assert [is_in(client, one) for one in (left, stayed)] == [False, True]
        client.post("/events", json=[purchase_event(n) for n in range(100)])
        deployment.run()
        with client.stream("GET", "/changes?start=beginning&kind=moved") as listening:
            first = read_until(listening.iter_lines(), 40)
            process.kill()
    with web(deployment) as (_, client):
        assert [is_in(client, one) for one in (left, stayed)] == [False, True]
        last = {"Last-Event-ID": first[-1][0]}
        with client.stream("GET", "/changes?kind=moved", headers=last) as listening:
            rest = read_until(listening.iter_lines(), 60, {who for _, who in first})
    assert {who for _, who in (*first, *rest)} == {f"c{n}" for n in range(100)}


def log_in(client) -> str:
    """The cookie."""
    client.cookies.clear()
    answer = client.post("/app/login", data={"key": KEY}, headers={"Origin": str(client.base_url)})
    assert answer.status_code == 303
    client.cookies.clear()
    return answer.headers["set-cookie"].partition(";")[0]


def is_in(client, cookie) -> bool:
    """Whether the pages let in whoever has it."""
    return client.get("/app/", headers={"Cookie": cookie, "Accept": "text/html"}).status_code == 200


def read_until(lines, count, known=frozenset()) -> list[tuple[str, str]]:
    """Ids and customers of events, until these tell of so many that were not known. Some may be told again."""
    found, seen = [], ""
    for line in lines:
        if line.startswith("id: "):
            seen = line.removeprefix("id: ")
        elif line.startswith("data: "):
            found.append((seen, json.loads(line.removeprefix("data: "))["customer_id"]))
            if len({who for _, who in found} - known) == count:
                return found
    raise AssertionError(found)


@pytest.mark.parametrize("deployment", ["redis"], indirect=True)
def test_without_a_key_it_listens_here_only_and_says_so(deployment):
    with web(deployment, keys="{}") as (_, client):
        assert client.get("/segments", headers={"Authorization": ""}).status_code == 404
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "livesegments",
            "web",
            "--web-address",
            "0.0.0.0:0",
            "--redis-url",
            deployment.redis_url,
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, "LIVESEGMENTS_WEB_KEYS": "{}"},
        check=False,
    )
    assert done.returncode == 1
    assert "livesegments web-key" in done.stderr


def test_a_key_that_is_made_is_accepted():
    made = subprocess.run(
        [sys.executable, "-m", "livesegments", "web-key", "anna", "--role", "viewer"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert hashed(made.stdout.strip()) in made.stderr
    assert 'role = "viewer"' in made.stderr
