"""Stream processors beside which ours is held: each in an environment of its own, only counting and summing up.

Each `*_count.py` is a program of its own that imports nothing of this project. Told by JSON where to look, it reads so
many events of a topic, counts them and what each customer paid, and prints both, and the seconds from the first event
to the last.
"""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.loading import PARTITIONS, Servers, Tally

CACHE: Final = Path(__file__).parents[2] / ".state" / "rivals"
INSTALL_SECONDS: Final = 600
RUN_SECONDS: Final = 300


class NoRivalError(Exception):
    """It can not be installed or does not run here; the text says why."""


@dataclass(frozen=True)
class Rival:
    """A stream processor."""

    name: str
    title: str
    requirements: tuple[str, ...]
    """The first one is the stream processor itself."""
    most_events: int | None = None
    """It is slow: timed on so many events at most."""

    @property
    def version(self) -> str:
        """Of the stream processor."""
        return self.requirements[0].partition("==")[2]


RIVALS: Final = (
    Rival("quix", "Quix Streams", ("quixstreams==3.28.1",)),
    Rival("bytewax", "Bytewax", ("bytewax[kafka]==0.21.1", "orjson==3.11.4")),
    Rival("faust", "Faust", ("faust-streaming==0.15.3", "aiokafka[lz4]==0.14.0", "orjson==3.11.4"), most_events=5_000),
)


def environment(rival: Rival) -> Path:
    """The interpreter of the rival's own environment, made where there is none. Raises NoRivalError."""
    wanted = json.dumps([sys.version, sys.executable, rival.requirements])
    folder = CACHE / f"{rival.name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{rival.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _said([sys.executable, "-m", "venv", str(folder)], INSTALL_SECONDS)
            pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
            _said([*pip, "--only-binary", ":all:", *rival.requirements], INSTALL_SECONDS)
            (folder / ".complete").touch()
    return python


def count(rival: Rival, servers: Servers, tally: Tally) -> float:
    """Events per second of a rival that reads a topic with these events on it. Raises NoRivalError.

    What it comes to is held against the tally, where it reads all of it.
    """
    events = min(tally.events, rival.most_events or tally.events)
    python = environment(rival)
    with tempfile.TemporaryDirectory(prefix="livesegments-rival-") as folder:
        what = {
            "bootstrap": servers.bootstrap,
            "topic": servers.names.events,
            "partitions": PARTITIONS,
            "events": events,
            "folder": folder,
        }
        program = Path(__file__).parent / f"{rival.name}_count.py"
        said = _said([str(python), str(program), json.dumps(what)], RUN_SECONDS, folder)
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    whole = events < tally.events or (found["customers"], round(found["spend"])) == (
        tally.customers,
        round(tally.spend),
    )
    if found["events"] < events or not whole:
        raise NoRivalError(f"{rival.title} came to {found}, and there is {tally}")
    speed: float = found["events"] / found["seconds"]
    return speed


def _said(command: list[str], seconds: float, folder: str | None = None) -> str:
    """What a program prints. Raises NoRivalError."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreters
            command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NoRivalError(f"{Path(command[0]).name} took more than {seconds:.0f} s") from error
    if done.returncode:
        raise NoRivalError((done.stderr or done.stdout).strip()[-300:] or f"exit status {done.returncode}")
    return done.stdout
