"""How well each item of a customer goes with the customer's others: what speaks for buying it again, beside itself."""

import numpy as np
from numpy.typing import NDArray

from recommender.contributions import Contributions
from recommender.neighbours import Neighbours
from recommender.own_items import OwnItems


def among_own(
    own: OwnItems, items: int, neighbours: Neighbours, trust: float, scratch: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Σ_j bought[c, j] · weight[j, i] over the items j of customer c, for each own item i, (pairs,).

    Scaled so that the best of each customer is `trust`; 0 where nothing speaks for any.

    Parameters:
        own: what the customers have, pairs rising.
        items: that there are.
        neighbours: what else is bought again by who has bought an item; may know fewer items.
        trust: the score of each customer's best item.
        scratch: has a place for each customer and item; what stands there is overwritten.
    """
    if not len(neighbours.items) or not len(own):
        return np.zeros(len(own), np.float32)
    said = Contributions.of(own, items, neighbours).among(own.cells, scratch.view(np.bool_))
    parts = neighbours.weights[said.places]
    parts *= own.bought[said.sources]
    places = scratch.view(np.int32)
    places[own.cells] = np.arange(len(own), dtype=np.int32)
    scores = np.bincount(places[said.cells], parts, len(own)).astype(np.float32)
    first = own.starts[:-1][own.starts[1:] > own.starts[:-1]]
    best = np.maximum.reduceat(scores, first)
    scale = np.divide(np.float32(trust), best, out=np.zeros_like(best), where=best > 0)
    scores *= np.repeat(scale, np.diff(np.append(first, len(own))))
    return scores
