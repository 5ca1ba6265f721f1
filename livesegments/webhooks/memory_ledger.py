"""The ledger in this process's memory: the twin that tests run on."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from livesegments.webhooks.ledger import Kept, LedgerChangedError, Letter, Step


@dataclass(slots=True)
class _Endpoint:
    kept: Kept = field(default_factory=Kept)
    call: str = ""
    letters: dict[str, Letter] = field(default_factory=dict)
    """The oldest first."""
    again: dict[str, tuple[int, Letter]] = field(default_factory=dict)
    """Until when nobody takes it, and the letter."""


class MemoryLedger:
    """See Ledger.

    Parameters:
        most: dead letters that are kept of each endpoint; the oldest go.
    """

    def __init__(self, most: int = 1_000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._endpoints: dict[str, _Endpoint] = {}

    def _of(self, name: str) -> _Endpoint:
        return self._endpoints.setdefault(name, _Endpoint())

    def begin(self, name: str, identity: str, positions: Mapping[int, int]) -> None:
        """See Ledger."""
        with self._lock:
            one = self._of(name)
            if one.kept.identity not in {"", identity}:
                gone = len(one.letters) + len(one.again)
                one.letters, one.again = {}, {}
                one.kept = replace(one.kept, positions={}, dropped=one.kept.dropped + gone)
            one.kept = replace(one.kept, identity=identity, positions={**positions, **one.kept.positions})

    def advance(self, name: str, step: Step) -> int:
        """See Ledger."""
        with self._lock:
            one = self._of(name)
            if one.kept.identity != step.identity:
                raise LedgerChangedError("the log of changes was made anew")
            positions, lost = dict(one.kept.positions), one.kept.lost
            for number, position in step.positions.items():
                if position > positions.get(number, -1):
                    positions[number] = position
                    lost += step.lost.get(number, 0)
            given_up = len(step.letters)
            for letter in step.returned:
                if one.again.pop(letter.id, None) is not None:
                    one.letters[letter.id] = letter
            for letter in step.letters:
                one.again.pop(letter.id, None)
                one.letters[letter.id] = letter
            for letter_id in step.settled:
                one.again.pop(letter_id, None)
                one.letters.pop(letter_id, None)
            ordered = sorted(one.letters.values(), key=lambda letter: (letter.dead_at, letter.id))
            beyond = max(0, len(ordered) - self._most)
            one.letters = {letter.id: letter for letter in ordered[beyond:]}
            repeated = one.call == step.call
            one.call = step.call
            one.kept = replace(
                one.kept,
                positions=positions,
                lost=lost,
                dropped=one.kept.dropped + beyond,
                delivered=one.kept.delivered + (0 if repeated else step.delivered),
                given_up=one.kept.given_up + (0 if repeated else given_up),
                seen_at=step.at,
                failing_since=step.failing_since,
                delivered_at=one.kept.delivered_at if step.delivered_at is None else step.delivered_at,
                status=step.status,
                error=step.error,
            )
            return len(one.again)

    def kept(self, name: str) -> Kept:
        """See Ledger."""
        with self._lock:
            one = self._of(name)
            return replace(one.kept, letters=len(one.letters), again=len(one.again))

    def letters(self, name: str, start: int, count: int) -> Sequence[Letter]:
        """See Ledger."""
        with self._lock:
            return list(reversed(self._of(name).letters.values()))[start : start + count]

    def find(self, name: str, letter_id: str) -> Letter | None:
        """See Ledger."""
        with self._lock:
            one = self._of(name)
            return one.letters.get(letter_id) or one.again.get(letter_id, (0, None))[1]

    def ask_again(self, name: str, ids: Sequence[str] | None) -> int:
        """See Ledger."""
        with self._lock:
            one = self._of(name)
            found = [letter_id for letter_id in (list(one.letters) if ids is None else ids) if letter_id in one.letters]
            for letter_id in found:
                one.again[letter_id] = (0, one.letters.pop(letter_id))
            return len(found)

    def drop(self, name: str, ids: Sequence[str] | None) -> int:
        """See Ledger."""
        with self._lock:
            one = self._of(name)
            dropped = 0
            for letter_id in [*one.letters, *one.again] if ids is None else ids:
                dropped += one.letters.pop(letter_id, None) is not None
                dropped += one.again.pop(letter_id, None) is not None
            return dropped

    def take(self, name: str, count: int, now: int, until: int) -> Sequence[Letter]:
        """See Ledger."""
        with self._lock:
            one = self._of(name)
            free = [letter_id for letter_id, (held_until, _) in one.again.items() if held_until <= now][:count]
            taken = [one.again[letter_id][1] for letter_id in free]
            one.again.update({letter.id: (until, letter) for letter in taken})
            return [replace(letter, dead_at=now) for letter in taken]
