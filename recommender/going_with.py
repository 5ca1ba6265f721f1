"""What goes with what customers have: the co-purchase scores of a batch, and which own item speaks for an item most."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.contributions import Contributions
from recommender.neighbours import Neighbours
from recommender.own_items import OwnItems
from recommender.sparse_rows import SparseRows

NO_ITEM: Final = -1
_NOTHING: Final = 1e-30
"""A best score below that is rounding, and what it is scaled by would be infinite."""


class GoingWith:
    """Scores Σ_j profile[c, j] · weight[j, i] over the items j of customer c, scaled so that the best is `trust`.

    A cell is customer · items + item. Cells without any contribution have no score.

    Parameters:
        own: what the customers have.
        items: that there are.
        neighbours: may know fewer items.
        trust: the score of each customer's best item.
    """

    def __init__(self, own: OwnItems, items: int, neighbours: Neighbours, *, trust: float) -> None:
        self._own = own
        self._count = items
        self._neighbours = neighbours
        sums = SparseRows(own.starts, own.items.astype(np.int32), own.profile).times(neighbours)
        self.items = sums.columns
        """Of every cell with a contribution, customer by customer, once."""
        self.counts: NDArray[np.int64] = np.diff(sums.starts).astype(np.int64)
        """How many of them each customer has."""
        self.cells: NDArray[np.int64] = np.repeat(np.arange(own.owners) * items, self.counts)
        """The same as `items`."""
        self.cells += sums.columns
        best = np.zeros(own.owners, np.float32)
        some = self.counts > 0
        if len(sums.values):
            best[some] = np.maximum.reduceat(sums.values, sums.starts[:-1][some])
        self.speaks: NDArray[np.bool_] = best > _NOTHING
        """Which customers have any item that goes with theirs."""
        scale = np.divide(np.float32(trust), best, out=np.zeros_like(best), where=self.speaks)
        self.scores: NDArray[np.float32] = sums.values
        """Of `cells`."""
        self.scores *= np.repeat(scale, self.counts)

    def because(self, cells: NDArray[np.int64], scratch: NDArray[np.int32]) -> NDArray[np.int32]:
        """The own item that contributes most to each of some distinct cells, (cells,); -1 where none does.

        `scratch` has a place for every cell; what stands there is overwritten.
        """
        own, neighbours = self._own, self._neighbours
        said = Contributions.of(own, self._count, neighbours).among(cells, scratch.view(np.bool_))
        scratch[cells] = np.arange(len(cells), dtype=np.int32)
        asked, sources = scratch[said.cells], said.sources
        parts = own.profile[sources] * neighbours.weights[said.places]
        most = np.zeros(len(cells), np.float32)
        np.maximum.at(most, asked, parts)
        winners = (parts == most[asked]) & (parts > 0)
        result = np.full(len(cells), NO_ITEM, np.int32)
        result[asked[winners]] = own.items[sources[winners]]
        return result
