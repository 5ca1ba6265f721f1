"""Atomic steps on their way into the state: put together from memory, written beside other work, then announced."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from consumer.changes import ChangePublisher, new_changes
from consumer.held import Held, checkpoint_of, next_rows, note_day, noted
from consumer.memory import Memory
from consumer.patience import Patience
from consumer.state import Checkpoint, State, StateConflictError, StateRolledBackError
from contracts.times import DAY


@dataclass(frozen=True, slots=True)
class Prepared:
    """A step that is to be written."""

    held: Held
    rows: list[int]
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
    ) -> None:
        self._memory = memory
        self._state = state
        self._changes = changes
        self._patience = patience
        self._monotonic = monotonic
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")

    def prepare(self, held: Held, must: Iterable[int], position: int) -> Prepared:
        """The next step of a partition: the rows that events changed, and what else waits and fits in."""
        store = self._memory.store
        rows = next_rows(store, held, must)
        changes = new_changes(store, held, rows, self._memory.learner.audiences.names)
        note_day(held, rows, self._memory.clock.now // DAY)
        return Prepared(held, rows, checkpoint_of(store, held, rows, position, changes))

    def write(self, work: Sequence[Prepared], meanwhile: Callable[[], None]) -> list[Prepared]:
        """Write steps, and publish the changes in them; `meanwhile` is done while the state writes.

        Returns those that were not written, since their partition belongs to another worker.
        """
        writing = self._writing.submit(lambda: [self._write_one(one) for one in work])
        meanwhile()
        lost = []
        for one, written in zip(work, writing.result(), strict=True):
            if written:
                noted(one.held, one.step, one.rows, self._monotonic())
                self._changes.publish(one.held, dict(one.step.outbox))
            else:
                lost.append(one)
        return lost

    def _write_one(self, one: Prepared) -> bool:
        """Write one step, however long it takes. False: the partition belongs to another worker."""
        number, token, step = one.held.number, one.held.token, one.step
        try:
            self._patience.try_until_done("checkpoint", lambda: self._state.checkpoint(number, token, step))
        except StateRolledBackError:
            one.held.rolled_back = True
            return False
        except StateConflictError:
            return False
        return True

    def close(self) -> None:
        """Wait for what is being written."""
        self._writing.shutdown()
