"""A worker as a process of its own, asked over HTTP; its Redis goes away and comes back."""

import itertools
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing

import pytest

from logs.redis_server import free_port
from producer.publisher import EventPublisher
from tests.servers.secured import clean_environment

DEADLINE = 120.0


def ask(address: str, path: str) -> tuple[int, str]:
    """Status and text; (0, "") while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with closing(error):
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def wait_for(address: str, path: str, wanted) -> str:
    """The answer, once it is wanted."""
    deadline = time.monotonic() + DEADLINE
    while not wanted(*(seen := ask(address, path))):
        assert time.monotonic() < deadline, f"{path} stays {seen}"
        time.sleep(0.05)
    return seen[1]


@pytest.fixture
def environment(local_redis):
    return clean_environment() | {"LIVESEGMENTS_REDIS_URL": local_redis.url, "LIVESEGMENTS_FIGURES_INTERVAL": "200ms"}


def test_a_worker_is_asked_while_its_redis_goes_away_and_comes_back(local_redis, environment, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "livesegments", "worker", "--metrics-address", address]
    with (
        (tmp_path / "lines").open("w+") as lines,
        subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=lines) as working,
    ):
        try:
            wait_for(address, "/readyz", lambda status, _: status == 200)
            with EventPublisher(local_redis.url) as publisher:
                for number in range(20):
                    publisher.purchase(
                        customer_id=f"c{number}",
                        order_id=f"o{number}",
                        lines=[{"item_id": "tea", "quantity": 1, "unit_price": 2.5}],
                        currency="GBP",
                    )
            told = wait_for(address, "/metrics", lambda _, text: "livesegments_freshness_seconds_count 20.0" in text)
            assert 'livesegments_events_total{type="purchase"} 20.0' in told
            assert "livesegments_customers 20.0" in told

            local_redis.kill()
            wait_for(address, "/readyz", lambda status, _: status == 503)
            assert ask(address, "/healthz") == (200, "alive\n"), "a restart would not bring Redis back"
            local_redis.start()
            wait_for(address, "/readyz", lambda status, _: status == 200)
        finally:
            working.send_signal(signal.SIGTERM)
        assert working.wait(DEADLINE) == 0
        lines.seek(0)
        said = [json.loads(line) for line in lines if line.startswith("{")]
    assert ask(address, "/healthz") == (0, ""), "it listens no longer"
    states = [line["event"] for line in said if line["logger"] == "livesegments.health"]
    assert states[-1] == "ready"
    assert all(before != after for before, after in itertools.pairwise(states)), "a line per change"


def test_an_address_that_is_taken_is_said_in_one_line(environment, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    first = [sys.executable, "-m", "livesegments", "worker", "--metrics-address", address]
    with subprocess.Popen(first, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as working:
        try:
            wait_for(address, "/healthz", lambda status, _: status == 200)
            second = subprocess.run(
                first, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
            )
        finally:
            working.send_signal(signal.SIGTERM)
        assert working.wait(DEADLINE) == 0
    assert second.returncode == 1
    assert "choose a port that is free" in second.stderr
    assert "Traceback" not in second.stderr


def test_an_address_without_a_port_is_a_mistake_in_the_settings(environment, tmp_path):
    command = [sys.executable, "-m", "livesegments", "worker", "--metrics-address", "9464"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode != 0
    assert "metrics_address" in done.stderr
    assert "127.0.0.1:9464" in done.stderr
