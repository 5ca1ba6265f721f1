"""What imports and replays came to, kept in Redis for the page *Data*: how many lines were left out, and why.

Reasons, names of files and numbers of rows are kept, and nothing of what stands in a row.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal

from pydantic import ValidationError

from consumer.clock import wall_micros
from consumer.redis_state import RedisState
from consumer.state import State, StateError
from contracts.documents import ImportReport, LeftOut
from contracts.times import from_micros, to_micros
from livesegments.app import open_redis
from livesegments.parts import keys
from livesegments.settings import Settings
from producer.summary import ReplaySummary

KEPT: Final = 50
"""Newest reports that stay."""
EVERY: Final = 5.0
"""Seconds between two reports of one run."""
_FILES: Final = 10
"""Names of files in a report."""

Command = Literal["import", "replay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is published, and by whom."""

    command: Command
    files: Sequence[str]
    """Names without folders."""
    who: str | None = None
    """See ImportReport."""

    @property
    def name(self) -> str:
        """The same for the same command and files, so that a second run takes the place of the first."""
        return blake2b("\0".join((self.command, *sorted(self.files))).encode(), digest_size=16).hexdigest()


@contextlib.contextmanager
def reported(
    source: Source, summary: ReplaySummary, events: int, settings: Settings, tell: Callable[[str], None]
) -> Iterator[Callable[[int], None]]:
    """While so many events are published; gives what to call with how many are, at the end too.

    A Redis that does not take it stops nothing: `tell` then hears that the page will not say it.
    """
    # What the events do not need they wait for once in the beginning, and once at the end.
    client = open_redis(settings, patient=False)
    with contextlib.closing(RedisState(client, keys(settings))) as state:
        report = _Report(state, source, summary, events, wall_micros())
        report.write("publishing")
        try:
            yield report.progress
        except BaseException:
            report.write("stopped")
            raise
        report.write("done")
        if report.problem is not None:
            tell(f"the page Data will not tell of this ({report.problem}): it is told here alone")


@dataclass(slots=True)
class _Report:
    """Writes how far one run is."""

    state: State
    source: Source
    summary: ReplaySummary
    events: int
    started_at: int
    """Microseconds UTC."""
    problem: StateError | None = None
    """Why the last one could not be written."""
    _published: int = 0
    _due: float = 0.0

    def progress(self, published: int) -> None:
        """So many are published."""
        self._published = published
        # After a failure only the end is tried again: events do not wait for it every few seconds.
        if self.problem is None and time.monotonic() >= self._due:
            self.write("publishing")

    def write(self, outcome: Literal["publishing", "done", "stopped"]) -> None:
        """Replace what stood there; of too many the oldest go."""
        self._due = time.monotonic() + EVERY
        summary, files = self.summary, self.source.files
        report = ImportReport(
            command=self.source.command,
            files=tuple(files[:_FILES]),
            more_files=max(0, len(files) - _FILES),
            who=self.source.who,
            started_at=from_micros(self.started_at),
            at=from_micros(wall_micros()),
            outcome=outcome,
            rows=summary.rows,
            events=self.events,
            published=self._published,
            left_out=left_out(summary),
            refused=summary.refused,
        )
        try:
            self.state.put_import(self.source.name, report.encode())
            if outcome != "publishing":
                for name, _ in _newest_first(self.state)[KEPT:]:
                    self.state.put_import(name, None)
        except StateError as error:
            self.problem = error
        else:
            self.problem = None


def left_out(summary: ReplaySummary) -> tuple[LeftOut, ...]:
    """The reasons, the most frequent first, each with the place of its first row."""
    found = []
    for reason, rows in sorted(summary.skipped.items(), key=lambda one: (-one[1], one[0])):
        place = summary.first_skipped.get(reason)
        found.append(
            LeftOut(reason=reason, rows=rows, file=place.file if place else None, row=place.row if place else None)
        )
    return tuple(found)


def read_reports(state: State) -> list[ImportReport]:
    """What imports and replays came to, the newest first; what can not be read is left out."""
    return [report for _, report in _newest_first(state) if report is not None]


def _newest_first(state: State) -> list[tuple[str, ImportReport | None]]:
    """By name; None for what can not be read, at the end."""
    found: list[tuple[str, ImportReport | None]] = []
    for name, document in state.imports().items():
        try:
            found.append((name, ImportReport.model_validate_json(document)))
        except ValidationError:
            found.append((name, None))
    return sorted(found, key=lambda one: to_micros(one[1].started_at) if one[1] else 0, reverse=True)
