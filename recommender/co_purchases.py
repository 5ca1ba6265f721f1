"""What customers buy: the sparse matrix H of purchases, and G = HᵀH, what is bought by the same customers."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from contracts.times import DAY
from recommender.history import History


def purchases(history: History, customers: int, items: int, now: int, half_life: int) -> csr_array:
    """H, (customers, items): each line of a purchase counts 1, halved per half-life of age in microseconds.

    Items returned as often as bought, or more often, are left out.
    """
    key = history.customers.astype(np.int64) * max(items, 1) + history.items
    order = np.argsort(key, kind="stable")
    key, quantity = key[order], history.quantity[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    age = np.maximum(now - history.at[order], 0) / DAY
    weight = np.where(quantity > 0, np.exp2(-age * (DAY / half_life)), 0)
    if len(starts):
        net, weight = np.add.reduceat(quantity.astype(np.int64), starts), np.add.reduceat(weight, starts)
        kept = (net > 0) & (weight > 0)
        unique, weight = key[starts][kept], weight[kept]
    else:
        unique, weight = key, np.empty(0)
    rows, columns = unique // max(items, 1), unique % max(items, 1)
    indptr = np.zeros(customers + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=customers), out=indptr[1:])
    return csr_array((weight.astype(np.float32), columns.astype(np.int32), indptr), shape=(customers, items))


def row_scaled(bought: csr_array) -> csr_array:
    """H with each customer's row divided by √(their items): the heaviest 1 % would supply 40 % of all pairs."""
    counts = np.diff(bought.indptr)
    scale = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts).astype(np.float32)
    return csr_array((bought.data * scale, bought.indices, bought.indptr), shape=bought.shape)


def co_purchases(bought: csr_array, items: NDArray[np.int64] | None = None) -> csr_array:
    """G = HᵀH of the scaled rows, (items, items): of all items, or of some."""
    scaled = row_scaled(bought)
    some = scaled if items is None else scaled.tocsc()[:, items].tocsr()
    return some.T.tocsr() @ some


def buyers(bought: csr_array) -> NDArray[np.int64]:
    """How many customers have each item, (items,)."""
    return np.bincount(bought.indices, minlength=bought.shape[1])


def sales(bought: csr_array) -> NDArray[np.float64]:
    """Decayed purchases of each item, (items,)."""
    return np.bincount(bought.indices, weights=bought.data, minlength=bought.shape[1]).astype(np.float64)
