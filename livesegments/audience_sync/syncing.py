"""One sync: the order of writes in which nothing is lost and nothing is told twice."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from livesegments.audience_sync.contacts import Contact, LeftOut
from livesegments.audience_sync.ledger import MOST_DELTAS, Delivery, SyncLedger
from livesegments.audience_sync.shapes import Shape
from livesegments.audience_sync.targets import Target


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync came to."""

    finished: Delivery | None
    """What had been decided earlier, and was handed on now."""
    delivery: Delivery | None
    """What was decided and handed on now; None: nothing has changed."""
    members: int
    left_out: LeftOut
    """Members of whom nothing is said."""


def sync(
    ledger: SyncLedger,
    target: Target,
    shape: Shape,
    read: Callable[[], Iterable[Contact]],
    *,
    now: int,
    part_rows: int,
    full_every: int = 0,
    full: bool = False,
    left_out: Callable[[], LeftOut] = LeftOut,
) -> Synced:
    """Tell the receiver what it does not know yet. `now` and `full_every`: microseconds; 0 is never.

    `left_out` tells, once `read` has ended, of whom it said nothing.

    1. What was decided before and not handed on is handed on: made of the ledger's rows, so of the same bytes.
    2. The difference between the audience and what the receiver knows is decided, in one transaction: rows to tell,
       membership after them, number. Before it nothing has happened, after it step 1 of the next sync ends the work.
    3. It is handed on: whole files by renaming, then the manifest; requests under ids that are the same each time.
    4. The ledger forgets the rows.

    Raises LivesegmentsError; calling it again goes on where it stood.
    """
    finished = ledger.pending
    if finished is not None:
        ledger.settle(finished, target.hand_on(finished, ledger))
    source = shape.made_of
    # Asked for or not, a full list has a number behind those that the receiver has seen.
    whole = _is_due(ledger, target, source, now, full_every) or full
    delivery = ledger.decide(
        read(),
        headers=shape.headers,
        source=source,
        at=now,
        part_rows=part_rows,
        full=whole,
        left_out=left_out,
    )
    if delivery is not None:
        ledger.settle(delivery, target.hand_on(delivery, ledger))
    return Synced(finished, delivery, ledger.size, left_out())


def _is_due(ledger: SyncLedger, target: Target, source: str, now: int, full_every: int) -> bool:
    """Whether the next delivery has to be a full list."""
    known = target.known()
    if known is not None and (known.stream, known.sequence) != (ledger.stream, ledger.sequence):
        # Files or ledger are new, lost or from a backup: what the receiver knows is not what the ledger says.
        ledger.begin_after(known.sequence)
        return True
    if ledger.full_at is None or ledger.source != source:
        return True
    return (full_every > 0 and now - ledger.full_at >= full_every) or len(ledger.handed_on()) > MOST_DELTAS
