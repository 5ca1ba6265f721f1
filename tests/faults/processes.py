"""Worker processes for fault tests: forked from a server that has everything imported, so that one starts at once."""

import dataclasses
import json
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.deployment import Deployment
from tests.faults import doomed_worker

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.faults.doomed_worker"])


def wait_for(holds: Callable[[], Any], what: str, seconds: float = 200.0) -> Any:
    """What a condition gives once it is true. Fails after a deadline."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)
    return found


class WorkerProcess:
    """One worker of a deployment. `more` is added to its order: see `doomed_worker.work`."""

    def __init__(self, deployment: Deployment, **more: Any) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="livesegments-worker-")
        self._status = Path(self._folder.name) / "status"
        self.place: str | None = more.get("place")
        """Where it is to die."""
        fields = {one.name: getattr(deployment, one.name) for one in dataclasses.fields(deployment)}
        order = {"deployment": {**fields, **more.pop("where", {})}, "status": str(self._status), **more}
        self._process = _FORKS.Process(target=doomed_worker.work, args=(order,), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def exitcode(self) -> int | None:
        """None while it runs; minus the signal that killed it."""
        return self._process.exitcode

    def status(self, name: str) -> Any:
        """What it said last about itself: see `doomed_worker.status_of`. None before it said anything."""
        try:
            return json.loads(self._status.read_text()).get(name)
        except FileNotFoundError:
            return None

    @property
    def waiting_for(self) -> str:
        """What it tries again and again just now; empty while servers answer."""
        file = self._status.with_suffix(".waiting")
        return file.read_text() if file.exists() else ""

    @property
    def said(self) -> str:
        """All of that, for the message of a test that fails."""
        return self._status.read_text() if self._status.exists() else "nothing"

    @property
    def held(self) -> dict[int, int]:
        """Its partitions, with how often each was claimed."""
        return {int(number): claims for number, claims in (self.status("held") or {}).items()}

    @property
    def died(self) -> str | None:
        """The place where the bullet hit."""
        file = self._status.with_suffix(".died")
        return file.read_text() if file.exists() else None

    def freeze_at(self, place: str) -> None:
        """Let it freeze itself when it next comes to that place of the write order."""
        self._status.with_suffix(".trap").write_text(place)

    @property
    def frozen(self) -> bool:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def signal(self, sign: int) -> None:
        if self._process.is_alive():
            os.kill(self.pid, sign)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.join(10)

    def leave(self, seconds: float = 30.0) -> int | None:
        """Ask it to leave the group cleanly, and wait."""
        self.signal(signal.SIGTERM)
        self._process.join(seconds)
        assert self._process.exitcode is not None, "it does not end"
        return self._process.exitcode

    def close(self) -> None:
        if self._process.is_alive():
            self.kill()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
