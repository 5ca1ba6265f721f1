"""A sample of all customers, uniform and repeatable: those in the first buckets of every partition."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from consumer.columns import Columns
from consumer.layout import HEADER
from consumer.ragged import attributes_of
from consumer.ragged_columns import DecodedColumns, Lines
from consumer.row_store import RowStore
from consumer.state import State, bucket_of
from contracts.keys import BUCKETS

_PARTS: Final = ("heads", "lines", "ids", "attributes")
"""The ragged parts that a packed row holds in this order, as far as they are of interest."""


class Gathered:
    """Sampled rows from memory and from the state, side by side."""

    def __init__(self, store: RowStore, state: State) -> None:
        self._store = store
        self._state = state
        self.headers: list[np.ndarray] = [np.zeros(0, HEADER)]
        self.partitions: list[int] = []
        self.heads: list[bytes] = []
        self.lines: list[bytes] = []
        self.attributes: list[bytes] = []

    def add_held(self, partition: int, rows: list[int]) -> None:
        """Rows in memory."""
        store = self._store
        self.headers.append(store.header[np.array(rows, np.int64)])
        self.partitions += [partition] * len(rows)
        self.heads += [store.heads[row] for row in rows]
        self.lines += [store.lines[row] for row in rows]
        self.attributes += [store.attributes[row] for row in rows]

    def add_packed(self, partition: int, blobs: list[bytes]) -> None:
        """Rows as they stand in the state."""
        size = HEADER.itemsize
        headers = np.frombuffer(b"".join([blob[:size] for blob in blobs]), HEADER)
        self.headers.append(headers)
        self.partitions += [partition] * len(blobs)
        ends = size + np.cumsum(np.stack([headers[name] for name in _PARTS], axis=1), axis=1, dtype=np.int64)
        for blob, (a, b, c, d) in zip(blobs, ends.tolist(), strict=True):
            self.heads.append(blob[size:a])
            self.lines.append(blob[a:b])
            self.attributes.append(blob[c:d])

    def items(self, partition: int) -> Sequence[str]:
        """What the item numbers in a partition's lines mean."""
        own = self._store.partitions.get(partition)
        return own.items.names if own is not None else self._state.keep(partition).items


def gather(store: RowStore, state: State, customers: int, most: int, partitions: int) -> Gathered:
    """About `most` of so many customers: those of partitions held from memory, the others' from the state."""
    buckets = min(BUCKETS, max(1, BUCKETS * most // max(1, customers)))
    gathered = Gathered(store, state)
    for partition in range(max(partitions, 1 + max(store.partitions, default=0))):
        held = store.partitions.get(partition)
        if held is not None:
            rows = [row for who, row in held.index.items() if buckets == BUCKETS or bucket_of(who) < buckets]
            gathered.add_held(partition, rows)
        else:
            for _, blobs in state.rows(partition, range(buckets)):
                gathered.add_packed(partition, list(blobs))
    return gathered


def sample_columns(store: RowStore, state: State, customers: int, most: int, partitions: int) -> Columns:
    """The sample as columns for features and names."""
    gathered = gather(store, state, customers, most, partitions)
    kept = Lines(gathered.heads, gathered.lines, gathered.partitions, gathered.items, store.categories)
    decoded = DecodedColumns(lambda: [attributes_of(stored) for stored in gathered.attributes], kept)
    return Columns(np.concatenate(gathered.headers), decoded)
