"""The log of dead letters as it is looked at afterwards: its letters, and the marks of those that are dealt with.

The log is append-only, so a letter that was replayed or dropped is marked by a record behind it, in the same partition:
it lives as long as the letter at least, and whoever reads the log from its beginning knows of it.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import ValidationError

from contracts.documents import DeadLetter, SettledLetters
from contracts.errors import LivesegmentsError
from contracts.times import from_micros
from logs.base import Logs, LogWriter

SETTLED: Final = b"livesegments-settled"
"""Key of the records that say what became of letters; letters themselves have none."""
UNREADABLE: Final = "unreadable"
"""The reason of a record that somebody else put there."""
RUNS_AT_ONCE: Final = 1_000
"""In one such record."""
_SEQUENCE_BITS: Final = 64
"""A position of a Redis log is milliseconds << 64 | count."""

Fate = Literal["open", "replayed", "dropped"]


class LetterIdError(LivesegmentsError):
    """What was given does not name a dead letter."""


@dataclass(frozen=True, slots=True, order=True)
class LetterId:
    """Where a letter stands on the log of dead letters."""

    partition: int
    position: int

    def __str__(self) -> str:
        above, count = divmod(self.position, 1 << _SEQUENCE_BITS)
        return f"{self.partition}:{above}-{count}" if above else f"{self.partition}:{count}"

    @classmethod
    def parse(cls, text: str) -> "LetterId":
        """The id in a text such as `0:4711`, or `0:1763719200000-12` on a Redis log. Raises LetterIdError.

        >>> str(LetterId.parse("0:4711")), str(LetterId.parse("0:1763719200000-12"))
        ('0:4711', '0:1763719200000-12')
        """
        partition, _, place = text.partition(":")
        above, dash, count = place.rpartition("-")
        parts = (partition, count, *((above,) if dash else ()))
        if not all(part.isascii() and part.isdecimal() and len(part) < 21 for part in parts):
            raise LetterIdError(
                f"{text!r} is no dead letter: expected an id as `dead-letters list` shows it, as 0:4711"
            )
        return cls(int(partition), (int(above or 0) << _SEQUENCE_BITS) + int(count))


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter with where and when it stands on its log."""

    id: LetterId
    log_time: int
    """When the log took it in, microseconds UTC."""
    content: DeadLetter
    fate: Fate

    @property
    def value(self) -> bytes | None:
        """The value of the record that could not be used; None where it had none."""
        return None if self.content.reason == "empty" and not self.content.bytes else self.content.bytes

    @property
    def has_bytes(self) -> bool:
        """False where the record was too large to be copied and still stands where it stood."""
        return bool(self.content.bytes) or self.content.reason == "empty"


@dataclass(slots=True)
class _Runs:
    """Positions of one partition in runs that neither touch nor overlap, once they are joined."""

    runs: list[tuple[int, int]] = field(default_factory=list)

    def join(self) -> None:
        joined: list[tuple[int, int]] = []
        for first, last in sorted(self.runs):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
            else:
                joined.append((first, last))
        self.runs = joined

    def __contains__(self, position: int) -> bool:
        place = bisect_right(self.runs, position, key=lambda run: run[0]) - 1
        return place >= 0 and position <= self.runs[place][1]


class Fates:
    """What became of letters: a few bytes for each run of letters, whatever is in them."""

    def __init__(self, said: Iterable[tuple[int, SettledLetters]]) -> None:
        """`said`: marks with their partitions."""
        self._runs: dict[tuple[int, str], _Runs] = {}
        for partition, mark in said:
            self._runs.setdefault((partition, mark.fate), _Runs()).runs.extend(mark.letters)
        for runs in self._runs.values():
            runs.join()

    def of(self, letter: LetterId) -> Fate:
        """Of one letter; who was replayed and then dropped was replayed."""
        fates: tuple[Fate, ...] = ("replayed", "dropped")
        for fate in fates:
            if letter.position in self._runs.get((letter.partition, fate), _Runs()):
                return fate
        return "open"


def read_fates(logs: Logs, log: str) -> Fates:
    """What became of the letters of a log. Raises LogMissingError, LogUnavailableError."""
    return Fates(_marks(logs, log))


def _marks(logs: Logs, log: str) -> Iterator[tuple[int, SettledLetters]]:
    for batch in logs.scan(log):
        for key, value in zip(batch.keys, batch.values, strict=True):
            if key == SETTLED and value is not None:
                try:
                    yield batch.partition, SettledLetters.model_validate_json(value)
                except ValidationError:
                    continue  # of a newer version: what it settles is shown as open, and a repeat is harmless


def read_letters(logs: Logs, log: str, fates: Fates) -> Iterator[Letter]:
    """Every letter, the oldest of each partition first. Raises LogMissingError, LogUnavailableError."""
    for batch in logs.scan(log):
        for key, value, position, at in zip(batch.keys, batch.values, batch.positions, batch.log_times, strict=True):
            if key != SETTLED:
                one = LetterId(batch.partition, position)
                yield Letter(one, at, _content(log, one, value or b""), fates.of(one))


def _content(log: str, one: LetterId, value: bytes) -> DeadLetter:
    try:
        return DeadLetter.model_validate_json(value)
    except ValidationError:
        return DeadLetter.model_construct(
            v=1,
            log=log,
            partition=one.partition,
            offset=one.position,
            reason=UNREADABLE,
            message="this record is no dead letter: somebody else put it there",
            bytes=value,
        )


class Settling:
    """Marks letters as dealt with, in runs: letters that follow each other on the log take no more room than one."""

    def __init__(self, writer: LogWriter, log: str, fate: Literal["replayed", "dropped"], now: int) -> None:
        self.settled = 0
        self._writer = writer
        self._log = log
        self._fate: Literal["replayed", "dropped"] = fate
        self._at = from_micros(now)
        self._runs: dict[int, list[tuple[int, int]]] = {}
        self._broken: set[int] = set()
        """Partitions in which another letter came after the last run."""

    def leave(self, letter: LetterId) -> None:
        """Note a letter that stays as it is."""
        self._broken.add(letter.partition)

    def settle(self, letter: LetterId) -> None:
        """Note a letter that is dealt with; letters of one partition come in their order."""
        runs = self._runs.setdefault(letter.partition, [])
        if runs and letter.partition not in self._broken:
            runs[-1] = (runs[-1][0], letter.position)
        else:
            runs.append((letter.position, letter.position))
        self._broken.discard(letter.partition)
        self.settled += 1

    def flush(self) -> None:
        """Write what was noted. Raises LogError."""
        sent = [
            self._writer.append(self._log, SETTLED, self._mark(runs[start : start + RUNS_AT_ONCE]), partition=partition)
            for partition, runs in self._runs.items()
            for start in range(0, len(runs), RUNS_AT_ONCE)
        ]
        self._writer.flush(30.0)
        for future in sent:
            future.result()
        self._runs.clear()

    def _mark(self, runs: Sequence[tuple[int, int]]) -> bytes:
        return SettledLetters(fate=self._fate, letters=tuple(runs), at=self._at).encode()
