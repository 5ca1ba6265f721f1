"""Dead letters afterwards: counting them, judging them by today's contract, replaying and dropping them."""

from collections import Counter, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from consumer.aside import Aside, publish
from consumer.dead_letter_log import Fate, Letter, LetterId, Settling, read_fates, read_letters
from consumer.decoding import Decoder
from consumer.event_columns import Kind
from contracts.errors import LivesegmentsError
from contracts.partitioning import partition_of
from contracts.times import rfc3339
from livesegments.app import Deployment
from livesegments.parts import log_names, worker_settings
from logs.base import Batch

AT_ONCE: Final = 1_000
BYTES_AT_ONCE: Final = 8 * 1024 * 1024
"""So many letters, or bytes of them, are published before they are marked: after a crash no more are sent again."""
_EXAMPLES: Final = 5


class NoSuchLetterError(LivesegmentsError):
    """No dead letter has that id, or its log does not hold it any longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which letters are meant: all those of which everything holds that is said."""

    ids: Collection[LetterId] = ()
    """Empty: any."""
    reason: str | None = None
    partition: int | None = None
    """Of the events log, where the record stood."""
    since: int | None = None
    """Dead since then, microseconds UTC."""

    def holds(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        return (
            (not self.ids or letter.id in self.ids)
            and self.reason in {None, letter.content.reason}
            and self.partition in {None, letter.content.partition}
            and (self.since is None or letter.log_time >= self.since)
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the contract says of a letter's bytes today."""

    reason: str | None
    """Why they still can not be used; None: they are an event."""
    message: str
    customer_id: str | None = None


@dataclass(slots=True)
class Overview:
    """All letters that are meant, as numbers, and the newest of them."""

    counts: dict[str, Counter[Fate]] = field(default_factory=dict)
    """By reason and fate."""
    newest_at: dict[str, int] = field(default_factory=dict)
    """By reason: when the newest came, microseconds UTC."""
    examples: deque[Letter] = field(default_factory=deque)
    """The newest, the oldest of them first."""

    def as_json(self) -> dict[str, object]:
        """In plain values."""
        return {
            "reasons": {
                reason: {
                    "open": fates["open"],
                    "replayed": fates["replayed"],
                    "dropped": fates["dropped"],
                    "newest_at": rfc3339(self.newest_at[reason]),
                }
                for reason, fates in self.counts.items()
            },
            "newest": [summary(letter) for letter in self.examples],
        }


@dataclass(slots=True)
class Settled:
    """What `replay` or `drop` came to."""

    done: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Letters that still can not be used, by today's reason."""
    examples: list[tuple[LetterId, Verdict]] = field(default_factory=list)
    """A few of these."""
    dealt_with: int = 0
    """Letters that were replayed or dropped before."""


def summary(letter: Letter) -> dict[str, object]:
    """A letter without its bytes."""
    content = letter.content
    return {
        "id": str(letter.id),
        "reason": content.reason,
        "message": content.message,
        "log": content.log,
        "partition": content.partition,
        "offset": content.offset,
        "size": len(content.bytes),
        "dead_since": rfc3339(letter.log_time),
        "fate": letter.fate,
    }


class DeadLetters:
    """The dead letters of a deployment. Whatever their number, a few are in memory at a time."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._names = log_names(deployment.settings)
        self._decoder = Decoder(worker_settings(deployment.settings).rates)

    def overview(self, meant: Selection, examples: int, *, settled: bool = False) -> Overview:
        """Count letters by reason; the newest are examples, with `settled` also of those that are dealt with."""
        found = Overview(examples=deque(maxlen=examples))
        for letter in self._letters(meant):
            reason = letter.content.reason
            found.counts.setdefault(reason, Counter())[letter.fate] += 1
            found.newest_at[reason] = max(letter.log_time, found.newest_at.get(reason, 0))
            if settled or letter.fate == "open":
                found.examples.append(letter)
        return found

    def find(self, letter_id: LetterId) -> Letter:
        """One letter. Raises NoSuchLetterError."""
        for letter in self._letters(Selection(ids={letter_id})):
            return letter
        raise NoSuchLetterError(f"there is no dead letter {letter_id}, or its log has let go of it")

    def judge(self, letter: Letter, now: int) -> Verdict:
        """What would become of the letter's bytes if they were published now (microseconds UTC)."""
        if not letter.has_bytes:
            content = letter.content
            where = f"{content.log}, partition {content.partition}, position {content.offset}"
            return Verdict(letter.content.reason, f"its bytes were too large to be copied; they stand in {where}")
        value = letter.value
        decoded = self._decoder.decode(Batch(0, [0], [value], [None], [now]))
        if decoded.refused:
            refused = decoded.refused[0]
            return Verdict(refused.reason.value, refused.message)
        events = decoded.events
        kind, at = Kind(events.kinds[0]).name.lower(), rfc3339(events.ats[0])
        return Verdict(None, f"a valid {kind} of {at}", events.customer_ids[0])

    def replay(self, meant: Selection, now: int, *, dry_run: bool = False) -> Settled:
        """Publish the bytes of open letters again where their customers belong, and mark them.

        What the contract still refuses stays open. The bytes have their event id, so that a repeat changes nothing.
        Raises NoSuchLetterError, LogUnavailableError.
        """
        settings, names = self._deployment.settings, self._names
        done = Settled()
        # A log in Redis has one partition whatever the settings say.
        partitions = self._deployment.logs.describe(names.events).partitions
        writer = self._deployment.logs.writer()
        waiting: list[Aside] = []
        size = 0
        try:
            settling = Settling(writer, names.dead_letters, "replayed", now)
            for letter, ours in self._open(meant, done):
                verdict = self.judge(letter, now) if ours else None
                if verdict is None or verdict.customer_id is None:
                    settling.leave(letter.id)
                    if verdict is not None:
                        _refuse(done, letter, verdict)
                    continue
                done.done += 1
                if dry_run:
                    continue
                value = letter.content.bytes
                who = verdict.customer_id
                waiting.append(Aside(names.events, who.encode(), value, partition_of(who, partitions)))
                settling.settle(letter.id)
                size += len(value)
                if len(waiting) >= AT_ONCE or size >= BYTES_AT_ONCE:
                    publish(writer, waiting)
                    settling.flush()
                    waiting, size = [], 0
            publish(writer, waiting)
            settling.flush()
        finally:
            writer.close(settings.session_timeout.seconds)
        return done

    def drop(self, meant: Selection, now: int) -> Settled:
        """Mark open letters as dropped. Their bytes go when the log lets go of them. Raises NoSuchLetterError."""
        done = Settled()
        writer = self._deployment.logs.writer()
        try:
            settling = Settling(writer, self._names.dead_letters, "dropped", now)
            for letter, ours in self._open(meant, done):
                if not ours:
                    settling.leave(letter.id)
                    continue
                settling.settle(letter.id)
                done.done += 1
                if done.done % AT_ONCE == 0:
                    settling.flush()
            settling.flush()
        finally:
            writer.close(self._deployment.settings.session_timeout.seconds)
        return done

    def letters(self) -> Iterator[Letter]:
        """Every letter that there is."""
        names, logs = self._names, self._deployment.logs
        return read_letters(logs, names.dead_letters, read_fates(logs, names.dead_letters))

    def _letters(self, meant: Selection) -> Iterator[Letter]:
        return (letter for letter in self.letters() if meant.holds(letter))

    def _open(self, meant: Selection, done: Settled) -> Iterator[tuple[Letter, bool]]:
        """All letters, and whether each is meant and open. Raises NoSuchLetterError at the end."""
        missing = set(meant.ids)
        for letter in self.letters():
            ours = meant.holds(letter)
            missing.discard(letter.id)
            if ours and letter.fate != "open":
                done.dealt_with += 1
            yield letter, ours and letter.fate == "open"
        if missing:
            raise NoSuchLetterError(
                f"there are no dead letters {', '.join(map(str, sorted(missing)))}, or their log has let go of them"
            )


def _refuse(done: Settled, letter: Letter, verdict: Verdict) -> None:
    done.refused[verdict.reason or ""] += 1
    if len(done.examples) < _EXAMPLES:
        done.examples.append((letter.id, verdict))
