"""The newest part of histories set aside: what came before it, and what each customer ordered in it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.distinct import distinct
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

    The first order says how what is known and what is new are mixed. All orders, as if they were one, say what of the
    new items suits whom: in first orders alone there are too few.
    """

    cut: int
    """Microseconds UTC."""
    before: History
    """All customers' lines before the cut."""
    buyers: History
    """Those of the customers in question, numbered 0 … n-1."""
    cells: NDArray[np.int64]
    """What they ordered first, customer · items + item, rising."""
    new_cells: NDArray[np.int64]
    """What they ever ordered after the cut and had no purchase of before, rising."""
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
        first = np.full(size, np.iinfo(np.int64).max)
        np.minimum.at(first, after.customers, after.at)
        is_first = after.at == first[after.customers]
        kept = allowed[after.items]
        after, is_first = after.where(kept), is_first[kept]
        known = np.zeros(size, np.bool_)
        known[before.customers[before.quantity > 0]] = True
        who = np.intersect1d(distinct(after.customers[is_first]), np.flatnonzero(known))
        who = who[:: -(-len(who) // MOST) or 1]
        place = np.full(size, -1, np.int32)
        place[who] = np.arange(len(who), dtype=np.int32)
        of_those = place[after.customers] >= 0
        ordered, is_first = after.where(of_those), is_first[of_those]
        buyers = before.where(place[before.customers] >= 0)
        cells = place[ordered.customers].astype(np.int64) * items + ordered.items
        buyers = History(place[buyers.customers], buyers.items, buyers.at, buyers.quantity)
        own = buyers.where(buyers.quantity > 0)
        new = np.setdiff1d(cells, own.customers.astype(np.int64) * items + own.items)
        return cls(cut, before, buyers, distinct(cells[is_first]), new, len(who), items)

    def judge(self, ranked: Ranked) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """NDCG@10 of each customer's list, and of what it has of new items, for those who ordered a new one."""
        discover = _moved_up(ranked.items, ranked.reasons != Reason.AGAIN)
        ordered_new = np.bincount(self.new_cells // max(self.items, 1), minlength=self.customers)
        some = ordered_new > 0
        return (
            ndcg(self._hits(ranked.items, self.cells), np.bincount(self.cells // max(self.items, 1))),
            ndcg(self._hits(discover, self.new_cells), ordered_new)[some],
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
