"""A partition that this worker holds: its claim, how far it has come, and what the next checkpoint has to write."""

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import numpy as np

from consumer.ahead import ahead
from consumer.bonds import pack_bond, read_bond
from consumer.day_book import DayBook, Move
from consumer.feedback_book import FeedbackBook
from consumer.layout import LAYOUT, MISSING_TIME
from consumer.ragged import marker_of, packed_marker
from consumer.row_store import ItemTable, PartitionRows, Rows, RowStore
from consumer.state import MAX_BYTES, MAX_ROWS, Checkpoint, Meta, State
from contracts.documents import CAUSES, NO_SEGMENT
from contracts.errors import LivesegmentsError
from logs.base import LogInfo, PositionGoneError

LEADING: Final = 0
"""The owner of this partition leads."""


class WrongLogError(LivesegmentsError):
    """The log is not the one that the rows were made from."""


@dataclass(frozen=True, slots=True)
class Change:
    """One move of a customer that no checkpoint has written yet."""

    before: int
    after: int
    cause: int
    at: int
    model_version: int


@dataclass(frozen=True, slots=True)
class AudienceChange:
    """Audiences that a customer entered or left, which no checkpoint has written yet."""

    before: int
    """Bit n: in the audience of number n."""
    after: int
    cause: int
    at: int
    model_version: int


@dataclass(slots=True)
class Held:
    """Everything about a held partition besides its rows in the store."""

    number: int
    token: str
    claims: int
    seq: int
    position: int | None
    clock: int
    purchases: int
    heard: int
    """Log time of the newest record that was read, microseconds; 0: none."""
    log: LogInfo
    rows: PartitionRows
    outbox: dict[str, bytes] = field(default_factory=dict)
    """Written changes that are still to be published, or whose publication no checkpoint has noted yet."""
    published: list[str] = field(default_factory=list)
    """Change ids whose publication is acknowledged and not yet noted."""
    unviewed: set[str] = field(default_factory=set)
    """Erased customers whose view is still to be deleted."""
    viewed: list[str] = field(default_factory=list)
    """Those whose view is deleted, not yet noted."""
    changed: dict[int, None] = field(default_factory=dict)
    """Rows that a sweep changed: they may wait for a later checkpoint, oldest first."""
    changes: dict[int, tuple[Change, ...]] = field(default_factory=dict)
    """Moves to be written with their rows. Rows that moved alike share them: a new model may move everybody."""
    audience_changes: dict[int, tuple[AudienceChange, ...]] = field(default_factory=dict)
    """Likewise."""
    book: DayBook = field(default_factory=DayBook)
    """What happened on each stream day, as of the rows that are written."""
    feedback: FeedbackBook = field(default_factory=FeedbackBook)
    """What became of what was shown on each day, as of the rows in memory."""
    onlookers: set[int] = field(default_factory=set)
    """Rows of the next checkpoint that only showings and clicks changed: their views stay as they are."""
    gone: set[int] = field(default_factory=set)
    """Rows that went since the last checkpoint was put together: it may hold them, and another customer have them."""
    sales: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Net amount and purchases by segment that the next checkpoint notes in the book."""
    left: list[tuple[int, str]] = field(default_factory=list)
    """Segments that customers were in, as written last, who are none any more; and why."""
    dirty: dict[int, tuple[int, float]] = field(default_factory=dict)
    """Rows whose view is to be rewritten: since which checkpoint, and since when (monotonic seconds)."""
    asked: dict[int, None] = field(default_factory=dict)
    """Dirty rows that events changed, newest last: their views come before all others."""
    views_seq: int = 0
    """The mark last written: views of rows changed up to that checkpoint are written."""
    sure_at: float = 0.0
    """Monotonic time of the last checkpoint, claim or look at the state: then the partition was ours."""
    rolled_back: bool = False
    """The state has lost checkpoints of ours, and nobody else has claimed the partition."""

    trimmed: int = 0
    """Records before this position were let go of."""
    event_bytes: float = 0.0
    """Bytes of rows that the last checkpoint wrote for each event."""

    def note_size(self, events: int, step: Checkpoint) -> None:
        """Remember how large a checkpoint so many events made."""
        self.event_bytes = sum(len(row) for _, row in step.rows) / events

    @property
    def has_news(self) -> bool:
        """Whether a checkpoint would note something even if no event came."""
        unnoted_views = not self.dirty and self.views_seq < self.seq
        return bool(
            self.changed
            or self.published
            or self.viewed
            or self.rows.erased
            or self.rows.changed_bonds
            or unnoted_views
        )


def claim(state: State, partition: int, log: LogInfo, now: float) -> tuple[Held, Meta]:
    """Take a partition with a fresh token. Raises StateConflictError, WrongLogError, PositionGoneError.

    A worker on the wrong log claims nothing: whoever holds the partition on the right one goes on.
    """
    seen = state.meta(partition)
    if seen is not None and seen.seq:
        _check_log(seen, log)
    token = secrets.token_hex(8)
    # A partition that lost its last claims must not make a leader whose number is refused for ever.
    above = state.leader() if partition == LEADING else 0
    meta = state.claim(partition, token, seen.claims if seen else 0, above)
    if partition == LEADING:
        state.lead(meta.claims)
    held = Held(
        number=partition,
        token=token,
        claims=meta.claims,
        seq=meta.seq,
        position=meta.position,
        clock=meta.clock if meta.seq else MISSING_TIME,
        purchases=meta.purchases,
        heard=meta.heard,
        log=log,
        rows=PartitionRows(partition),
        views_seq=meta.views_seq,
        sure_at=now,
    )
    return held, meta


def _check_log(meta: Meta, log: LogInfo) -> None:
    if meta.log_identity != log.identity:
        raise WrongLogError(
            f"the log {log.name!r} was deleted and created again since these rows were made from it:"
            " its old events are gone. Start with another key prefix to build rows from the new log"
        )
    if meta.log_partitions != log.partitions:
        raise WrongLogError(
            f"the log {log.name!r} has {log.partitions} partitions, the rows were made from {meta.log_partitions}:"
            " customers would be looked for in the wrong place. If it was given more, `livesegments repartition` moves"
            " the rows; else start with another key prefix and read the log again"
        )
    if meta.position is None:
        raise PositionGoneError(f"partition has rows but no position in {log.name!r}")


def load(state: State, store: RowStore, held: Held) -> Rows:
    """Read a claimed partition into memory; rows whose view was not written become dirty. Returns its rows."""
    store.partitions[held.number] = held.rows  # first: where the state fails amid this, it is dropped again
    kept = state.keep(held.number)
    held.rows.items = ItemTable(kept.items, store.item_places)
    held.rows.markers = {key: marker_of(value) for key, value in kept.markers.items()}
    held.rows.erasures = len(held.rows.markers)
    held.rows.bonds = {customer_id: read_bond(bond) for customer_id, bond in kept.bonds.items()}
    held.outbox = dict(kept.outbox)
    held.unviewed = set(kept.unviewed)
    if not held.views_seq:  # as after a restore: no view counts as written
        held.unviewed.update(customer_id for customer_id, bond in held.rows.bonds.items() if bond.shown)
    store.reserve(state.row_count(held.number))
    parts = [store.load(held.rows, ids, blobs) for ids, blobs in ahead(state.rows(held.number)) if ids]
    rows = np.concatenate(parts) if parts else np.empty(0, np.int64)
    segments, sizes = np.unique(store.header["segment"][rows], return_counts=True)
    held.book = DayBook.load(kept.days, dict(zip(segments.tolist(), sizes.tolist(), strict=True)))
    held.feedback = FeedbackBook.load(kept.feedback)
    late = store.customers_of(rows)
    late = late[store.header["changed_seq"][late] > held.views_seq]
    order = np.argsort(store.header["changed_seq"][late], kind="stable")
    seqs = store.header["changed_seq"][late[order]].tolist()
    marks = {seq: (seq, held.sure_at) for seq in set(seqs)}  # one for all rows of a checkpoint: there may be a million
    held.dirty = {row: marks[seq] for row, seq in zip(late[order].tolist(), seqs, strict=True)}
    return rows


def next_rows(store: RowStore, held: Held, must: Collection[int], others: int = MAX_ROWS) -> list[int]:
    """The rows of the next checkpoint: those that events changed, then others as far as they fit in.

    At most so many `others`: they cost time for which events and views wait.
    """
    chosen = dict.fromkeys(must)
    for row in chosen:
        held.changed.pop(row, None)
    size = sum(store.size_of(row) for row in chosen)
    for row in list(islice(held.changed, min(MAX_ROWS - len(chosen), others))):
        size += store.size_of(row)
        if size > MAX_BYTES:
            break
        chosen[row] = None
        del held.changed[row]
    return list(chosen)


def note_day(held: Held, rows: Iterable[int], day: int) -> None:
    """Note in the day book what the next checkpoint, of these rows, writes for the first time."""
    moves: list[Move] = [
        (change.before, change.after, CAUSES[change.cause]) for row in rows for change in held.changes.get(row, ())
    ]
    moves += [(segment, NO_SEGMENT, cause) for segment, cause in held.left]
    held.book.note(day, moves, held.sales)
    held.sales.clear()
    held.left.clear()


def checkpoint_of(store: RowStore, held: Held, rows: list[int], position: int, outbox: dict[str, bytes]) -> Checkpoint:
    """The next checkpoint of a partition, from what is in memory; what it writes is no news any more.

    While it is written memory may go on. It is written, or the partition lost: nothing is ever put back.
    """
    seq = held.seq + 1
    items, erased, bonds = held.rows.items, held.rows.erased, held.rows.changed_bonds
    days, old_days = held.book.news()
    feedback, old_feedback = held.feedback.news()
    oldest = next(iter(held.dirty.values()), None)
    # Rows of this checkpoint are dirty from now on, so the mark passes it only where it has none.
    mark = oldest[0] - 1 if oldest else held.seq if rows else seq
    step = Checkpoint(
        seq=seq,
        position=position,
        log_identity=held.log.identity,
        log_partitions=held.log.partitions,
        clock=held.clock,
        purchases=held.purchases,
        heard=held.heard,
        views_seq=mark,
        layout=LAYOUT,
        rows=list(zip([store.ids[row] for row in rows], store.pack(np.array(rows, np.int64), seq), strict=True)),
        removed=sorted(erased),
        markers={key: packed_marker(marker) for key, marker in held.rows.new_markers.items()},
        items=dict(enumerate(items.names[items.stored :], items.stored)),
        outbox=outbox,
        published=list(held.published),
        unviewed=sorted(erased),
        viewed=list(held.viewed),
        days=days,
        old_days=old_days,
        feedback=feedback,
        old_feedback=old_feedback,
        bonds={one: pack_bond(held.rows.bonds[one]) for one in sorted(bonds & held.rows.bonds.keys())},
        dissolved=sorted(bonds - held.rows.bonds.keys()),
    )
    for row in rows:
        held.changes.pop(row, None)
        held.audience_changes.pop(row, None)
    held.book.noted()
    held.feedback.noted()
    items.stored += len(step.items)
    held.rows.new_markers.clear()
    erased.clear()
    bonds.clear()
    held.gone.clear()
    return step


def quiet_rows(held: Held) -> frozenset[int]:
    """The rows of the checkpoint just put together whose views stay as they are; the next one has its own."""
    quiet = frozenset(held.onlookers)
    held.onlookers.clear()
    return quiet


def noted(
    held: Held, step: Checkpoint, rows: list[int], asked: Collection[int], now: float, *, quiet: Collection[int]
) -> None:
    """Bring memory up to a checkpoint that is written; events changed those rows that were `asked` for.

    Views of `quiet` rows stay as they are.
    """
    held.seq = step.seq
    held.position = step.position
    held.views_seq = step.views_seq
    held.sure_at = now
    held.outbox.update(step.outbox)
    for change_id in step.published:
        held.outbox.pop(change_id, None)
    held.published = held.published[len(step.published) :]
    held.unviewed.difference_update(step.viewed)
    held.unviewed.update(step.unviewed)
    held.viewed = held.viewed[len(step.viewed) :]
    mark = step.seq, now
    for row in rows:
        if row not in quiet and row not in held.gone:
            held.dirty.setdefault(row, mark)
    for row in asked:
        if row in held.dirty and row not in held.gone:
            held.asked.pop(row, None)  # it comes last now
            held.asked[row] = None
