"""What sampled customers and guests bought, as the item review wants it."""

from typing import Final

import numpy as np
import numpy.typing as npt

from consumer.items import Items, history_of
from consumer.row_store import RowStore
from consumer.sample import Gathered, gather
from consumer.state import State
from recommender.history import History

SAMPLE_CUSTOMERS: Final = 50_000
"""About so many customers' kept lines are learnt from."""


def sampled_history(store: RowStore, state: State, items: Items, customers: int, partitions: int) -> History:
    """The kept lines of sampled customers, of products only, by the worker's item numbers.

    Rows of held partitions come from memory, others' from the state. `customers` are all there are, of which about
    SAMPLE_CUSTOMERS are taken; `History.customers` counts those who have lines, in an order that hangs on the rows
    alone.
    """
    history = _history(gather(store, state, customers, SAMPLE_CUSTOMERS, partitions, guests=True), items)
    return history.where(items.products[history.items])


def _history(gathered: Gathered, items: Items) -> History:
    by_customer = np.array(gathered.partitions)

    def numbers(owners: npt.NDArray[np.int32], own: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
        partitions = by_customer[owners]
        result: npt.NDArray[np.int32] = np.empty(len(own), np.int32)
        for partition in np.unique(partitions).tolist():
            here = partitions == partition
            result[here] = items.number(gathered.items(partition))[own[here]]
        return result

    return history_of(gathered.heads, gathered.lines, numbers)
