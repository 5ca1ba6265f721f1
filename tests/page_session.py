"""A page of the manual as a session: its commands are run in order, and what they print is held against the page.

What of a page is done:

- a block whose language is followed by a file's name, such as ```toml livesegments.toml, becomes that file;
- of a `console` block each line that begins with `$ ` is run by bash, with the `> ` lines after it; the lines below are
  what it has to print, errors included. A line that is only `…` stands for any lines;
- of a `console learnt` block seven of ten lines have to be as written, numbers and names in capitals aside: when a
  worker learns depends on how fast it is, and so do, a little, segments and recommendations;
- everything else (`sh` blocks, prose) is for people.

`python -m tests.page_session PAGE` runs a page on a server of its own and writes what its commands print into it.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import takewhile
from pathlib import Path

from tests.servers.local_redis import LocalRedis
from tests.servers.secured import clean_environment

ROOT = Path(__file__).parents[1]
REDIS = "127.0.0.1:6379"
"""Where pages have their Redis; a session has its own instead."""
SECONDS = 900
NEARLY = 0.7
_VARYING = re.compile(r"(?:(?<!\S)(?:\S*\d\S*|[^\sa-z]+)(?:\s+|$))+")
_BLOCK = re.compile(r"^```(\w+)(?: ([\w.-]+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """What is typed, and what the page says that it prints."""

    text: str
    printed: tuple[str, ...]


@dataclass
class Session:
    """Runs the blocks of a page in a folder.

    Parameters:
        folder: where; empty in the beginning.
        redis: host and port in place of `REDIS`.
        more: of the environment.
    """

    folder: Path
    redis: str
    more: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        programs = self.folder.parent / "programs"
        programs.mkdir(exist_ok=True)
        for name, module in (("livesegments", "-m livesegments "), ("python", "")):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n')
            program.chmod(0o755)
        self.environment = {
            **clean_environment(),
            "PATH": f"{programs}:{clean_environment()['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "110",
            **self.more,
        }

    def write(self, name: str, text: str) -> None:
        """Make a file as a block says."""
        (self.folder / name).write_text(text.replace(REDIS, self.redis))

    def run(self, command: Command) -> list[str]:
        """The lines that it prints, errors among them, without blanks at their ends."""
        done = subprocess.run(
            ["bash", "-c", command.text.replace(REDIS, self.redis)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return [line.rstrip() for line in done.stdout.replace(self.redis, REDIS).splitlines()]


def commands_of(block: str) -> list[Command]:
    """Of a `console` block.

    >>> commands_of("$ cat <<END\\n> a\\n> END\\na\\n$ true\\n")
    [Command(text='cat <<END\\na\\nEND', printed=('a',)), Command(text='true', printed=())]
    """
    found = []
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        first, *rest = part.splitlines()
        more = list(takewhile(lambda line: line.startswith(">"), rest))
        typed = "\n".join([first, *(line.removeprefix(">").removeprefix(" ") for line in more)])
        found.append(Command(typed, tuple(rest[len(more) :])))
    return found


def is_as_written(printed: list[str], written: tuple[str, ...]) -> bool:
    """Whether what was printed is what the page says.

    >>> is_as_written(["a", "b", "c"], ("a", "…")), is_as_written(["a", "b"], ("a", "c"))
    (True, False)
    """
    pattern = "".join(r"(?:.*\n)*" if line == "…" else re.escape(line) + r"\n" for line in written)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


def is_nearly_as_written(printed: list[str], written: tuple[str, ...]) -> bool:
    """Whether seven of ten lines are, numbers and names in capitals aside.

    >>> page = ("id segment", "2 Loyal  10.1%", "85A RED  BAG 3")
    >>> is_nearly_as_written(["id  segment", "3 Loyal 9%", "1 BLUE JAR 0.5"], page)
    True
    >>> is_nearly_as_written(["id segment", "3 Lost 9%", "1 BLUE JAR 0.5"], page)
    False
    """
    shapes = [[_VARYING.sub("#", " ".join(line.split())) for line in lines] for lines in (printed, written)]
    return SequenceMatcher(None, *shapes, autojunk=False).ratio() >= NEARLY


def played(page: str, session: Session) -> str:
    """The page with what its commands print now."""

    def done(match: re.Match[str]) -> str:
        language, name, text = match.groups()
        if language != "console":
            if name:
                session.write(name, text)
            return match.group()
        matches = is_nearly_as_written if name == "learnt" else is_as_written
        lines = []
        for command in commands_of(text):
            printed = session.run(command)
            first, *more = command.text.split("\n")
            told = list(command.printed) if matches(printed, command.printed) else printed
            lines += [f"$ {first}", *(f"> {line}".rstrip() for line in more), *told]
        return "".join(f"{line}\n" for line in [match.group().partition("\n")[0], *lines]) + "```"

    return _BLOCK.sub(done, page)


def main(page: Path) -> None:
    """Write into a page what its commands print."""
    with tempfile.TemporaryDirectory() as folder, LocalRedis() as redis:
        week = Path(folder) / "page"
        week.mkdir()
        page.write_text(played(page.read_text(), Session(week, f"127.0.0.1:{redis.port}")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
