"""How the child process of an import by page begins: bounded, and gone with its parent. Imports nothing heavy."""

import resource
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from consumer import low_priority
from dashboard.imports import Published
from livesegments.sources import Loaded

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

MOST_MEMORY: Final = 4 * 1024**3
"""Bytes of data that the child may hold: a workbook may say that it has 16 thousand million cells."""

PUBLISH: Final = "publish"
"""What is said to a child that has shown what it understood."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be imported."""

    folder: Path
    """Of the files and of what does not fit into memory."""
    names: tuple[str, ...]
    who: str
    """The name of the key; empty where there are none."""
    loaded: Loaded
    plans: Mapping[str, dict[str, Any]]
    """Imports that were kept since the settings were read."""
    answers: dict[str, str]
    room: int
    """Bytes that the files may have unpacked."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It can not go on; the text says what to do."""

    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of ours; the trace is for the log."""

    trace: str


@dataclass(frozen=True, slots=True)
class Done:
    """All is published; the plan is for the next import."""

    published: Published
    plan: dict[str, Any]


def begin(channel: "Connection[Any, Any]", task: Task) -> None:
    """Work, and tell by the channel; see import_work."""
    low_priority.begin(lambda: shutil.rmtree(task.folder, ignore_errors=True))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what customers bought does not belong there
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY or most > MOST_MEMORY:
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    from livesegments.web.import_work import work  # noqa: PLC0415 - after the limits

    work(channel, task)
