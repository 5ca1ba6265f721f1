"""What goes with what customers have: the co-purchase scores of a batch, and which own item speaks for an item most."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.neighbours import Neighbours
from recommender.own_items import OwnItems

NO_ITEM: Final = -1
_NOTHING: Final = 1e-30
"""A best score below that is rounding, and what it is scaled by would be infinite."""


class GoingWith:
    """Scores Σ_j profile[c, j] · weight[j, i] over the items j of customer c, scaled so that the best is `trust`.

    A cell is customer · items + item. Cells without any contribution have no score; `at` needs them named beforehand.

    Parameters:
        own: what the customers have.
        customers: in the batch.
        items: that there are.
        neighbours: may know fewer items, or more.
        trust: the score of each customer's best item.
        also: cells that will be asked for besides those with a contribution.
    """

    def __init__(
        self,
        own: OwnItems,
        customers: int,
        items: int,
        neighbours: Neighbours,
        *,
        trust: float,
        also: NDArray[np.int64],
    ) -> None:
        self._own = own
        speaking = np.flatnonzero((own.items < len(neighbours)) & (own.profile > 0))
        first, counts = neighbours.starts[own.items[speaking]], neighbours.counts[own.items[speaking]]
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        place = np.repeat(first - (ends - counts), counts)
        place += np.arange(total)
        self._sources = np.repeat(speaking, counts)
        others = neighbours.items[place]
        parts = np.repeat(own.profile[speaking], counts)
        parts *= neighbours.weights[place]
        if len(neighbours) > items:
            there = others < items
            self._sources, others, parts = self._sources[there], others[there], parts[there]
        rows = own.customers[self._sources]
        self._cells = rows * items
        self._cells += others
        # Left as they are where nobody looks: clearing them would cost customers × items, however few are touched.
        self._scores = np.empty(customers * items, np.float32)
        self._scores[also] = 0
        self._scores[self._cells] = 0
        np.add.at(self._scores, self._cells, parts)
        marks = np.empty(customers * items, np.int32)
        order = np.arange(len(others), dtype=np.int32)
        marks[self._cells] = order
        distinct = np.flatnonzero(marks[self._cells] == order)
        self.cells: NDArray[np.int64] = self._cells[distinct]
        """Every cell with a contribution, once."""
        self.rows: NDArray[np.int64] = rows[distinct]
        """Their customers."""
        best = np.zeros(customers, np.float32)
        np.maximum.at(best, self.rows, self._scores[self.cells])
        scale = np.divide(np.float32(trust), best, out=np.zeros_like(best), where=best > _NOTHING)
        self._scores[self.cells] *= scale[self.rows]
        self._parts = parts
        self._marks = marks

    def at(self, cells: NDArray[np.int64]) -> NDArray[np.float32]:
        """The scores of cells that have a contribution or were named, of their shape."""
        return self._scores[cells]

    def forget(self, cells: NDArray[np.int64]) -> None:
        """Make the score of cells -1: they are candidates elsewhere, or none."""
        self._scores[cells] = -1

    def because(self, cells: NDArray[np.int64]) -> NDArray[np.int32]:
        """The own item that contributes most to each of some distinct cells, (cells,); -1 where none does."""
        self._marks[self._cells] = NO_ITEM
        self._marks[cells] = np.arange(len(cells), dtype=np.int32)
        asked = self._marks[self._cells]
        hits = np.flatnonzero(asked >= 0)
        asked, parts = asked[hits], self._parts[hits]
        most = np.zeros(len(cells), np.float32)
        np.maximum.at(most, asked, parts)
        winners = parts == most[asked]
        result = np.full(len(cells), NO_ITEM, np.int32)
        result[asked[winners]] = self._own.items[self._sources[hits[winners]]]
        return result
