"""Atomic steps on their way into the state: put together from memory, written beside other work, then announced."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from consumer.changes import ChangePublisher, new_changes
from consumer.feed import Feed
from consumer.held import Held, checkpoint_of, next_rows, note_day, noted, quiet_rows
from consumer.memory import Memory
from consumer.patience import Patience
from consumer.state import (
    Checkpoint,
    State,
    StateConflictError,
    StateRolledBackError,
    StateUnavailableError,
    Written,
)

_UNASKED: Final = 400
"""Rows in one set of steps that no event asked for, where no event is waited for: some 20 ms."""
_BESIDE: Final = 100
"""The same beside rows that events changed, unless a quarter of those are more: some 5 ms."""

_TOGETHER: Final = 2_000
"""Rows of steps in one round trip, at least: with so many the state has longer to do than the round trip takes."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A step that is to be written."""

    held: Held
    rows: list[int]
    asked: Collection[int]
    """Those that events changed."""
    quiet: Collection[int]
    """Those whose views stay as they are."""
    step: Checkpoint


class Checkpoints:
    """Writes the steps of one worker, one set at a time."""

    def __init__(
        self,
        memory: Memory,
        state: State,
        changes: ChangePublisher,
        patience: Patience,
        monotonic: Callable[[], float],
        *,
        feed: Feed,
    ) -> None:
        self._memory = memory
        self._state = state
        self._changes = changes
        self._feed = feed
        self._patience = patience
        self._monotonic = monotonic

    def prepare(self, held: Held, asked: Collection[int], position: int) -> Prepared:
        """The next step of a partition: the rows that events changed, and what else waits and fits in."""
        store = self._memory.store
        others = (_BESIDE if asked else _UNASKED) // len(self._memory.held)
        rows = next_rows(store, held, asked, max(others, len(asked) // 4))
        changes = new_changes(store, held, rows, self._memory.learner.audiences.names)
        note_day(held, rows, self._feed.day(held.heard))
        return Prepared(held, rows, asked, quiet_rows(held), checkpoint_of(store, held, rows, position, changes))

    def write(self, work: Sequence[Prepared], meanwhile: Callable[[], None]) -> list[Prepared]:
        """Write steps, and announce the changes in them; `meanwhile` is done while the state writes.

        Of many rows, steps are noted while the state writes those after them. Returns those that were not written,
        since their partition belongs to another worker.
        """
        groups = _groups(work)
        endings = [self._begin(group) for group in groups]
        meanwhile()
        lost = []
        for group, end in zip(groups, endings, strict=True):
            for one, written in zip(group, end(), strict=True):
                if isinstance(written, StateConflictError):
                    one.held.rolled_back = isinstance(written, StateRolledBackError)
                    lost.append(one)
                else:
                    noted(one.held, one.step, one.rows, one.asked, self._monotonic(), quiet=one.quiet)
                    self._changes.publish(one.held, dict(one.step.outbox))
        return lost

    def _begin(self, work: Sequence[Prepared]) -> Callable[[], list[Written | StateConflictError]]:
        """Begin to write steps together; what is returned waits for the end of it, however long it takes."""
        steps = [(one.held.number, one.held.token, one.step) for one in work]
        begin = partial(self._state.begin_checkpoints, steps)
        begun = []
        with suppress(StateUnavailableError):  # then it is begun anew when it is waited for
            begun.append(begin())

        def end() -> list[Written | StateConflictError]:
            return (begun.pop() if begun else begin())()

        return lambda: self._patience.try_until_done("checkpoint", end)


def _groups(work: Sequence[Prepared]) -> list[list[Prepared]]:
    """Steps that are written together: so many that they have enough rows."""
    groups: list[list[Prepared]] = [[]]
    rows = 0
    for one in work:
        if rows >= _TOGETHER:
            groups.append([])
            rows = 0
        groups[-1].append(one)
        rows += len(one.rows)
    return groups
