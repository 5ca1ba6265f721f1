"""A Redis of our own that a test may kill and start again."""

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Self

from redis import Redis

from logs.redis_server import RedisServer, free_port


class LocalRedis:
    """A redis-server with its append-only file; port and data outlive a restart."""

    def __init__(self, binary: Path | None = None, settings: dict[str, str] | None = None) -> None:
        self._settings = settings
        self.port = free_port()
        self._binary = binary
        self._data = Path(tempfile.mkdtemp(prefix="livesegments-test-redis-"))
        self._server: RedisServer | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._server is not None, "not started"
        return self._server.pid

    def start(self) -> Self:
        self._server = RedisServer(self._data, port=self.port, binary=self._binary, more=self._settings)
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def kill(self) -> None:
        """SIGKILL; what was not yet in the append-only file is lost."""
        assert self._server is not None, "not started"
        self._server.kill()
        self._server = None

    def restart(self) -> None:
        """Kill, then start."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def snapshot(self) -> None:
        """Put what there is aside, for `roll_back`."""
        with Redis(port=self.port) as client:
            client.save()
        shutil.copy(self._data / "dump.rdb", self._data / "kept.rdb")

    @property
    def appended(self) -> int:
        """Bytes of its append-only file."""
        return self._append_only_file().stat().st_size

    def tear_off(self, size: int) -> None:
        """While it is down: take so many bytes from the end of its append-only file, as a crash of the machine does."""
        file = self._append_only_file()
        assert file.stat().st_size > size, "there is not that much"
        os.truncate(file, file.stat().st_size - size)

    def _append_only_file(self) -> Path:
        files = [*self._data.glob("appendonlydir/*.incr.aof"), *self._data.glob("appendonly.aof")]
        return max(files, key=lambda file: file.stat().st_mtime_ns)

    def roll_back(self, *, everything: bool = False) -> None:
        """Kill it and start it again as it was at the snapshot, or as it was in the beginning."""
        self.kill()
        shutil.rmtree(self._data / "appendonlydir", ignore_errors=True)
        for file in self._data.glob("*.aof"):
            file.unlink()
        (self._data / "dump.rdb").unlink()
        if everything:
            self.start()
            return
        shutil.copy(self._data / "kept.rdb", self._data / "dump.rdb")
        # With an append-only file to be, Redis reads no snapshot: it is told to begin one afterwards.
        settings, self._settings = self._settings, {**(self._settings or {}), "appendonly": "no"}
        self.start()
        self._settings = settings
        with Redis(port=self.port) as client:
            client.config_set("appendonly", "yes")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._data, ignore_errors=True)
