"""What customers buy: the sparse matrix H of who buys what, and G = HᵀH, what is bought by the same customers."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from contracts.times import DAY
from recommender.history import History

_LEAST: Final = 2.0**-60
"""Of a weight: the product of two is no zero as a float32 either, which scipy would take for no purchase."""


def purchases(history: History, customers: int, items: int, now: int, half_life: int) -> csr_array:
    """H, (customers, items): 1 for who bought an item, halved per half-life since they last did, in microseconds.

    However often: one vote per customer, or who buys the same every week would outvote everybody (ADR 27). Items
    returned as often as bought, or more often, are left out. Nobody counts less than _LEAST.
    """
    age = np.maximum(now - history.at, 0) / DAY
    weight = np.maximum(np.exp2(-age * (DAY / half_life)), _LEAST)
    return _by_pair(history, customers, items, weight, np.maximum)


def times_bought(history: History, customers: int, items: int) -> csr_array:
    """How often each customer bought each item, (customers, items); what was given back is left out as above."""
    return _by_pair(history, customers, items, np.ones(len(history)), np.add)


def _by_pair(
    history: History, customers: int, items: int, weight: NDArray[np.float64], together: np.ufunc
) -> csr_array:
    """The weights of purchases, (lines,), of each customer and item `together`."""
    key = history.customers.astype(np.int64) * max(items, 1) + history.items
    order = np.argsort(key, kind="stable")
    key, quantity = key[order], history.quantity[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    weight = np.where(quantity > 0, weight[order], 0)
    if len(starts):
        net, weight = np.add.reduceat(quantity.astype(np.int64), starts), together.reduceat(weight, starts)
        kept = (net > 0) & (weight > 0)
        unique, weight = key[starts][kept], weight[kept]
    else:
        unique, weight = key, np.empty(0)
    rows, columns = unique // max(items, 1), unique % max(items, 1)
    indptr = np.zeros(customers + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=customers), out=indptr[1:])
    return csr_array((weight.astype(np.float32), columns.astype(np.int32), indptr), shape=(customers, items))


def co_purchases(bought: csr_array, items: NDArray[np.int64] | None = None) -> csr_array:
    """G = HᵀH, (items, items): of all items, or of some."""
    some = bought if items is None else bought.tocsc()[:, items].tocsr()
    return some.T.tocsr() @ some


def buyers(bought: csr_array) -> NDArray[np.int64]:
    """How many customers have each item, (items,)."""
    return np.bincount(bought.indices, minlength=bought.shape[1])


def sales(bought: csr_array) -> NDArray[np.float64]:
    """Decayed buyers of each item, (items,)."""
    return np.bincount(bought.indices, weights=bought.data, minlength=bought.shape[1]).astype(np.float64)
