"""How good ranked lists are: normalised discounted cumulative gain."""

import numpy as np
from numpy.typing import NDArray


def ndcg(hits: NDArray[np.bool_], relevant: NDArray[np.int64], places: int = 10) -> NDArray[np.float64]:
    """NDCG of each list, (lists,): Σ 1/log₂(place + 1) over hits, relative to what a perfect list has.

    Parameters:
        hits: whether the item at each place is relevant, (lists, n), best place first.
        relevant: how many relevant items there are, (lists,); with none the NDCG is 0.

    Source: Järvelin, Kekäläinen (2002), Cumulated gain-based evaluation of IR techniques.
    """
    discounts = 1 / np.log2(np.arange(2, places + 2))
    best = np.concatenate(([0.0], np.cumsum(discounts)))[np.minimum(relevant, places)]
    found = hits[:, :places] @ discounts[: hits.shape[1]]
    return np.divide(found, best, out=np.zeros(len(hits)), where=best > 0)
