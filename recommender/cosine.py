"""Cosines of items by who buys them, shrunk where few do: for the tail, which EASE is too large for."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

SUPPORT: Final = 50.0
"""Common buyers with whom a cosine counts half."""


def shrunk_cosines(
    G: csr_array, together: csr_array, norms: NDArray[np.float64], block: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Pairs of different items and G_ij / √(G_ii G_jj) · n_ij / (n_ij + 50): rows, columns, cosines, (pairs,) each.

    Parameters:
        G: co-purchases of some items with all, (block, items).
        together: how many customers have both, with the pattern of G.
        norms: √G_ii, (items,).
        block: the items that the rows of G are, (block,).
    """
    rows = np.repeat(block.astype(np.int32), np.diff(G.indptr))
    columns = G.indices.astype(np.int32)
    cosines = G.data / (norms[rows] * norms[columns])
    cosines *= together.data / (together.data + SUPPORT)
    apart = rows != columns
    return rows[apart], columns[apart], cosines[apart].astype(np.float32)
