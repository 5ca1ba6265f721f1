"""The low-rank part: items alike in the few directions along which purchases vary most."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import eigsh

ITEMS_A_DIRECTION: Final = 8
"""At least so many items for each direction."""


def low_rank(G: NDArray[np.float32], rank: int) -> NDArray[np.float32]:
    """V Vᵀ without its diagonal, (items, items), of the top eigenvectors V of the cosine-scaled co-purchases.

    Scaled to cosines the directions are not those of the best sellers: these are what popularity knows already.
    """
    items = len(G)
    # In a small shop so many directions would be nearly all there are, which tell nothing: V Vᵀ is then the identity.
    rank = min(rank, items // ITEMS_A_DIRECTION)
    if rank < 1:
        return np.zeros_like(G)
    most = float(np.diag(G).max())
    if most < np.finfo(np.float32).tiny:
        return np.zeros_like(G)
    G = G / np.float32(most)  # of what was bought long ago little is left
    diagonal = np.diag(G)
    # An item that hardly anybody bought makes no direction of its own.
    scale = 1 / np.sqrt(diagonal + 0.01 * float(diagonal.mean()))
    _, V = eigsh(G * scale[:, None] * scale[None, :], rank, v0=np.full(items, items**-0.5, G.dtype))
    V = V.astype(np.float32)
    L = V @ V.T
    np.fill_diagonal(L, 0)
    return np.asarray(L, np.float32)
