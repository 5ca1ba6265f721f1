"""A sample of all customers, uniform and repeatable: those in the first buckets of every partition."""

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


class _Gathered:
    """Rows from memory and from the state, side by side."""

    def __init__(self) -> None:
        self.headers: list[np.ndarray] = [np.zeros(0, HEADER)]
        self.partitions: list[int] = []
        self.heads: list[bytes] = []
        self.lines: list[bytes] = []
        self.attributes: list[bytes] = []

    def add_held(self, store: RowStore, partition: int, rows: list[int]) -> None:
        """Rows in memory."""
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


def sample_columns(store: RowStore, state: State, customers: int, most: int, partitions: int) -> Columns:
    """About `most` of so many customers: those of partitions held from memory, the others' from the state."""
    buckets = min(BUCKETS, max(1, BUCKETS * most // max(1, customers)))
    gathered = _Gathered()
    for partition in range(max(partitions, 1 + max(store.partitions, default=0))):
        held = store.partitions.get(partition)
        if held is not None:
            rows = [row for who, row in held.index.items() if buckets == BUCKETS or bucket_of(who) < buckets]
            gathered.add_held(store, partition, rows)
        else:
            for _, blobs in state.rows(partition, range(buckets)):
                gathered.add_packed(partition, list(blobs))

    def items(partition: int) -> list[str]:
        own = store.partitions.get(partition)
        return own.items.names if own is not None else list(state.keep(partition).items)

    kept = Lines(gathered.heads, gathered.lines, gathered.partitions, items, store.categories)
    decoded = DecodedColumns(lambda: [attributes_of(stored) for stored in gathered.attributes], kept)
    return Columns(np.concatenate(gathered.headers), decoded)
