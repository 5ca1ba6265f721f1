"""Moving rows to the partitions that their customers hash to, once a log has been given more of them. Offline.

Rows are copied first, compared, and removed from where they were only after that: killed anywhere, it goes on when
it is run again. How far it has come stands in a note; meanwhile partitions are closed, so that no worker takes them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import gcd
from typing import Final

import msgspec

from consumer.day_book import Page, read_page
from consumer.image import Image, Images
from consumer.layout import LAYOUT, UNFINISHED
from consumer.moving_rows import digest_of, leaving, moved, sizes_of
from consumer.row_store import ItemTable
from consumer.state import Kept, Meta, State
from contracts.documents import NO_SEGMENT
from contracts.errors import LivesegmentsError
from contracts.partitioning import partition_of
from logs.base import LogInfo

NOTE: Final = "repartition"
_COPYING: Final = "copying"
_REMOVING: Final = "removing"


class RepartitionError(LivesegmentsError):
    """Rows are not to be moved, or were not moved as they should have been."""


class _Progress(msgspec.Struct, frozen=True):
    """How far it has come, as a note says."""

    before: int
    """Partitions that the rows were made from."""
    after: int
    stage: str


@dataclass(frozen=True, slots=True)
class Repartitioned:
    """What was done."""

    before: int
    after: int
    customers: int
    moved: int


def begun(state: State) -> bool:
    """Whether a repartitioning was interrupted."""
    return NOTE in state.notes()


def repartition(
    state: State, images: Images, log: LogInfo, *, before: Callable[[int], None] = lambda _: None
) -> Repartitioned:
    """Move every row to its partition of the log as it is now. Nobody may work meanwhile.

    `before` is called with the old number of partitions before anything is written, unless something was
    written already; it may raise. Memory: two partitions at a time. Raises RepartitionError, StateError.
    """
    work = _Work(state, images, log, _plan(state, log))
    if not begun(state):
        before(work.plan.before)
        work.note(_COPYING)
    if work.stage == _COPYING:
        work.close()
        work.copy()
        customers = work.compare()
        work.note(_REMOVING)
    else:
        customers = 0
    gone = work.remove()
    customers = work.finish() or customers
    state.put_note(NOTE, None)
    return Repartitioned(work.plan.before, log.partitions, customers, gone)


def _plan(state: State, log: LogInfo) -> _Progress:
    """From how many partitions to how many. Raises RepartitionError where there is nothing to do, or another log."""
    note = state.notes().get(NOTE)
    if note is not None:
        plan = msgspec.json.decode(note, type=_Progress)
        if plan.after != log.partitions:
            raise RepartitionError(
                f"a repartitioning to {plan.after} partitions was interrupted, and the log has {log.partitions} now:"
                " restore a snapshot from before"
            )
        return plan
    metas = [meta for number in range(log.partitions) if (meta := state.meta(number)) is not None and meta.seq]
    if not metas:
        raise RepartitionError("there are no rows: nothing to move")
    if any(meta.log_identity != log.identity for meta in metas):
        raise RepartitionError(
            f"the log {log.name!r} is not the one that the rows were made from: it was deleted and created again."
            " Start with another key prefix to build rows from the new log"
        )
    if any(meta.layout == UNFINISHED for meta in metas):
        raise RepartitionError("a restore or rebuild was interrupted: end that first")
    counts = {meta.log_partitions for meta in metas}
    (most,) = counts if len(counts) == 1 else (max(counts),)
    if most == log.partitions:
        raise RepartitionError(
            f"the rows are in {most} partitions, and the log {log.name!r} has as many: nothing to move"
        )
    if most > log.partitions:
        raise RepartitionError(
            f"the rows are in {most} partitions, the log {log.name!r} has {log.partitions}: only more work"
        )
    return _Progress(most, log.partitions, _COPYING)


class _Work:
    """One repartitioning, step by step. Every step may be done again."""

    def __init__(self, state: State, images: Images, log: LogInfo, plan: _Progress) -> None:
        self._state = state
        self._images = images
        self._log = log
        self.plan = plan
        self.stage = plan.stage

    def note(self, stage: str) -> None:
        """Remember how far it has come."""
        self.stage = stage
        self._state.put_note(NOTE, msgspec.json.encode(_Progress(self.plan.before, self.plan.after, stage)))

    def close(self) -> None:
        """Take all partitions, old and new, from whoever may hold them."""
        for number in range(self.plan.after):
            self._images.close_partition(number)

    def copy(self) -> None:
        """Copy every row to where it belongs."""
        for number in range(self.plan.before):
            image = self._images.read_closed(number)
            if image is None:
                continue
            self._copy_markers(image)
            self._copy_bonds(image)
            for target, places in leaving(image, self.plan.before, self.plan.after).items():
                meta = self._state.meta(target)
                items = ItemTable(self._state.keep(target).items)
                rows = moved(image, places, items, (meta.seq if meta else 0) + 1)
                # Items first: no row may name one that is not there.
                self._images.put_kept(target, Kept(items.names, {}, {}, self._unviewed(image, target), {}))
                self._images.put_rows(target, ([image.customer_ids[place] for place in places], rows))

    def _copy_markers(self, image: Image) -> None:
        """A marker knows its customer by a hash alone, so it goes wherever that customer may belong."""
        common = gcd(self.plan.before, self.plan.after)
        for target in range(image.partition % common, self.plan.after, common):
            if target != image.partition and image.kept.markers:
                self._images.put_kept(target, Kept((), image.kept.markers, {}, frozenset(), {}))

    def _copy_bonds(self, image: Image) -> None:
        """A bond names items and ids, so it goes as it is to where its id belongs."""
        going: dict[int, dict[str, bytes]] = {}
        for who, bond in image.kept.bonds.items():
            target = partition_of(who, self.plan.after)
            if target != image.partition and partition_of(who, self.plan.before) == image.partition:
                going.setdefault(target, {})[who] = bond
        for target, bonds in going.items():
            self._images.put_kept(target, Kept((), {}, {}, frozenset(), {}, bonds=bonds))

    def _unviewed(self, image: Image, target: int) -> frozenset[str]:
        return frozenset(one for one in image.kept.unviewed if partition_of(one, self.plan.after) == target)

    def compare(self) -> int:
        """Compare all rows where they were with all where they are to be; returns how many there are."""
        old, new = [0, 0], [0, 0]
        for number in range(self.plan.after):
            image = self._images.read_closed(number)
            if image is None:
                continue
            for told, partitions in ((old, self.plan.before), (new, self.plan.after)):
                here = [n for n, who in enumerate(image.customer_ids) if partition_of(who, partitions) == number]
                told[0] += len(here)
                told[1] += digest_of(image, here)
        if [old[0], old[1] % 2**64] != [new[0], new[1] % 2**64]:
            raise RepartitionError(
                f"{old[0]:,} rows were to be moved and {new[0]:,} have arrived, or some are not what they were: nothing"
                " was removed. Did a worker run? Run the same command again"
            )
        return new[0]

    def remove(self) -> int:
        """Remove copied rows from where they were; returns how many."""
        gone = 0
        for number in self._closed():
            image = self._images.read_closed(number)
            if image is not None:
                ids = [who for who in image.customer_ids if partition_of(who, self.plan.after) != number]
                for start in range(0, len(ids), 1000):
                    self._images.remove_rows(number, ids[start : start + 1000])
                self._images.remove_bonds(
                    number, [who for who in image.kept.bonds if partition_of(who, self.plan.after) != number]
                )
                gone += len(ids)
        return gone

    def finish(self) -> int:
        """Open the partitions, each with its position: a new one begins at the beginning. Returns how many rows."""
        metas = [self._state.meta(number) for number in range(self.plan.after)]
        clock = max(meta.clock for meta in metas if meta is not None)
        heard = max(meta.heard for meta in metas if meta is not None)
        day = max((one for book in self._state.pages(self.plan.after) for one in book), default=None)
        customers = 0
        for number in self._closed():
            image = self._images.read_closed(number)
            if image is None:
                self._images.finish(number, None)
                continue
            if day is not None:
                self._images.put_kept(number, Kept((), {}, {}, frozenset(), {day: _page(image, day)}))
            self._images.finish(number, self._opened(image.meta, clock, heard))
            customers += len(image.rows)
        return customers

    def _opened(self, meta: Meta, clock: int, heard: int) -> Meta:
        return replace(
            meta,
            seq=meta.seq + 1,
            position=meta.position or 0,
            log_identity=self._log.identity,
            log_partitions=self._log.partitions,
            clock=clock,
            heard=heard,
            layout=LAYOUT,
        )

    def _closed(self) -> list[int]:
        metas = {number: self._state.meta(number) for number in range(self.plan.after)}
        return [number for number, meta in metas.items() if meta is not None and meta.layout == UNFINISHED]


def _page(image: Image, day: int) -> bytes:
    """The day's page of a partition with the sizes of the rows that it has now."""
    page = read_page(image.kept.days[day]) if day in image.kept.days else Page()
    sizes = sizes_of(image, range(len(image.rows)))
    page.sizes = {segment: size for segment, size in sizes.items() if segment != NO_SEGMENT}
    return msgspec.msgpack.encode(page)
