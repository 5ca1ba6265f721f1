"""The newest part of histories set aside: what came before it, and what each customer ordered in it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.history import History
from recommender.ndcg import ndcg
from recommender.ranking import Ranked, Reason

SHARES: Final = (0.3, 0.2, 0.1)
"""Of all purchase lines that are set aside, beginning with the newest: what suits one moment may not suit another."""
MOST: Final = 3_000
"""Customers whose orders are looked at."""


@dataclass(frozen=True, slots=True)
class HeldOutOrders:
    """What was ordered after a moment by customers who bought before it.

    All orders count, as if they were one: first orders alone say little of what customers newly find.
    """

    cut: int
    """Microseconds UTC."""
    before: History
    """All customers' lines before the cut."""
    buyers: History
    """Those of the customers in question, numbered 0 … n-1."""
    cells: NDArray[np.int64]
    """What they ordered, customer · items + item, rising."""
    is_new: NDArray[np.bool_]
    """Which of these the customer had no purchase of before, (cells,)."""
    customers: int
    items: int

    @classmethod
    def of(cls, history: History, items: int, allowed: NDArray[np.bool_], share: float) -> "HeldOutOrders":
        """Set aside the newest share of purchase lines. Items not allowed, (items,), are in no order."""
        bought = history.quantity > 0
        cut = int(np.quantile(history.at[bought], 1 - share, method="lower")) if bought.any() else 0
        past = history.at < cut
        before, after = history.where(past), history.where(bought & ~past)
        size = int(history.customers.max(initial=-1)) + 1
        after = after.where(allowed[after.items])
        known = np.zeros(size, np.bool_)
        known[before.customers[before.quantity > 0]] = True
        who = np.intersect1d(np.unique(after.customers), np.flatnonzero(known))
        who = who[:: -(-len(who) // MOST) or 1]
        place = np.full(size, -1, np.int32)
        place[who] = np.arange(len(who), dtype=np.int32)
        ordered, buyers = after.where(place[after.customers] >= 0), before.where(place[before.customers] >= 0)
        cells = np.unique(place[ordered.customers].astype(np.int64) * items + ordered.items)
        buyers = History(place[buyers.customers], buyers.items, buyers.at, buyers.quantity)
        own = buyers.where(buyers.quantity > 0)
        owned = np.unique(own.customers.astype(np.int64) * items + own.items)
        return cls(cut, before, buyers, cells, ~np.isin(cells, owned), len(who), items)

    def judge(self, ranked: Ranked) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """NDCG@10 of each customer's list, and of what it has of new items, for those who ordered a new one."""
        new = self.cells[self.is_new]
        discover = _moved_up(ranked.items, ranked.reasons != Reason.AGAIN)
        ordered_new = np.bincount(new // max(self.items, 1), minlength=self.customers)
        some = ordered_new > 0
        return (
            ndcg(self._hits(ranked.items, self.cells), np.bincount(self.cells // max(self.items, 1))),
            ndcg(self._hits(discover, new), ordered_new)[some],
        )

    def _hits(self, items: NDArray[np.int32], cells: NDArray[np.int64]) -> NDArray[np.bool_]:
        wanted = np.arange(len(items))[:, None] * self.items + items
        return (items >= 0) & np.isin(wanted, cells)


def _moved_up(items: NDArray[np.int32], wanted: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Only the wanted items of each list, in their order; -1 behind them."""
    wanted = wanted & (items >= 0)
    order = np.argsort(~wanted, axis=1, kind="stable")
    moved: NDArray[np.int32] = np.take_along_axis(np.where(wanted, items, np.int32(-1)), order, axis=1)
    return moved
