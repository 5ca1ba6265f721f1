"""A sample of all customers, uniform and repeatable: those in the first buckets of every partition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from consumer.columns import Columns
from consumer.layout import HEADER
from consumer.ragged import attribute_reader, attributes_of
from consumer.ragged_columns import Categories, DecodedColumns, Floats, Integers, Lines, number_of, text_column
from consumer.row_store import Rows, RowStore
from consumer.state import State
from contracts.events import AttributeValue
from contracts.guests import is_guest
from contracts.keys import BUCKETS
from online_model.features import AttributeCount, TextColumn
from online_model.rhythm import Rhythm

_PARTS: Final = ("heads", "lines", "ids", "attributes")
"""The ragged parts that a packed row holds in this order, as far as they are of interest."""


class _Ragged(Protocol):
    """The packed parts of some rows."""

    @property
    def heads(self) -> Sequence[bytes]: ...
    @property
    def lines(self) -> Sequence[bytes]: ...
    @property
    def attributes(self) -> Sequence[bytes]: ...


@dataclass(frozen=True, slots=True)
class _Held:
    """Rows in memory: their parts are collected when they are asked for, and most never are."""

    store: RowStore
    rows: list[int]

    @property
    def heads(self) -> Sequence[bytes]:
        return self.store.heads.of(self.rows)

    @property
    def lines(self) -> Sequence[bytes]:
        return self.store.lines.of(self.rows)

    @property
    def attributes(self) -> Sequence[bytes]:
        return self.store.attributes.of(self.rows)


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows as they stand in the state, taken apart."""

    header: npt.NDArray[Any]
    heads: Sequence[bytes]
    lines: Sequence[bytes]
    attributes: Sequence[bytes]

    @classmethod
    def of(cls, blobs: Sequence[bytes]) -> Self:
        """Of the packed rows of one bucket."""
        size = HEADER.itemsize
        header = np.frombuffer(b"".join([blob[:size] for blob in blobs]), HEADER)
        ends = size + np.cumsum(np.stack([header[name] for name in _PARTS], axis=1), axis=1, dtype=np.int64)
        placed = list(zip(blobs, ends.tolist(), strict=True))
        return cls(
            header,
            [blob[size:a] for blob, (a, _, _, _) in placed],
            [blob[a:b] for blob, (a, b, _, _) in placed],
            [blob[c:d] for blob, (_, _, c, d) in placed],
        )


class Gathered:
    """Sampled rows from memory and from the state, side by side; to be looked at before a row changes."""

    def __init__(self, store: RowStore, state: State) -> None:
        self._store = store
        self._state = state
        self._parts: list[_Ragged] = []
        self.headers: list[np.ndarray] = [np.zeros(0, HEADER)]
        self.partitions: list[int] = []

    def add_held(self, partition: int, rows: Rows) -> None:
        """Rows in memory."""
        self._parts.append(_Held(self._store, rows.tolist()))
        self.headers.append(self._store.header[rows])
        self.partitions += [partition] * len(rows)

    def add_packed(self, partition: int, blobs: list[bytes]) -> None:
        """Rows as they stand in the state."""
        packed = Packed.of(blobs)
        self._parts.append(packed)
        self.headers.append(packed.header)
        self.partitions += [partition] * len(blobs)

    @cached_property
    def heads(self) -> list[bytes]:
        """Of kept orders, by row."""
        return list(chain.from_iterable(part.heads for part in self._parts))

    @cached_property
    def lines(self) -> list[bytes]:
        """Of kept orders, by row."""
        return list(chain.from_iterable(part.lines for part in self._parts))

    @cached_property
    def attributes(self) -> list[bytes]:
        """Of profiles, by row."""
        return list(chain.from_iterable(part.attributes for part in self._parts))

    def items(self, partition: int) -> Sequence[str]:
        """What the item numbers in a partition's lines mean."""
        own = self._store.partitions.get(partition)
        return own.items.names if own is not None else self._state.keep(partition).items


@dataclass(frozen=True, eq=False)
class SampledColumns:
    """`RaggedColumns` of a sample: nothing is read before it is asked for, and of attributes only the one asked for."""

    gathered: Gathered
    categories: Categories

    def numbers(self, attribute: str) -> Floats:
        """A profile attribute as numbers."""
        return np.array([number_of(value) for value in self._values(attribute)], np.float64)

    def labels(self, attribute: str) -> TextColumn:
        """A profile attribute as text."""
        return text_column(self._values(attribute))

    def attribute_counts(self) -> Mapping[str, AttributeCount]:
        """Which profile attributes there are."""
        return self._decoded.attribute_counts()

    def category_shares(self, categories: Sequence[str]) -> Floats:
        """Shares of categories in the kept lines."""
        return self._decoded.category_shares(categories)

    def category_counts(self) -> Mapping[str, int]:
        """Kept purchase lines by category."""
        return self._decoded.category_counts()

    def season_begins(self, places: Integers) -> Integers:
        """When the season of the newest purchase of rows at these places began; MISSING_TIME: no season."""
        return Rhythm.of(*self.kept_purchases(), len(self.gathered.partitions)).season_begins[places]

    def kept_purchases(self) -> tuple[Integers, Integers]:
        """Kept purchases: the row's place, and when."""
        return self._decoded.kept_purchases()

    def _values(self, attribute: str) -> list[AttributeValue | None]:
        return values_of(self.gathered.attributes, attribute)

    @cached_property
    def _decoded(self) -> DecodedColumns:
        gathered = self.gathered
        kept = Lines(gathered.heads, gathered.lines, gathered.partitions, gathered.items, self.categories)
        return DecodedColumns(lambda: [attributes_of(stored) for stored in gathered.attributes], kept)


def values_of(stored: Sequence[bytes], attribute: str) -> list[AttributeValue | None]:
    """One attribute out of packed ones, by row; None where it is missing."""
    read = attribute_reader((attribute,))
    return [read(one)[0] for one in stored]


def sampled_buckets(customers: int, most: int) -> int:
    """How many of the first buckets hold about `most` of so many customers."""
    return min(BUCKETS, max(1, BUCKETS * most // max(1, customers)))


def gather(
    store: RowStore, state: State, customers: int, most: int, partitions: int, *, guests: bool = False
) -> Gathered:
    """About `most` of so many customers: those of partitions held from memory, the others' from the state.

    With `guests`, orders of nobody known are among them, out of the same buckets.
    """
    buckets = sampled_buckets(customers, most)
    gathered = Gathered(store, state)
    for partition in range(max(partitions, 1 + max(store.partitions, default=0))):
        held = store.partitions.get(partition)
        if held is not None:
            rows = np.fromiter(held.index.values(), np.int64, len(held.index))
            rows = rows[store.bucket[rows] < buckets]
            gathered.add_held(partition, rows if guests else store.customers_of(rows))
        else:
            for ids, blobs in state.rows(partition, range(buckets)):
                pairs = zip(ids, blobs, strict=True)
                gathered.add_packed(partition, [blob for who, blob in pairs if guests or not is_guest(who)])
    return gathered


def sample_columns(store: RowStore, state: State, customers: int, most: int, partitions: int) -> Columns:
    """The sample as columns for features and names."""
    gathered = gather(store, state, customers, most, partitions)
    return Columns(np.concatenate(gathered.headers), SampledColumns(gathered, store.categories))
