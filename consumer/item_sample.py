"""What sampled customers bought, as the item review wants it."""

from typing import Final

import numpy as np
import numpy.typing as npt

from consumer.items import Items
from consumer.layout import HEAD, LINE
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
    history = _history(gather(store, state, customers, SAMPLE_CUSTOMERS, partitions), items)
    return history.where(items.products[history.items])


def _history(gathered: Gathered, items: Items) -> History:
    packed = np.frombuffer(b"".join(gathered.lines), LINE)
    if not len(packed):
        return History.empty()
    table = np.frombuffer(b"".join(gathered.heads), HEAD)
    counts = np.array([len(part) // LINE.itemsize for part in gathered.lines])
    owners = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    numbers: npt.NDArray[np.int32] = np.empty(len(packed), np.int32)
    partitions = np.repeat(np.array(gathered.partitions), counts)
    for partition in np.unique(partitions).tolist():
        own = partitions == partition
        numbers[own] = items.number(gathered.items(partition))[packed["item"][own]]
    return History(owners, numbers, np.repeat(table["at"], table["lines"]), packed["quantity"].copy())
