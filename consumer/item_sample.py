"""What sampled customers and guests bought, as the item review wants it."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from consumer.items import Items, ItemSums, history_of
from consumer.row_store import RowStore
from consumer.sample import Gathered, gather
from consumer.state import State
from recommender.history import History

SAMPLE_CUSTOMERS: Final = 50_000
"""About so many customers' kept lines are learnt from."""


def sampled_history(store: RowStore, state: State, items: ItemSums, customers: int, partitions: int) -> History:
    """The kept lines of sampled customers, of products only, by the worker's item numbers.

    Rows of held partitions come from memory, others' from the state. `customers` are all there are, of which about
    SAMPLE_CUSTOMERS are taken; `History.customers` counts those who have lines, in an order that hangs on the rows
    alone.
    """
    history = _history(gather(store, state, customers, SAMPLE_CUSTOMERS, partitions, guests=True), items)
    return history.where(items.items.products[history.items])


def _history(gathered: Gathered, items: ItemSums) -> History:
    by_customer = np.array(gathered.partitions, np.int64)  # rising

    def numbers(owners: npt.NDArray[np.int32], own: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
        result: npt.NDArray[np.int32] = np.empty(len(own), np.int32)
        for partition in np.unique(by_customer).tolist():
            first, last = np.searchsorted(by_customer, (partition, partition + 1))
            here = slice(*np.searchsorted(owners, (first, last)))
            known = items.numbers(partition)
            if known is None:
                result[here] = _numbers(own[here], gathered.items(partition), items.items)
            else:
                result[here] = known[own[here]]
        return result

    return history_of(gathered.heads, gathered.lines, numbers)


def _numbers(own: npt.NDArray[np.uint32], names: Sequence[str], items: Items) -> npt.NDArray[np.int32]:
    """Numbers of items by their numbers in another worker's partition; of a hundred thousand a sample has some."""
    there = np.zeros(len(names), np.bool_)
    there[own] = True
    used = np.flatnonzero(there)
    numbers = np.empty(len(names), np.int32)
    numbers[used] = items.number(names[place] for place in used.tolist())
    return numbers[own]
