"""All rows of the partitions that a worker holds: fixed columns in one array, ragged parts beside them."""

import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from consumer.bodies import PARTS, WARM, Bodies
from consumer.bonds import Bond
from consumer.layout import HEADER, Marker, empty_header
from consumer.ragged_columns import Categories
from consumer.row_columns import RowCache
from consumer.state import bucket_of
from contracts.guests import is_guest
from recommender.holdout import HoldOut

Rows = npt.NDArray[np.int64]
"""Row numbers."""
Value = TypeVar("Value")

_EMPTY: Final = empty_header()
_NO_NUMBER: Final = -1


class ItemTable:
    """The items of one partition: kept lines name them by number, and checkpoints carry what is new.

    Most partitions have most items, so names and the `places` of names are shared: of 100,000 items in 12 partitions
    that is 150 MB less.

    Parameters:
        names: by number.
        places: of names among those of all tables that share them.
    """

    __slots__ = ("_numbers", "_places", "names", "stored")

    def __init__(self, names: Iterable[str] = (), places: dict[str, int] | None = None) -> None:
        self.names: list[str] = []
        self._places = {} if places is None else places
        self._numbers = array("i", (_NO_NUMBER,))
        """By place; the last one is always that of no item."""
        self.numbers(list(names))
        self.stored = len(self.names)
        """How many of them a checkpoint has written."""

    def numbers(self, names: Sequence[str]) -> list[int]:
        """The items' numbers, new ones where they have none yet."""
        places, numbers = self._places, self._numbers
        if len(numbers) <= len(places):  # other tables have new items
            self._fit_in()
        found = [numbers[places.get(name, -1)] for name in names]
        if _NO_NUMBER in found:
            missing = [place for place, number in enumerate(found) if number == _NO_NUMBER]
            # Each once: a partition's first batch has mostly new items, all of them many times.
            for name in dict.fromkeys(names[place] for place in missing):
                self._add(name)
            for place in missing:
                found[place] = numbers[places[names[place]]]
        return found

    def _add(self, name: str) -> None:
        """Give a number to an item that has none."""
        name = sys.intern(name)
        place = self._places.setdefault(name, len(self._places))
        self._fit_in()
        self._numbers[place] = len(self.names)
        self.names.append(name)

    def _fit_in(self) -> None:
        """Have a number for each place, and one more."""
        missing = len(self._places) + 1 - len(self._numbers)
        if missing > 0:
            self._numbers.extend([_NO_NUMBER] * missing)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(slots=True)
class PartitionRows:
    """Which rows are of one partition, its items and its erased customers."""

    number: int
    index: dict[str, int] = field(default_factory=dict)
    """Customer id to row."""
    items: ItemTable = field(default_factory=ItemTable)
    markers: dict[bytes, Marker] = field(default_factory=dict)
    """By the 16-byte blake2b of the customer id."""
    new_markers: dict[bytes, Marker] = field(default_factory=dict)
    """Those that no checkpoint has written yet."""
    erased: set[str] = field(default_factory=set)
    """Ids whose rows are gone since the last checkpoint."""
    erasures: int = 0
    """Changes with every erasure."""
    bonds: dict[str, Bond] = field(default_factory=dict)
    """By id: what stands with ids that were joined, and with those that others are joined to."""
    changed_bonds: set[str] = field(default_factory=set)
    """Those that no checkpoint has written yet; what is not there any more is to go."""


class RowStore:
    """Rows by number; numbers of removed rows are used again.

    `header` has shape (capacity,) and dtype HEADER; `partition` is -1 where there is no row. `ids` and the
    packed ragged parts are by row, too.

    Parameters:
        holdout: the experiment that is under way.
        warm: so many rows are never compressed (`Bodies`).
    """

    def __init__(self, holdout: HoldOut | None = None, warm: int = WARM) -> None:
        self.partitions: dict[int, PartitionRows] = {}
        self.header = np.zeros(0, HEADER)
        self.partition = np.zeros(0, np.int32)
        self.holdout = holdout
        """The experiment that is under way."""
        self.held_out = np.zeros(0, np.bool_)
        """(capacity,): who gets popular items only."""
        self.guest = np.zeros(0, np.bool_)
        """(capacity,): orders of nobody known. They count for items; they have no segment and no view."""
        self.bucket = np.zeros(0, np.uint16)
        """(capacity,): where the state keeps the row, which samples go by."""
        self.ids: list[str] = []
        self.item_places: dict[str, int] = {}
        """What the item tables of all partitions share."""
        self.bodies = Bodies(warm)
        self.heads, self.lines, self.known, self.attributes, self.moves, self.exposures = self.bodies.parts
        self.categories = Categories()
        """Of items, as the catalogue has them."""
        self.cache = RowCache(self.attributes, self.heads, self.lines, self.categories)
        """The ragged parts as columns."""
        self.ahead: Callable[[Rows, int], npt.NDArray[Any]] | None = None
        """Gives forecasts of rows as of a moment (`consumer.row_forecasts`); None: nobody makes any."""
        self._free: list[int] = []
        self.used = 0
        """Rows from here on have never been used."""

    def __len__(self) -> int:
        return sum(len(partition.index) for partition in self.partitions.values())

    @property
    def customers(self) -> int:
        """How many rows are of customers."""
        guests = self.guest[: self.used] & (self.partition[: self.used] >= 0)
        return len(self) - int(np.count_nonzero(guests))

    def customers_of(self, rows: Rows) -> Rows:
        """Those rows that are of customers."""
        return rows[~self.guest[rows]]

    def add(self, partition: PartitionRows, customer_id: str) -> int:
        """A new, empty row."""
        row = partition.index[customer_id] = self.borrow(partition, customer_id)
        return row

    def borrow(self, partition: PartitionRows, customer_id: str) -> int:
        """An empty row that is nobody's, until `release`."""
        row = self._free.pop() if self._free else int(self._unused(1)[0])
        self.ids[row] = customer_id
        self.header[row] = _EMPTY[0]
        self.partition[row] = partition.number
        self.guest[row] = is_guest(customer_id)
        self.bucket[row] = bucket_of(customer_id)
        if self.holdout is not None:
            self.held_out[row] = self.holdout.holds(customer_id)
        return row

    def copy(self, row: int, to: int) -> None:
        """Make one row hold what another does."""
        self.header[to] = self.header[row]
        self.bodies.copy(row, to)

    def detach(self, partition: PartitionRows, customer_id: str) -> int:
        """Take a row out of its partition. What it holds stays readable by number until `release`."""
        return partition.index.pop(customer_id)

    def release(self, rows: Iterable[int]) -> None:
        """Empty detached rows; their numbers may be used again."""
        numbers = list(rows)
        for row in numbers:
            self.ids[row] = ""
        self.bodies.put(numbers, [b""] * len(numbers))
        self.partition[numbers] = -1
        self.guest[numbers] = False
        self.header[numbers] = _EMPTY[0]
        self._free += numbers

    def detach_partition(self, number: int) -> Rows:
        """Take all rows of a partition out; the state keeps them. What they hold stays readable until `release`."""
        partition = self.partitions.pop(number)
        rows = np.fromiter(partition.index.values(), np.int64, len(partition.index))
        self.partition[rows] = -1
        return rows

    def drop_partition(self, number: int) -> None:
        """Take all rows of a partition out of memory."""
        self.release(self.detach_partition(number).tolist())

    def reserve(self, rows: int) -> None:
        """Make room for so many more rows: growing step by step copies all of them some times over."""
        if self.used + rows - len(self._free) > len(self.header):
            self._grow(self.used + rows - len(self._free))

    def load(self, partition: PartitionRows, ids: Sequence[str], blobs: Sequence[bytes]) -> Rows:
        """Rows as packed by `pack`. Returns their numbers."""
        again = self._free[max(len(self._free) - len(ids), 0) :]
        del self._free[len(self._free) - len(again) :]
        rows = np.concatenate((np.array(again, np.int64), self._unused(len(ids) - len(again))))
        numbers = rows.tolist()
        size = HEADER.itemsize
        headers = np.frombuffer(b"".join([blob[:size] for blob in blobs]), HEADER)
        self.header[rows] = headers
        self.partition[rows] = partition.number
        self.guest[rows] = [is_guest(customer_id) for customer_id in ids]
        self.bucket[rows] = list(map(bucket_of, ids))
        if self.holdout is not None:
            self.held_out[rows] = [self.holdout.holds(customer_id) for customer_id in ids]
        partition.index.update(zip(ids, numbers, strict=True))
        _put(self.ids, numbers, ids)
        self.bodies.put(numbers, [blob[size:] for blob in blobs])
        return rows

    def pack(self, rows: Rows, seq: int) -> list[bytes]:
        """The rows as they stand in Redis, marked as written by checkpoint `seq`."""
        bodies, changed, lengths = self.bodies.pack(rows.tolist())
        self.header["changed_seq"][rows] = seq
        for name, column in zip(PARTS, lengths.T, strict=True):
            self.header[name][rows[changed]] = column
        fixed = self.header[rows].tobytes()
        size = HEADER.itemsize
        return [
            fixed[start : start + size] + body for start, body in zip(range(0, len(fixed), size), bodies, strict=True)
        ]

    def size_of(self, row: int) -> int:
        """About how many bytes the packed row takes."""
        return HEADER.itemsize + self.bodies.size_of(row)

    def _unused(self, count: int) -> Rows:
        """So many numbers that no row has had before."""
        rows = np.arange(self.used, self.used + count)
        self.used += count
        if self.used > len(self.header):
            self._grow(self.used)
        self.ids += [""] * count
        self.bodies.extend(count)
        return rows

    def _grow(self, least: int) -> None:
        capacity = max(least, 1024, len(self.header) * 5 // 4)
        self.header = _grown(self.header, capacity)
        self.bodies.follow(self.header)
        self.partition = _grown(self.partition, capacity, -1)
        self.guest = _grown(self.guest, capacity)
        self.bucket = _grown(self.bucket, capacity)
        self.held_out = _grown(self.held_out, capacity)


def _grown(column: npt.NDArray[Any], capacity: int, fill: int = 0) -> npt.NDArray[Any]:
    """The same with room for more rows, which have `fill`."""
    grown = np.full(capacity, fill, column.dtype) if fill else np.zeros(capacity, column.dtype)
    grown[: len(column)] = column
    return grown


def _put(column: list[Value], rows: list[int], values: Sequence[Value]) -> None:
    """Set the values of rows; numbers that were never used come in one piece."""
    if rows and rows[-1] - rows[0] == len(rows) - 1 and rows == list(range(rows[0], rows[-1] + 1)):
        column[rows[0] : rows[-1] + 1] = values
        return
    for row, value in zip(rows, values, strict=True):
        column[row] = value
