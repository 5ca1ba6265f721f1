"""Imports by page: files on their way, and a child process for each import. Nothing is left of either."""

import contextlib
import fcntl
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from dashboard.imports import Asked, ImportRefusedError, ImportState, Step, Understood, Upload
from livesegments.sources import Loaded
from livesegments.web import import_child
from livesegments.web.import_child import PUBLISH, Done, Failed, Fault, Task

if TYPE_CHECKING:
    from io import BufferedWriter
    from multiprocessing.connection import Connection

AT_A_TIME: Final = 4
"""Imports of different people; each may take what memory a child may."""
IDLE_SECONDS: Final = 1800.0
"""An import that nobody has looked at for so long goes, unless it is being published."""
UNPACKED: Final = 4
"""Files may become so many times `room` when they are unpacked."""
MOST_FILES: Final = 100
_LONGEST_NAME: Final = 60
_LOOK_SECONDS: Final = 30.0
_FOLDER: Final = "livesegments-upload-"
_LOCK: Final = "lock"
_PUBLISHING: Final = "An import is being published: wait until it is done."
_ENDED: Final = (
    "The work on it ended early, most likely because the files take more memory than there is for them: import them in"
    " parts. What was published until then counts once, also when it is published again."
)

_log = structlog.get_logger("livesegments.web")


@dataclass(slots=True)
class _Job:
    """One import. All of it is changed under the desk's lock."""

    folder: Path
    touched: float
    state: ImportState = field(default_factory=ImportState)
    answers: dict[str, str] = field(default_factory=dict)
    process: Any = None
    channel: "Connection[Any, Any] | None" = None
    coming: set[str] = field(default_factory=set)
    """Names of files on their way."""
    room: int = 0
    """Bytes that may still come."""

    def turn(self, **changed: Any) -> None:
        """Another state."""
        self.state = replace(self.state, turn=self.state.turn + 1, **changed)


class StateImports:
    """See dashboard.imports.ImportDesk.

    Parameters:
        loaded: the settings in force.
        room: bytes that the files of an import may have.
        folder: where they are kept; the machine's own place for such things by default.
        monotonic: seconds.
    """

    def __init__(
        self,
        loaded: Loaded,
        room: int,
        folder: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loaded = loaded
        self._room = room
        self._parent = folder or Path(tempfile.gettempdir())
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self._jobs: dict[str, _Job] = {}
        self._plans: dict[str, dict[str, Any]] = {}
        self._folder: Path | None = None
        self._held: int | None = None
        self._closing = threading.Event()
        sweep(self._parent)

    @property
    def room(self) -> int:
        """See ImportDesk."""
        return self._room

    def state(self, who: str) -> ImportState:
        """See ImportDesk."""
        with self._lock:
            job = self._jobs.get(who)
            if job is None:
                return ImportState()
            job.touched = self._monotonic()
            return job.state

    def receive(self, who: str, name: str, size: int, *, first: bool) -> "_Receiving":
        """See ImportDesk."""
        with self._lock:
            job = self._jobs.get(who)
            if job is not None and job.state.stage == "publishing":
                raise ImportRefusedError(_PUBLISHING)
            if first or job is None:
                self._drop(who)
                job = self._begun(who)
            bare = safe_name(name)
            if bare in job.coming or any(one.name == bare for one in job.state.uploads):
                raise ImportRefusedError(f"There are two files named {bare}: give one another name.")
            if len(job.state.uploads) + len(job.coming) >= MOST_FILES:
                raise ImportRefusedError(f"An import may have {MOST_FILES} files: import the others afterwards.")
            if size > job.room:
                raise ImportRefusedError(too_large(self._room))
            job.coming.add(bare)
            job.touched = self._monotonic()
        return _Receiving(self, who, job, bare)

    def look(self, who: str) -> None:
        """See ImportDesk."""
        with self._lock:
            job = self._found(who)
            if not job.state.uploads or job.coming:
                raise ImportRefusedError("Not all files have come: choose them again.")
            self._start(who, job)

    def answer(self, who: str, turn: int, answers: Mapping[str, str]) -> None:
        """See ImportDesk."""
        with self._lock:
            job = self._found(who)
            if job.state.stage != "asking" or job.state.turn != turn or job.channel is None:
                return  # two presses of one button, or another window was quicker
            job.answers |= answers
            job.turn(stage="looking", asked=None)
            self._send(job, dict(answers))

    def correct(self, who: str, answers: Mapping[str, str]) -> None:
        """See ImportDesk."""
        with self._lock:
            job = self._found(who)
            if job.state.stage not in {"asking", "shown", "failed"}:
                raise ImportRefusedError("Wait until the files were looked at.")
            job.answers |= answers
            self._start(who, job)

    def publish(self, who: str, turn: int) -> None:
        """See ImportDesk."""
        with self._lock:
            job = self._found(who)
            shown = job.state.understood
            if job.state.stage != "shown" or job.state.turn != turn or shown is None:
                raise ImportRefusedError("What was shown has changed meanwhile: look again before you publish.")
            if shown.obstacles or not shown.events:
                raise ImportRefusedError("Nothing of this can be published.")
            job.turn(stage="publishing", step=Step("publishing", 0, shown.events))
            self._send(job, PUBLISH)

    def drop(self, who: str) -> None:
        """See ImportDesk."""
        with self._lock:
            job = self._jobs.get(who)
            if job is not None and job.state.stage == "publishing":
                raise ImportRefusedError(_PUBLISHING)
            self._drop(who)

    def close(self) -> None:
        """End all imports; nothing of them stays."""
        self._closing.set()
        with self._lock:
            for who in list(self._jobs):
                self._drop(who)
            if self._held is not None:
                os.close(self._held)
                self._held = None
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def drop_idle(self) -> None:
        """Drop imports that nobody looks at any more."""
        with self._lock:
            for who, job in list(self._jobs.items()):
                idle = self._monotonic() - job.touched > IDLE_SECONDS
                if idle and job.state.stage != "publishing":
                    _log.info("an import that nobody has looked at for long is dropped", who=who)
                    self._drop(who)

    def _drop(self, who: str) -> None:
        job = self._jobs.pop(who, None)
        if job is not None:
            _end(job)
            shutil.rmtree(job.folder, ignore_errors=True)

    # ---- files ----

    def _begun(self, who: str) -> _Job:
        self.drop_idle()
        if sum(one.state.stage != "done" for one in self._jobs.values()) >= AT_A_TIME:
            raise ImportRefusedError(f"{AT_A_TIME} others are importing: try again when one of them is done.")
        folder = Path(tempfile.mkdtemp(dir=self._own_folder()))
        job = self._jobs[who] = _Job(folder, self._monotonic(), room=self._room)
        return job

    def _own_folder(self) -> Path:
        """Readable by us alone, and marked as in use as long as this process lives."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=self._parent))
            self._held = os.open(self._folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._held, fcntl.LOCK_EX)
            threading.Thread(target=self._keep_house, name="imports", daemon=True).start()
        return self._folder

    def _keep_house(self) -> None:
        while not self._closing.wait(_LOOK_SECONDS):
            self.drop_idle()

    def received(self, who: str, job: _Job, name: str, size: int, *, whole: bool) -> None:
        """A file of so many bytes has come whole, or broke off after them."""
        with self._lock:
            job.coming.discard(name)
            if not whole or self._jobs.get(who) is not job:
                (job.folder / name).unlink(missing_ok=True)
                job.room += size
            else:
                job.turn(uploads=(*job.state.uploads, Upload(name, size)))

    def takes(self, job: _Job, size: int) -> bool:
        """Whether so many bytes more may come; they are counted."""
        with self._lock:
            job.touched = self._monotonic()
            fits = size <= job.room
            job.room -= size if fits else 0
            return fits

    # ---- the child ----

    def _found(self, who: str) -> _Job:
        job = self._jobs.get(who)
        if job is None:
            raise ImportRefusedError("The files are not here any more: choose them again.")
        if job.state.stage == "publishing":
            raise ImportRefusedError(_PUBLISHING)
        job.touched = self._monotonic()
        return job

    def _start(self, who: str, job: _Job) -> None:
        _end(job)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        names = tuple(one.name for one in job.state.uploads)
        task = Task(job.folder, names, who, self._loaded, dict(self._plans), dict(job.answers), self._room * UNPACKED)
        job.process = context.Process(target=import_child.begin, args=(theirs, task), name="import", daemon=True)
        job.channel = ours
        job.turn(stage="looking", step=None, asked=None, understood=None, published=None, problem="")
        job.process.start()
        theirs.close()
        threading.Thread(target=self._listen, args=(who, job, ours, job.process), name="import", daemon=True).start()

    def _send(self, job: _Job, said: object) -> None:
        assert job.channel is not None
        with contextlib.suppress(BrokenPipeError):  # whoever listens hears of the end
            job.channel.send(said)

    def _listen(self, who: str, job: _Job, channel: "Connection[Any, Any]", process: Any) -> None:
        while True:
            try:
                told = channel.recv()
            except (EOFError, OSError):
                told = None
            with self._lock:
                if job.channel is not channel:
                    break  # another child, or none, has taken its place
                self._heard(who, job, told)
                if told is None or isinstance(told, Done | Failed | Fault):
                    _end(job)
                    if job.state.stage == "done":
                        shutil.rmtree(job.folder, ignore_errors=True)
                    break
        channel.close()
        process.join()

    def _heard(self, who: str, job: _Job, told: object) -> None:
        match told:
            case Step():
                job.state = replace(job.state, step=told)
            case Asked():
                job.turn(stage="asking", asked=told, step=None)
            case Understood():
                job.turn(stage="shown", understood=told, columns=told.columns, step=None)
            case Failed():
                job.turn(stage="failed", problem=told.text, step=None)
            case Fault():
                _log.error("an import could not go on: a fault of ours", trace=told.trace)
                job.turn(
                    stage="failed",
                    step=None,
                    problem="This could not be read: a fault of livesegments. Its log says more; please report it.",
                )
            case Done():
                self._plans[told.published.name] = told.plan
                _log.info("imported", who=who, events=told.published.events, name=told.published.name)
                job.turn(stage="done", published=told.published, step=None)
            case _:
                job.turn(stage="failed", problem=_ENDED, step=None)


class _Receiving:
    """See dashboard.imports.Receiving."""

    def __init__(self, desk: StateImports, who: str, job: _Job, name: str) -> None:
        self._desk, self._who, self._job, self._name = desk, who, job, name
        self._size = 0
        self._file: BufferedWriter | None = None

    def write(self, data: bytes) -> None:
        """See Receiving."""
        if not self._desk.takes(self._job, len(data)):
            raise ImportRefusedError(too_large(self._desk.room))
        self._size += len(data)
        try:
            if self._file is None:
                self._file = (self._job.folder / self._name).open("xb")
            self._file.write(data)
        except OSError as error:
            raise ImportRefusedError(f"There is no room for the file on the server: {error.strerror}.") from error

    def close(self, *, whole: bool) -> None:
        """See Receiving."""
        try:
            if self._file is not None:
                self._file.close()
            elif whole:
                (self._job.folder / self._name).touch(exist_ok=False)
        except OSError as error:
            self._desk.received(self._who, self._job, self._name, self._size, whole=False)
            raise ImportRefusedError(f"There is no room for the file on the server: {error.strerror}.") from error
        self._desk.received(self._who, self._job, self._name, self._size, whole=whole)


def too_large(room: int) -> str:
    """What is said of files that do not fit."""
    return (
        f"The files are larger than {room / 1024**2:,.0f} MiB together (web_import_max): import them in parts, or with"
        " `livesegments import`."
    )


def safe_name(name: str) -> str:
    r"""A file's name without folders, unprintable signs and length: it leads nowhere else. Raises ImportRefusedError.

    >>> safe_name("C:\\exports\\orders.csv"), safe_name("../../etc/orders\x1b.csv"), safe_name("a" * 300 + ".csv")[-5:]
    ('orders.csv', 'orders_.csv', 'a.csv')
    """
    bare = name.replace("\\", "/").rpartition("/")[2].strip()
    bare = "".join(one if one.isprintable() else "_" for one in bare)[-_LONGEST_NAME:]
    if not bare or bare.startswith("."):
        raise ImportRefusedError("The file has no name that says what it is, such as orders.csv.")
    return bare


def sweep(parent: Path) -> None:
    """Remove what processes left that ended without a chance to."""
    for folder in parent.glob(f"{_FOLDER}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with (folder / _LOCK).open("rb") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # it is in use, or none of ours


def _end(job: _Job) -> None:
    """The child goes with what it has written; whoever listens to it closes the channel."""
    if job.process is not None:
        job.process.kill()
        job.process.join()
        job.process = job.channel = None
        for left in job.folder.iterdir():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
