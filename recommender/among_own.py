"""How well each item of a customer goes with the customer's others: what speaks for buying it again, beside itself."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from recommender.neighbours import Neighbours
from recommender.own_items import OwnItems

_BLOCK: Final = 64
"""Customers at a time: marks for so many stay near the processor."""


@dataclass(frozen=True, slots=True)
class AmongOwn:
    """Neighbours as a table of as many for each item, which is looked up faster than rows of different lengths."""

    items: NDArray[np.int32]
    """(items + 1, most); the last row, of items that are not known, has none. Where there is none stands item 0."""
    weights: NDArray[np.float32]
    """Of the same shape; 0 where there is none."""

    @classmethod
    def of(cls, neighbours: Neighbours) -> Self:
        """The same neighbours."""
        counts = neighbours.counts
        shape = (len(neighbours) + 1, int(counts.max(initial=0)))
        items, weights = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        owners = np.repeat(np.arange(len(neighbours)), counts)
        place = np.arange(len(owners)) - neighbours.starts[owners]
        items[owners, place], weights[owners, place] = neighbours.items, neighbours.weights
        return cls(items, weights)

    def scores(self, own: OwnItems, customers: int, items: int, trust: float) -> NDArray[np.float32]:
        """Σ_j bought[c, j] · weight[j, i] over the items j of customer c, for each own item i, (pairs,).

        Scaled so that the best of each customer is `trust`; 0 where nothing speaks for any.

        Parameters:
            own: what the customers have, pairs rising.
            customers: in the batch.
            items: that there are; neighbours may know fewer, or more.
            trust: the score of each customer's best item.
        """
        scores = np.zeros(len(own), np.float32)
        known, most = self.items.shape
        if not most:
            return scores
        stride = max(items, known)
        numbers = own.items.astype(np.int32)
        rows = np.minimum(numbers, np.int32(known - 1))
        firsts = (own.customers % _BLOCK * stride).astype(np.int32)
        # Left as they are where nobody looks, as in GoingWith: whether a mark is one is told by what it points to.
        marks = np.empty(_BLOCK * stride, np.int32)
        bounds = np.searchsorted(own.customers, np.arange(0, customers + _BLOCK, _BLOCK)).tolist()
        for start, stop in pairwise(bounds):
            if start == stop:
                continue
            here = slice(start, stop)
            own_cells = firsts[here] + numbers[here]
            marks[own_cells] = np.arange(stop - start, dtype=np.int32)
            cells = self.items.take(rows[here], axis=0)
            cells += firsts[here, None]
            pairs = marks.take(cells)
            hits = np.flatnonzero(own_cells.take(pairs, mode="clip") == cells)
            sources = hits // most
            parts = self.weights[rows[here].take(sources), hits - sources * most]
            parts *= own.bought[here].take(sources)
            scores[here] = np.bincount(pairs.reshape(-1).take(hits), parts, stop - start)
        best = np.zeros(customers, np.float32)
        np.maximum.at(best, own.customers, scores)
        scores *= np.divide(np.float32(trust), best, out=np.zeros_like(best), where=best > 0)[own.customers]
        return scores
