"""How the kept lines of a batch of customers travel: columns of one length, sorted by customer."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class History:
    """Purchase and return lines of customers 0 … n-1 of a batch. All columns have shape (lines,).

    Raises ValueError where the columns differ in length.
    """

    customers: NDArray[np.int32]
    """Place in the batch; rising."""
    items: NDArray[np.int32]
    """Number of the item within this worker."""
    at: NDArray[np.int64]
    """When, in microseconds UTC."""
    quantity: NDArray[np.int32]
    """How many; negative where they were returned."""

    def __post_init__(self) -> None:
        if not (len(self.customers) == len(self.items) == len(self.at) == len(self.quantity)):
            raise ValueError("the columns of a history must have one length")

    def __len__(self) -> int:
        return len(self.customers)

    @classmethod
    def empty(cls) -> Self:
        """Nobody's lines."""
        none = np.empty(0, dtype=np.int32)
        return cls(none, none, np.empty(0, dtype=np.int64), none)

    def where(self, kept: NDArray[np.bool_]) -> "History":
        """The lines for which `kept`, (lines,), is true."""
        if kept.all():
            return self
        return History(self.customers[kept], self.items[kept], self.at[kept], self.quantity[kept])

    def of_customers(self, start: int, stop: int) -> "History":
        """The lines of customers `start` … `stop` - 1, who are then 0 …; the customers must be sorted."""
        first, last = np.searchsorted(self.customers, (start, stop))
        part = slice(first, last)
        return History(self.customers[part] - np.int32(start), self.items[part], self.at[part], self.quantity[part])
