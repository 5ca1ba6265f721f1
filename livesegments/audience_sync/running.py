"""All syncs of the settings, each when it is due, until told to stop."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

import structlog

from consumer.clock import wall_micros
from contracts.errors import LivesegmentsError
from contracts.times import HOUR, MINUTE, SECOND
from livesegments.audience_sync.contacts import LeftOut
from livesegments.audience_sync.ledger import LedgerBusyError
from livesegments.audience_sync.syncing import Synced
from livesegments.audience_sync.syncs import Sync

FIRST_RETRY: Final = MINUTE
LONGEST_RETRY: Final = HOUR
_log = structlog.get_logger("livesegments.audience_sync")


@dataclass(slots=True)
class Standing:
    """How a sync stands, as far as this process knows."""

    due: int
    done_at: int | None
    """When it was done last."""
    failures: int = 0
    """In a row."""
    members: int | None = None
    left_out: LeftOut = field(default_factory=LeftOut)
    told: Counter[str] = field(default_factory=Counter)
    """Contacts handed on by this process, by what was said of them: full, entered, left."""


@dataclass(slots=True)
class Schedule:
    """When each sync is due. Times in microseconds UTC.

    Parameters:
        syncs: by name.
        last: when each was done last, as far as is known.
        run: does one, and says what it came to.
    """

    syncs: Mapping[str, Sync]
    last: Mapping[str, int | None]
    run: Callable[[Sync], Synced]
    standing: dict[str, Standing] = field(init=False)

    def __post_init__(self) -> None:
        last = {name: self.last.get(name) for name in self.syncs}
        self.standing = {
            name: Standing(0 if at is None else at + self.syncs[name].every, at) for name, at in last.items()
        }

    @property
    def next_due(self) -> int:
        """When there is something to do next."""
        return min(one.due for one in self.standing.values())

    def work(self, now: int) -> list[str]:
        """Do what is due; the names of those that failed."""
        failed = []
        for name, one in self.syncs.items():
            standing = self.standing[name]
            if standing.due > now:
                continue
            try:
                done = self.run(one)
            except LivesegmentsError as error:
                failed.append(name)
                standing.failures += 1
                wait = min(FIRST_RETRY * 2 ** min(standing.failures - 1, 10), LONGEST_RETRY, one.every)
                standing.due = now + wait
                level = _log.info if isinstance(error, LedgerBusyError) else _log.error
                level("audience not synced", sync=name, to=one.shown_to, why=str(error), again_in=wait // SECOND)
                continue
            standing.failures, standing.due, standing.done_at = 0, now + one.every, now
            standing.members, standing.left_out = done.members, done.left_out
            for delivery in (done.finished, done.delivery):
                if delivery is not None:
                    standing.told.update(delivery.counts)
            _log.info("audience synced", sync=name, to=one.shown_to, **told(done))
        return failed


def told(done: Synced) -> dict[str, int | str]:
    """What a sync came to, as fields of a line."""
    found: dict[str, int | str] = {"members": done.members}
    if done.finished is not None:
        found["finished"] = done.finished.sequence
    if done.delivery is not None:
        found |= {"sequence": done.delivery.sequence, "kind": done.delivery.kind, **done.delivery.counts}
    return found | {f"left_out_{why}": count for why, count in asdict(done.left_out).items() if count}


def run_until(
    stopping: threading.Event,
    schedule: Schedule,
    look: Callable[[Schedule], None],
    now: Callable[[], int] = wall_micros,
) -> None:
    """Work until the event is set; what is under way is ended first. `look` is called before and after each round."""
    look(schedule)
    while not stopping.is_set():
        schedule.work(now())
        look(schedule)
        # Looked at once a minute at least: a clock that was set back is not waited for.
        stopping.wait(min(max(schedule.next_due - now(), 0) / SECOND, 60.0))
