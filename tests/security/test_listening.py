"""Nothing of ours listens where other machines could reach it unless it is told to."""

import contextlib
import os
import socket
import threading
from pathlib import Path

import pytest

from consumer.patience import Patience
from livesegments.app import open_deployment, open_worker
from livesegments.monitoring.monitor import monitored
from livesegments.sources import load_settings
from logs.redis_server import RedisServer, find_redis_server
from tests.conftest import missing
from tests.servers import LocalRedis

LISTENING = "0A"


def listening(pid: int) -> set[str]:
    """Addresses on which a process listens, as Linux tells them."""
    folder = Path("/proc") / str(pid)
    if not folder.is_dir():
        pytest.skip("no /proc here")
    inodes = set()
    for descriptor in (folder / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    found = set()
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in (folder / "net" / table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and fields[9] in inodes:
                raw = bytes.fromhex(fields[1].partition(":")[0])
                words = b"".join(raw[n : n + 4][::-1] for n in range(0, len(raw), 4))
                found.add(socket.inet_ntop(family, words))
    return found


def test_the_embedded_redis_listens_on_loopback():
    if find_redis_server() is None:
        missing("no redis-server")
    with RedisServer() as server:
        assert listening(server.pid) == {"127.0.0.1"}


def test_that_would_be_seen_otherwise():
    if find_redis_server() is None:
        missing("no redis-server")
    with LocalRedis(settings={"bind": "0.0.0.0"}) as server:
        assert listening(server.pid) == {"0.0.0.0"}


def test_a_worker_listens_nowhere_by_default(one_redis_url, unique):
    flags = {"redis_url": one_redis_url, "key_prefix": unique, "log_prefix": f"{unique}-", "group": unique}
    settings, patience = load_settings(flags=flags).settings, Patience(threading.Event())
    before = listening(os.getpid())
    with (
        open_deployment(settings) as deployment,
        monitored(settings, patience) as monitor,
        open_worker(deployment, patience) as worker,
    ):
        worker.step(0.0)
        monitor(worker)
        assert listening(os.getpid()) == before
