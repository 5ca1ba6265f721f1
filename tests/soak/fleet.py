"""Worker processes of one group: started, watched, asked to leave, buried."""

import multiprocessing
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from tests.soak.mortal_worker import Fate, work

ROOT = Path(__file__).parents[2]
LEAVING_SECONDS = 30


class Process(Protocol):
    """A worker process."""

    @property
    def pid(self) -> int: ...

    @property
    def ended(self) -> int | None:
        """Its exit status, negative for a signal; None while it lives."""

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def wait(self, seconds: float | None = None) -> int | None: ...


class Command:
    """The real command, `livesegments worker`."""

    def __init__(self, environment: Mapping[str, str], output: Path) -> None:
        with output.open("ab") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "livesegments", "worker"], cwd=ROOT, env=environment, stdout=sink, stderr=sink
            )
        self.pid, self.terminate, self.kill = self._process.pid, self._process.terminate, self._process.kill

    @property
    def ended(self) -> int | None:
        return self._process.poll()

    def wait(self, seconds: float | None = None) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.ended


class Forked:
    """A mortal worker, forked from a process that has imported everything: that takes seconds otherwise."""

    def __init__(self, environment: Mapping[str, str], output: Path, fate: Fate) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.soak.mortal_worker", "consumer.worker", "consumer.catalogue"])
        self._process = context.Process(target=work, args=(dict(environment), output, fate))
        self._process.start()
        self.pid, self.terminate, self.kill = self._process.pid, self._process.terminate, self._process.kill

    @property
    def ended(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int | None:
        self._process.join(seconds)
        return self.ended


@dataclass
class Member:
    """One worker process."""

    process: Process
    place: int
    mortal: bool


class Fleet:
    """`places` workers at a time, each with a log file; nobody outlives the block."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self.members: dict[int, Member] = {}
        self.kills = 0
        self.left = 0
        self.surprises: list[str] = []
        """Workers that ended in any other way."""

    def start(self, place: int) -> None:
        """The real command."""
        assert place not in self.members
        self.members[place] = Member(Command(self._environment, self._output(place)), place, mortal=False)

    def start_mortal(self, place: int, rng: random.Random, longest: int) -> None:
        """One that lives for at most so many checkpoints."""
        assert place not in self.members
        seconds = rng.choice((0.0, 0.0, rng.random() * 0.005))
        fate = Fate(checkpoints=rng.randint(1, longest), writes=rng.randint(1, 60), seconds=seconds)
        self.members[place] = Member(Forked(self._environment, self._output(place), fate), place, mortal=True)

    def _output(self, place: int) -> Path:
        return self._folder / f"worker-{place}.log"

    def bury(self) -> list[int]:
        """Places of those who have died since the last time."""
        dead = [member for member in self.members.values() if member.process.ended is not None]
        for member in dead:
            del self.members[member.place]
            if member.process.ended == -9 and member.mortal:
                self.kills += 1
            else:
                self.surprises.append(f"worker {member.place} ended by itself with {member.process.ended}")
        return [member.place for member in dead]

    def leave(self, place: int) -> float:
        """Ask one to leave and wait until it has. Returns the seconds that it took."""
        member = self.members[place]
        began = time.monotonic()
        member.process.terminate()
        code = member.process.wait(LEAVING_SECONDS)
        if code is None:
            member.process.kill()
            member.process.wait()
            self.surprises.append(f"worker {place} did not leave within {LEAVING_SECONDS} s")
        # A mortal one may meet its end on the way out; before it listens, SIGTERM ends a process as it is.
        elif code not in ((0, -9, -15) if member.mortal else (0, -15)):
            self.surprises.append(f"worker {place}, asked to leave, ended with {code}")
        del self.members[place]
        self.left += 1
        return time.monotonic() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members.values():
            member.process.kill()
        for member in self.members.values():
            member.process.wait()
