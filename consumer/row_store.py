"""All rows of the partitions that a worker holds: fixed columns in one array, ragged parts as bytes beside them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from consumer.layout import HEADER, Marker, empty_header
from consumer.ragged_columns import Categories
from consumer.row_columns import RowCache
from recommender.holdout import HoldOut

Rows = npt.NDArray[np.int64]
"""Row numbers."""

_EMPTY: Final = empty_header()
_RAGGED: Final = ("heads", "lines", "ids", "attributes", "moves", "exposures")


class ItemTable:
    """The items of one partition: kept lines name them by number, and checkpoints carry what is new."""

    __slots__ = ("_numbers", "names", "stored")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = list(names)
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self.stored = len(self.names)
        """How many of them a checkpoint has written."""

    def numbers(self, names: Sequence[str]) -> list[int]:
        """The items' numbers, new ones where they have none yet."""
        known = self._numbers
        found = [known.get(name, -1) for name in names]
        if -1 in found:
            for place, number in enumerate(found):
                if number < 0:
                    name = names[place]
                    if name not in known:
                        known[name] = len(self.names)
                        self.names.append(name)
                    found[place] = known[name]
        return found

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


class RowStore:
    """Rows by number; numbers of removed rows are used again.

    `header` has shape (capacity,) and dtype HEADER; `partition` is -1 where there is no row. The lists hold the packed
    ragged parts and the ids, by row.
    """

    def __init__(self, holdout: HoldOut | None = None) -> None:
        self.partitions: dict[int, PartitionRows] = {}
        self.header = np.zeros(0, HEADER)
        self.partition = np.zeros(0, np.int32)
        self.holdout = holdout
        """The experiment that is under way."""
        self.held_out = np.zeros(0, np.bool_)
        """(capacity,): who gets popular items only."""
        self.ids: list[str] = []
        self.heads: list[bytes] = []
        self.lines: list[bytes] = []
        self.known: list[bytes] = []
        self.attributes: list[bytes] = []
        self.moves: list[bytes] = []
        self.exposures: list[bytes] = []
        self.categories = Categories()
        """Of items, as the catalogue has them."""
        self.cache = RowCache(self.attributes, self.heads, self.lines, self.categories)
        """The ragged parts as columns."""
        self._free: list[int] = []
        self.used = 0
        """Rows from here on have never been used."""

    def __len__(self) -> int:
        return self.used - len(self._free)

    def add(self, partition: PartitionRows, customer_id: str) -> int:
        """A new, empty row."""
        if self._free:
            row = self._free.pop()
            self.ids[row] = customer_id
        else:
            row = self.used
            if row == len(self.header):
                self._grow(row + 1)
            self.used += 1
            self.ids.append(customer_id)
            for part in self._ragged:
                part.append(b"")
        self.header[row] = _EMPTY[0]
        self.partition[row] = partition.number
        if self.holdout is not None:
            self.held_out[row] = self.holdout.holds(customer_id)
        partition.index[customer_id] = row
        return row

    def detach(self, partition: PartitionRows, customer_id: str) -> int:
        """Take a row out of its partition. What it holds stays readable by number until `release`."""
        return partition.index.pop(customer_id)

    def release(self, rows: Iterable[int]) -> None:
        """Empty detached rows; their numbers may be used again."""
        numbers = list(rows)
        for row in numbers:
            self.ids[row] = ""
        for part in self._ragged:
            for row in numbers:
                part[row] = b""
        self.partition[numbers] = -1
        self.header[numbers] = _EMPTY[0]
        self._free += numbers

    def drop_partition(self, number: int) -> Rows:
        """Take all rows of a partition out of memory; the state keeps them. Returns the rows that it had."""
        partition = self.partitions.pop(number)
        rows = np.fromiter(partition.index.values(), np.int64, len(partition.index))
        self.release(rows.tolist())
        return rows

    def load(self, partition: PartitionRows, ids: Sequence[str], blobs: Sequence[bytes]) -> Rows:
        """Rows as packed by `pack`. Returns their numbers."""
        rows = np.array([self.add(partition, customer_id) for customer_id in ids], np.int64)
        size = HEADER.itemsize
        headers = np.frombuffer(b"".join([blob[:size] for blob in blobs]), HEADER)
        self.header[rows] = headers
        ends = size + np.cumsum(np.stack([headers[name] for name in _RAGGED], axis=1), axis=1, dtype=np.int64)
        for row, blob, (a, b, c, d, e, f) in zip(rows.tolist(), blobs, ends.tolist(), strict=True):
            self.heads[row] = blob[size:a]
            self.lines[row] = blob[a:b]
            self.known[row] = blob[b:c]
            self.attributes[row] = blob[c:d]
            self.moves[row] = blob[d:e]
            self.exposures[row] = blob[e:f]
        return rows

    def pack(self, rows: Rows, seq: int) -> Iterator[bytes]:
        """The rows as they stand in Redis, marked as written by checkpoint `seq`."""
        numbers = rows.tolist()
        parts = self._ragged
        header = self.header[rows]
        header["changed_seq"] = seq
        for name, part in zip(_RAGGED, parts, strict=True):
            header[name] = [len(part[row]) for row in numbers]
        self.header["changed_seq"][rows] = seq
        fixed = header.tobytes()
        size = HEADER.itemsize
        for place, row in enumerate(numbers):
            yield b"".join(
                (
                    fixed[place * size : (place + 1) * size],
                    self.heads[row],
                    self.lines[row],
                    self.known[row],
                    self.attributes[row],
                    self.moves[row],
                    self.exposures[row],
                )
            )

    def size_of(self, row: int) -> int:
        """About how many bytes the packed row takes."""
        return HEADER.itemsize + sum(len(part[row]) for part in self._ragged)

    @property
    def _ragged(self) -> tuple[list[bytes], ...]:
        return (self.heads, self.lines, self.known, self.attributes, self.moves, self.exposures)

    def _grow(self, least: int) -> None:
        capacity = max(least, 1024, len(self.header) * 5 // 4)
        header, partition = self.header, self.partition
        self.header = np.zeros(capacity, HEADER)
        self.header[: len(header)] = header
        self.partition = np.full(capacity, -1, np.int32)
        self.partition[: len(partition)] = partition
        held_out = self.held_out
        self.held_out = np.zeros(capacity, np.bool_)
        self.held_out[: len(held_out)] = held_out
