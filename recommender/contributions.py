"""What the items of customers say of others, one by one: for what can not be told from sums."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recommender.neighbours import Neighbours
from recommender.own_items import OwnItems


@dataclass(frozen=True, slots=True)
class Contributions:
    """What each item of each customer says of others: pairs of an own item and a neighbour. Columns (pairs,)."""

    cells: NDArray[np.int64]
    """customer · items + the neighbour."""
    sources: NDArray[np.int64]
    """Places of the own items."""
    places: NDArray[np.int64]
    """Of the neighbours."""

    @classmethod
    def of(cls, own: OwnItems, items: int, neighbours: Neighbours) -> Self:
        """Parameters: what customers have; how many items there are; neighbours that know no more items than that."""
        first = neighbours.first_pairs
        rows = np.minimum(own.items, len(neighbours))
        begins = first.take(rows)
        counts = first.take(rows + 1) - begins
        ends = counts.cumsum()
        places = (begins - (ends - counts)).repeat(counts)
        places += np.arange(len(places))
        cells = (own.customers * items).repeat(counts)
        cells += neighbours.items.take(places)
        return cls(cells, np.arange(len(rows)).repeat(counts), places)

    def among(self, cells: NDArray[np.int64], marks: NDArray[np.bool_]) -> Self:
        """Those to some cells. `marks` has a place for every cell; what stands there is overwritten."""
        # Marked first as none, where it is looked at: to clear all would cost customers × items.
        marks[self.cells] = False
        marks[cells] = True
        hits = marks[self.cells].nonzero()[0]
        return type(self)(self.cells[hits], self.sources[hits], self.places[hits])
