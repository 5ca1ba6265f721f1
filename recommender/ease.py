"""EASE: which items speak for which others, by a ridge regression of every item on all the others (Steck 2019)."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack


def ease(G: NDArray[np.float32], ridge: float) -> NDArray[np.float32]:
    """Weights B, (items, items), with a diagonal of 0: B_ij = -P_ij / P_jj for P = (G + λI)⁻¹.

    Parameters:
        G: co-purchases, (items, items), symmetric.
        ridge: λ in units of the mean diagonal of G.

    Source: Steck (2019), Embarrassingly Shallow Autoencoders for Sparse Data, https://arxiv.org/abs/1905.03375.
    """
    items = len(G)
    mean = float(np.mean(np.diag(G))) if items else 0.0
    if mean <= 0:
        return np.zeros_like(G)
    P = np.array(G, dtype=np.float32, order="F")
    P[np.diag_indices(items)] += np.float32(ridge * mean)
    factor, failed = lapack.spotrf(P, lower=1, overwrite_a=1)
    inverse, failed_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise ValueError("G is not positive semidefinite")
    P = inverse + inverse.T  # only the lower triangle is there
    P[np.diag_indices(items)] = np.diag(inverse)
    B = P / -np.diag(P)[None, :]
    np.fill_diagonal(B, 0)
    return np.asarray(B, dtype=np.float32)
