"""A Redis of our own that a test may kill and start again."""

import shutil
import tempfile
from pathlib import Path
from typing import Self

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

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._data, ignore_errors=True)
