"""A Redis with a replica and a Sentinel over both, on loopback: to fail over."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import redis

from logs.child_process import Process, end, start_tied
from logs.redis_server import find_redis_server, free_port
from tests.servers.errors import NoServerError
from tests.servers.local_cluster import until
from tests.servers.local_redis import LocalRedis

SERVICE = "shop"
DOWN_AFTER_MS = 1000
CONFIG = """
bind 127.0.0.1
port {port}
dir {folder}
sentinel monitor {service} 127.0.0.1 {master} 1
sentinel down-after-milliseconds {service} {down}
sentinel failover-timeout {service} 5000
"""


class LocalSentinel:
    """One Sentinel, a master, a replica. Raises NoServerError."""

    def __init__(self) -> None:
        self.master = LocalRedis()
        self.replica = LocalRedis(settings={"replicaof": f"127.0.0.1 {self.master.port}"})
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="livesegments-test-sentinel-"))
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.port}/{SERVICE}"

    def start(self) -> Self:
        binary = find_redis_server()
        if binary is None:
            raise NoServerError("no redis-server for a Sentinel")
        self.master.start()
        self.replica.start()
        config = self._folder / "sentinel.conf"
        said = {"port": self.port, "folder": self._folder, "master": self.master.port}
        config.write_text(CONFIG.format(**said, service=SERVICE, down=DOWN_AFTER_MS))
        self._process = start_tied([str(binary), str(config), "--sentinel"], output=self._folder / "sentinel.log")
        until(lambda: any(int(one["num-slaves"]) == 1 for one in self._known()))
        with redis.Redis(port=self.replica.port) as client:
            until(lambda: client.info("replication")["master_link_status"] == "up")
        return self

    def _known(self) -> Iterator[Any]:
        with contextlib.suppress(redis.RedisError), redis.Redis(port=self.port, decode_responses=True) as client:
            yield client.sentinel_master(SERVICE)

    def fail_over(self) -> float:
        """Kill the master; seconds until the Sentinel names the replica."""
        began = time.monotonic()
        self.master.kill()
        until(lambda: any(int(one["port"]) == self.replica.port for one in self._known()))
        return time.monotonic() - began

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            end(self._process, grace=5)
        for node in (self.master, self.replica):
            node.__exit__()
        shutil.rmtree(self._folder, ignore_errors=True)
