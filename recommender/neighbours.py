"""What goes with each item: for every item a short list of others with weights, strongest first."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Neighbours:
    """A sparse item × item matrix in rows. Item i's neighbours are `items[starts[i]:starts[i + 1]]`."""

    starts: NDArray[np.int64]
    """(items + 1,)"""
    items: NDArray[np.int32]
    """Item numbers, (pairs,)."""
    weights: NDArray[np.float32]
    """Above 0, falling within a row, (pairs,)."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def none(cls) -> Self:
        """No item has any."""
        return cls(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))

    @classmethod
    def of(
        cls, items: int, owners: NDArray[np.integer], others: NDArray[np.integer], weights: NDArray[np.floating]
    ) -> Self:
        """Pairs in any order as rows; those without a positive weight are left out."""
        positive = weights > 0
        owners, others, weights = owners[positive], others[positive], weights[positive]
        order = np.lexsort((others, -weights, owners))
        starts = np.zeros(items + 1, np.int64)
        np.cumsum(np.bincount(owners, minlength=items), out=starts[1:])
        return cls(starts, others[order].astype(np.int32), weights[order].astype(np.float32))

    @cached_property
    def first_pairs(self) -> NDArray[np.int32]:
        """`starts`, and one empty row more: of any item that is not known, (items + 2,)."""
        return np.append(self.starts, self.starts[-1]).astype(np.int32)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many neighbours each item has, (items,)."""
        return np.diff(self.starts)

    def row(self, item: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """One item's neighbours and their weights, strongest first."""
        part = slice(self.starts[item], self.starts[item + 1])
        return self.items[part], self.weights[part]

    def first(self, n: int) -> "Neighbours":
        """At most the n strongest neighbours of each item."""
        return self._where(np.arange(len(self.items)) - self.starts[self._owners] < n, len(self))

    def among(self, items: int) -> "Neighbours":
        """Of the first so many items alone."""
        if len(self) <= items:
            return self
        return self._where((self._owners < items) & (self.items < items), items)

    def renumbered(self, numbers: NDArray[np.int32]) -> "Neighbours":
        """The same with item i called `numbers[i]`, all different; numbers of no item of ours have no neighbours."""
        counts = np.zeros(int(numbers.max(initial=-1)) + 1, np.int64)
        numbers = numbers[: len(self)]
        counts[numbers] = self.counts
        starts = np.append(0, np.cumsum(counts))
        # Rows move, each in one piece.
        order = np.argsort(numbers)
        shifts = self.starts[:-1][order] - starts[numbers[order]]
        pairs = np.arange(len(self.items)) + np.repeat(shifts, self.counts[order])
        weights = self.weights[pairs]
        # Only among equal weights can the order be another now. To sort by rows and weights, too, takes ten times as
        # long, while events wait.
        differs = np.ones(len(pairs), np.bool_)
        differs[1:] = weights[1:] != weights[:-1]
        differs[starts[:-1][counts > 0]] = True
        ties = np.cumsum(differs) << 32 | numbers[self.items[pairs]]
        ties.sort()
        return Neighbours(starts, (ties & 0xFFFFFFFF).astype(np.int32), weights)

    @property
    def _owners(self) -> NDArray[np.int64]:
        """Whose neighbour each pair tells of, (pairs,)."""
        return np.repeat(np.arange(len(self)), self.counts)

    def _where(self, pairs: NDArray[np.bool_], items: int) -> "Neighbours":
        """Some of the pairs, all of the first so many items."""
        starts = np.append(0, np.cumsum(np.bincount(self._owners[pairs], minlength=items)))
        return Neighbours(starts, self.items[pairs], self.weights[pairs])
