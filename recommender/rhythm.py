"""How long it usually takes until an item is bought again."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.times import DAY
from recommender.history import History

PRIOR: Final = 20.0
"""Repurchases with which an item's own gap weighs as much as the shop's."""
_SAME_ORDER: Final = 1.0
"""Days within which two purchases are one."""


def repurchase_gaps(history: History, items: int) -> NDArray[np.float32]:
    """Median days between two purchases of each item by one customer, (items,), shrunk to the shop's median.

    The mean of both logarithms, weighed by repurchases and PRIOR. 0, for "not known", where nothing was bought twice.
    """
    bought = history.where(history.quantity > 0)
    order = np.lexsort((bought.at, bought.items, bought.customers))
    customers, numbers, at = bought.customers[order], bought.items[order], bought.at[order]
    same = (np.diff(customers) == 0) & (np.diff(numbers) == 0)
    days = np.diff(at)[same] / DAY
    item = numbers[1:][same]
    apart = days >= _SAME_ORDER
    days, item = days[apart], item[apart]
    if not len(days):
        return np.zeros(items, np.float32)
    order = np.lexsort((days, item))
    days, item = days[order], item[order]
    counts = np.bincount(item, minlength=items)
    middle = (np.cumsum(counts) - counts) + counts // 2
    own = np.log(days[np.minimum(middle, len(days) - 1)])
    shop = np.log(np.median(days))
    gaps: NDArray[np.float32] = np.exp((counts * own + PRIOR * shop) / (counts + PRIOR)).astype(np.float32)
    return gaps
