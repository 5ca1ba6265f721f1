"""What rows say about items: worker-wide numbers, kept lines as histories, popularity that follows every change."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from consumer.applied import Before
from consumer.catalogue_columns import CatalogueColumns
from consumer.catalogue_entry import Entry
from consumer.layout import HEAD, LINE
from consumer.ragged_columns import Categories
from consumer.row_store import Rows, RowStore
from online_model.model import FIRST_SEGMENT_ID
from recommender.distinct import distinct
from recommender.history import History
from recommender.item_model import NumberedItems
from recommender.non_products import NonProducts
from recommender.popularity import ItemPopularity, Popular
from recommender.settings import RecommenderSettings
from recommender.views import ItemTexts

_NOT_COUNTED: Final = -2
_AT_ONCE: Final = 1_024
"""Rows whose lines are unpacked at a time: of a whole partition they would be hundreds of megabytes."""
_NO_SLOT: Final = -1
SHARED_ITEMS: Final = 2_000
"""Best-selling items that a worker tells the others about."""


class Items:
    """Every item that rows of this worker name or that the catalogue may call new, with one number each.

    And which of them may be recommended, their categories, and since when there are such items.
    """

    def __init__(self, non_products: Sequence[str], categories: Categories | None = None) -> None:
        self._categories = categories if categories is not None else Categories()
        self.texts = ItemTexts()
        self.numbers: dict[str, int] = {}
        self._products = NonProducts(non_products)
        self._entries: dict[str, Entry] = {}
        self._columns = CatalogueColumns()
        self._withdrawn: set[str] = set()
        """By the catalogue."""
        self._excluded: set[str] = set()
        """By the patterns of the settings."""
        self._mask: npt.NDArray[np.bool_] | None = None
        self.withdrawals = 0
        """Raised whenever `withdrawn` changes."""

    def number(self, names: Iterable[str]) -> npt.NDArray[np.int32]:
        """Worker-wide numbers of items; new ones get the next."""
        numbers = []
        for name in names:
            number = self.numbers.get(name)
            if number is None:
                number = self.numbers[name] = len(self.texts)
                self.texts.extend((name,))
                self._products.extend((name,))
                self._columns.extend((self._entries.get(name),))
                self._mask = None
                if not self._products.allowed[number]:
                    self._exclude(name)
            numbers.append(number)
        return np.array(numbers, np.int32)

    def put(self, item_id: str, entry: Entry | None) -> None:
        """What the catalogue says of an item from now on; None: nothing any more."""
        before = self._entries.get(item_id)
        if entry is None:
            self._entries.pop(item_id, None)
        else:
            self._entries[item_id] = entry
            if before is None and item_id not in self.numbers and self._products.matches(item_id):
                self._exclude(item_id)
        self._withdraw(item_id, withdrawn=entry is not None and not entry.offered)
        self._categories.set(item_id, None if entry is None else entry.category)
        number = self.numbers.get(item_id)
        if number is not None:
            self._columns.put(number, entry)
        elif entry is not None and entry.since is not None:
            self.number((item_id,))  # only what is numbered can be recommended as new

    @property
    def allowed(self) -> npt.NDArray[np.bool_]:
        """Which items may be recommended, (items,)."""
        if self._mask is None:
            self._mask = self._products.allowed.copy()
            known = [self.numbers[item] for item in self._withdrawn if item in self.numbers]
            self._mask[known] = False
        return self._mask

    @property
    def products(self) -> npt.NDArray[np.bool_]:
        """Which items are products, in stock or not, by the settings and the catalogue, (items,)."""
        mask = self._products.allowed.copy()
        mask[
            [self.numbers[one] for one in self._withdrawn if one in self.numbers and not self._entries[one].product]
        ] = False
        return mask

    @property
    def products_by_settings(self) -> npt.NDArray[np.bool_]:
        """Which items are products whatever the catalogue says, (items,)."""
        return self._products.allowed

    @property
    def withdrawn(self) -> list[str]:
        """Items that may not be recommended, as the catalogue and the settings say, by id."""
        return sorted(self._withdrawn | self._excluded)

    @property
    def category_codes(self) -> npt.NDArray[np.int32]:
        """Places in `category_names`, (items,); -1 for an item without a category. A view."""
        return self._columns.category_codes

    @property
    def category_names(self) -> Sequence[str]:
        """Every category that was ever heard of; a place never changes."""
        return self._columns.category_names

    @property
    def first_seen(self) -> npt.NDArray[np.int64]:
        """Since when there is each item, microseconds UTC, (items,): see CatalogueColumns.first_seen."""
        return self._columns.first_seen

    @property
    def history_start(self) -> int | None:
        """The first sale of any item, as far as kept lines go back; None before there is one.

        What was first seen soon after it may be as old as anything: it is not new.
        """
        return self._columns.history_start

    def new(self, now: int, age: int) -> npt.NDArray[np.int32]:
        """Numbers of the items that there have been for less than `age` (microseconds), and not from the beginning."""
        start = self.history_start
        if start is None:
            return np.empty(0, np.int32)
        since = self.first_seen
        return np.flatnonzero((since > max(now, start + 2 * age) - age) & (since <= now)).astype(np.int32)

    def sold(self, items: npt.NDArray[np.int32], at: npt.NDArray[np.int64]) -> None:
        """Purchases: item numbers and times (microseconds UTC), both (lines,)."""
        self._columns.sold(items, at)

    def _withdraw(self, item_id: str, *, withdrawn: bool) -> None:
        if withdrawn is not (item_id in self._withdrawn):
            (self._withdrawn.add if withdrawn else self._withdrawn.discard)(item_id)
            self._mask = None
            self.withdrawals += 1

    def _exclude(self, item_id: str) -> None:
        if item_id not in self._excluded:
            self._excluded.add(item_id)
            self.withdrawals += 1


def history_of(
    heads: Sequence[bytes],
    lines: Sequence[bytes],
    numbers: Callable[[npt.NDArray[np.int32], npt.NDArray[np.uint32]], npt.NDArray[np.int32]],
) -> History:
    """The kept lines of rows as they are packed.

    `numbers` gives the worker-wide numbers of items: of whose they are, the place of the row, and their numbers in its
    partition, all (lines,).
    """
    packed = np.frombuffer(b"".join(lines), LINE)
    if not len(packed):
        return History.empty()
    table = np.frombuffer(b"".join(heads), HEAD)
    counts = np.array([len(part) for part in lines]) // LINE.itemsize
    owners = np.repeat(np.arange(len(lines), dtype=np.int32), counts)
    return History(
        customers=owners,
        items=numbers(owners, packed["item"]),
        at=np.repeat(table["at"], table["lines"]),
        quantity=packed["quantity"].copy(),
    )


@dataclass(frozen=True, slots=True)
class _Heard:
    """What another worker shared last."""

    data: bytes
    at: int
    popularity: ItemPopularity
    numbers: npt.NDArray[np.int32]
    """Of its items, here."""


@dataclass(slots=True)
class _Change:
    """Lines of some rows to be counted or taken back: of each row the first or (negative) the last so many bytes."""

    rows: list[int]
    slots: list[int]
    heads: list[bytes]
    lines: list[bytes]
    sizes: list[int]

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        return cls([], [], [], [], [])

    def add(self, row: int, slot: int, heads: bytes, lines: bytes, size: int) -> None:
        """One row more."""
        self.rows.append(row)
        self.slots.append(slot)
        self.heads.append(heads)
        self.lines.append(lines)
        self.sizes.append(size)

    def slots_array(self) -> npt.NDArray[np.int32]:
        """The slot of each row."""
        return np.array(self.slots, np.int32)


@dataclass(frozen=True, slots=True)
class Detached:
    """Rows that are in no partition any more and still count."""

    rows: Rows
    slots: npt.NDArray[np.int32]
    """Where they are counted, (rows,)."""
    numbers: npt.NDArray[np.int32]
    """Of the items of their partition, here."""

    def split(self, rows: int) -> tuple[Self, Self]:
        """The first so many, and the rest."""
        return (
            replace(self, rows=self.rows[:rows], slots=self.slots[:rows]),
            replace(self, rows=self.rows[rows:], slots=self.slots[rows:]),
        )


class ItemSums:
    """Popularity by segment and item over the kept lines of all rows, by `revise(before, after)`."""

    def __init__(self, store: RowStore, settings: RecommenderSettings) -> None:
        self.items = Items(settings.non_products, store.categories)
        self._store = store
        self._settings = settings
        self._sums = ItemPopularity(settings.popularity_half_life)
        self._others: dict[str, _Heard] = {}
        self._maps: dict[int, npt.NDArray[np.int32]] = {}
        self._slots: dict[int, int] = {}
        self._counted_in = np.empty(0, np.int32)

    def numbers(self, partition: int) -> npt.NDArray[np.int32] | None:
        """Worker-wide numbers of a partition's items by their numbers there; None where it is not held."""
        return self._numbers([partition])[0] if partition in self._store.partitions else None

    def history(self, rows: Rows) -> History:
        """The kept lines of rows."""
        numbers = rows.tolist()
        return self._history(self._store.heads.of(numbers), self._store.lines.of(numbers), rows)

    def slots(self, rows: Rows) -> npt.NDArray[np.int32]:
        """The popularity slot of each row's segment; -1 where it is none that a model learnt."""
        ids, places = np.unique(self._store.header["segment"][rows], return_inverse=True)
        slots = np.array([self._slot(int(segment)) for segment in ids], np.int32)
        return slots[places] if len(rows) else np.empty(0, np.int32)

    def slot(self, segment: int) -> int:
        """The popularity slot of a segment, -1 where it has none."""
        return self._slots.get(segment, _NO_SLOT)

    def buyers(self, most: int) -> npt.NDArray[np.int64]:
        """How many customers bought each item, (items,), by their kept lines; of `most` customers where there are more.

        A purchase that was given back counts, too.
        """
        rows = np.flatnonzero(self._counted_in != _NOT_COUNTED)
        history = self.history(rows[:: -(-len(rows) // most) or 1])
        history = history.where(history.quantity > 0)
        pairs = distinct(history.customers.astype(np.int64) << 32 | history.items)
        return np.bincount(pairs & 0xFFFFFFFF, minlength=len(self.items.texts))

    def revise(self, rows: Rows, before: Mapping[int, Before]) -> None:
        """Take back what rows contributed, count what they contribute now.

        `before` has the former lines of the rows whose lines changed; of the others only the segment has. Where lines
        were only appended, those are what is counted, and those that made room for them what is taken back.
        """
        self._fit_in()
        slots = self.slots(rows)
        was = self._counted_in[rows]
        if not before:
            self._count_as_they_are(rows, was, slots)
            return
        old = _Change.empty()
        new = _Change.empty()
        numbers = rows.tolist()
        kept = (self._store.heads.of(numbers), self._store.lines.of(numbers))
        for row, heads, lines, slot, counted_in in zip(numbers, *kept, slots.tolist(), was.tolist(), strict=True):
            former = before.get(row)
            if counted_in == _NOT_COUNTED:
                new.add(row, slot, heads, lines, len(lines))
            elif former is None:
                if slot != counted_in:
                    old.add(row, counted_in, heads, lines, len(lines))
                    new.add(row, slot, heads, lines, len(lines))
            elif slot != counted_in or former.appended is None:
                old.add(row, counted_in, former.heads, former.lines, len(former.lines))
                new.add(row, slot, heads, lines, len(lines))
            else:
                appended = former.appended * LINE.itemsize
                dropped = min(len(former.lines), len(former.lines) + appended - len(lines))
                if dropped:
                    old.add(row, counted_in, former.heads, former.lines, dropped)
                new.add(row, slot, heads, lines, -min(appended, len(lines)))
        bought = self._history_of(new)
        bought = bought.where(bought.quantity > 0)
        self.items.sold(bought.items, bought.at)
        self._sums.revise(self._history_of(old), old.slots_array(), bought, new.slots_array())
        self._counted_in[rows] = slots

    def _count_as_they_are(self, rows: Rows, was: npt.NDArray[np.int32], slots: npt.NDArray[np.int32]) -> None:
        """Count rows that are new here, and move those of another slot: a loaded partition, or half of a shop."""
        differ = np.flatnonzero(was != slots)
        for start in range(0, len(differ), _AT_ONCE):
            some = differ[start : start + _AT_ONCE]
            history = self.history(rows[some])
            history = history.where(history.quantity > 0)
            self.items.sold(history.items, history.at)
            counted = history.where((was[some] != _NOT_COUNTED)[history.customers])
            self._sums.revise(counted, was[some], history, slots[some])
            self._counted_in[rows[some]] = slots[some]

    def detach(self, partition: int, rows: Rows) -> Detached:
        """All rows of a partition that goes; what they contributed counts until it is taken back."""
        self._fit_in()
        numbers, _ = self._numbers([partition])
        self._maps.pop(partition, None)
        detached = Detached(rows, self._counted_in[rows], numbers)
        self._counted_in[rows] = _NOT_COUNTED
        return detached

    def take_back(self, detached: Detached) -> None:
        """What detached rows contributed; their lines must still be there."""
        counted = detached.slots != _NOT_COUNTED
        rows = detached.rows[counted].tolist()
        heads, lines = self._store.heads.of(rows), self._store.lines.of(rows)
        history = history_of(heads, lines, lambda _, own: detached.numbers[own])
        self._sums.revise(history, detached.slots[counted], History.empty(), np.empty(0, np.int32))

    def remove(self, rows: Rows, before: Mapping[int, Before] | None = None) -> None:
        """Take back what rows contributed that are erased."""
        self._fit_in()
        counted = rows[self._counted_in[rows] != _NOT_COUNTED]
        was, nobody = before or {}, np.empty(0, np.int32)
        for start in range(0, len(counted), _AT_ONCE):
            some = counted[start : start + _AT_ONCE]
            heads = [was[row].heads if row in was else self._store.heads[row] for row in some.tolist()]
            lines = [was[row].lines if row in was else self._store.lines[row] for row in some.tolist()]
            self._sums.revise(self._history(heads, lines, some), self._counted_in[some], History.empty(), nobody)
        self._counted_in[rows] = _NOT_COUNTED

    def popular(self, now: int, model: NumberedItems | None = None) -> Popular:
        """What is popular now, among all workers' customers; with an item model, also what trends."""
        sums = self._sums
        if self._others:
            sums = sums.empty_like()
            sums.merge(self._sums)
            for heard in self._others.values():
                other, numbers = heard.popularity, heard.numbers
                sums.merge(other, numbers)
        return sums.popular(
            now,
            self.items.allowed,
            shrinkage=self._settings.segment_shrinkage,
            depth=self._settings.popular_depth,
            slots=len(self._slots),
            slow=model.slow if model is not None else None,
            slow_share=model.blend.slow_share if model is not None else 0.0,
        )

    # ---- between workers ----

    def share(self, at: int) -> bytes:
        """This worker's sums, of its best-selling items, for the others. `at`: wall clock, microseconds."""
        weights = self._sums.sums
        best = np.argsort(-weights.sum(axis=0), kind="stable")[:SHARED_ITEMS]
        best = best[best < len(self.items.texts)]
        return msgspec.msgpack.encode(
            {
                "at": at,
                "landmark": self._sums.landmark,
                "items": [self.items.texts.ids[item] for item in best.tolist()],
                "segments": [segment for segment, _ in sorted(self._slots.items(), key=lambda pair: pair[1])],
                "sums": np.ascontiguousarray(weights[:, best]).tobytes(),
            }
        )

    def hear(self, shared: Mapping[str, bytes], since: int) -> list[str]:
        """Take over what other workers share. Returns those who have said nothing since `since` (wall clock).

        They are gone: their customers are another's now, and would be counted twice.
        """
        gone = []
        for worker in [worker for worker in self._others if worker not in shared]:
            del self._others[worker]
        for worker, data in shared.items():
            known = self._others.get(worker)
            if known is None or known.data != data:
                known = self._heard(data)
            if known.at < since:
                self._others.pop(worker, None)
                gone.append(worker)
            else:
                self._others[worker] = known
        return gone

    def _heard(self, data: bytes) -> _Heard:
        said: dict[str, Any] = msgspec.msgpack.decode(data)
        numbers = self.items.number(said["items"])
        theirs = np.frombuffer(said["sums"], np.float64).reshape(-1, max(1, len(numbers)))
        slots = [self._slot(segment) for segment in said["segments"]]
        weights = np.zeros((len(self._slots) + 1, len(numbers)))
        for row, slot in zip(theirs, [_NO_SLOT, *slots], strict=False):
            if len(numbers):
                weights[slot + 1] += row
        popularity = ItemPopularity.of(self._settings.popularity_half_life, said["landmark"], weights)
        return _Heard(data, said["at"], popularity, numbers)

    # ---- inside ----

    def _slot(self, segment: int) -> int:
        if segment < FIRST_SEGMENT_ID:
            return _NO_SLOT
        return self._slots.setdefault(segment, len(self._slots))

    def _fit_in(self) -> None:
        capacity = len(self._store.header)
        if capacity > len(self._counted_in):
            grown = np.full(capacity, _NOT_COUNTED, np.int32)
            grown[: len(self._counted_in)] = self._counted_in
            self._counted_in = grown

    def _history_of(self, change: _Change) -> History:
        whole = self._history(change.heads, change.lines, np.array(change.rows, np.int64))
        if not len(whole):
            return whole
        counts = np.array([len(lines) for lines in change.lines]) // LINE.itemsize
        sizes = np.array(change.sizes) // LINE.itemsize
        first = np.where(sizes < 0, counts + sizes, 0)
        last = np.where(sizes < 0, counts, sizes)
        place = np.arange(len(whole)) - np.repeat(np.cumsum(counts) - counts, counts)
        return whole.where((place >= np.repeat(first, counts)) & (place < np.repeat(last, counts)))

    def _history(self, heads: Sequence[bytes], lines: Sequence[bytes], rows: Rows) -> History:
        def numbers(owners: npt.NDArray[np.int32], own: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
            partitions = self._store.partition[rows]
            flat, offsets = self._numbers(np.unique(partitions).tolist())
            return np.asarray(flat[offsets[partitions][owners] + own])

        return history_of(heads, lines, numbers)

    def _numbers(self, partitions: Sequence[int]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """The partitions' item numbers to worker-wide ones: all in one array, and where each partition's begin."""
        offsets = np.zeros(max(partitions) + 1, np.int64)
        parts = []
        start = 0
        for partition in partitions:
            names = self._store.partitions[partition].items.names
            known = self._maps.get(partition, np.empty(0, np.int32))
            if len(known) < len(names):
                known = self._maps[partition] = np.concatenate((known, self.items.number(names[len(known) :])))
            offsets[partition] = start
            parts.append(known)
            start += len(known)
        return np.concatenate(parts), offsets
