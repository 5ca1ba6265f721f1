"""Atomic steps on their way into the state: put together from memory, written beside other work, then announced."""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from consumer.changes import ChangePublisher, new_changes
from consumer.feed import Feed
from consumer.held import Held, checkpoint_of, next_rows, note_day, noted
from consumer.memory import Memory
from consumer.patience import Patience
from consumer.state import Checkpoint, State, StateConflictError, StateRolledBackError, Written

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
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")

    def prepare(self, held: Held, asked: Collection[int], position: int) -> Prepared:
        """The next step of a partition: the rows that events changed, and what else waits and fits in."""
        store = self._memory.store
        others = (_BESIDE if asked else _UNASKED) // len(self._memory.held)
        rows = next_rows(store, held, asked, max(others, len(asked) // 4))
        changes = new_changes(store, held, rows, self._memory.learner.audiences.names)
        note_day(held, rows, self._feed.day(held.heard))
        return Prepared(held, rows, asked, checkpoint_of(store, held, rows, position, changes))

    def write(self, work: Sequence[Prepared], meanwhile: Callable[[], None]) -> list[Prepared]:
        """Write steps, and publish the changes in them; `meanwhile` is done while the state writes.

        Of many rows, steps are noted and published while the state writes those after them. Returns those that were not
        written, since their partition belongs to another worker.
        """
        groups = _groups(work)
        writing = [self._writing.submit(self._write, group) for group in groups]
        meanwhile()
        lost = []
        for group, coming in zip(groups, writing, strict=True):
            for one, written in zip(group, coming.result(), strict=True):
                if isinstance(written, StateConflictError):
                    one.held.rolled_back = isinstance(written, StateRolledBackError)
                    lost.append(one)
                else:
                    noted(one.held, one.step, one.rows, one.asked, self._monotonic())
                    self._changes.publish(one.held, dict(one.step.outbox))
        return lost

    def _write(self, work: Sequence[Prepared]) -> list[Written | StateConflictError]:
        """Write steps, however long it takes. Together: between two replies this thread waits for the other one."""
        steps = [(one.held.number, one.held.token, one.step) for one in work]
        return self._patience.try_until_done("checkpoint", lambda: self._state.checkpoint_all(steps))

    def close(self) -> None:
        """Wait for what is being written."""
        self._writing.shutdown()


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
