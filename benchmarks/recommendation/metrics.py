"""How good lists of ten are, given what was bought afterwards. Relevance is binary: bought or not."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from online_model.arrays import Floats, Integers

LENGTH: Final = 10
"""Places of a list that count: everything here is @10."""
NO_ITEM: Final = -1
Metric = Literal["ndcg@10", "recall@10", "hit_rate"]
METRICS: Final[tuple[Metric, ...]] = ("ndcg@10", "recall@10", "hit_rate")
_DISCOUNT: Final = 1 / np.log2(np.arange(2, LENGTH + 2))
_DECILES: Final = 10


@dataclass(frozen=True, slots=True)
class Truth:
    """What each customer bought next, as pairs of customer and item."""

    customers: Integers
    """(pairs,): places, rising."""
    items: Integers
    """(pairs,): item numbers; -1 for one that nobody could know yet, which counts as relevant and can not be hit."""
    size: int
    """Customers."""

    @property
    def counts(self) -> Integers:
        """(customers,): relevant items."""
        counts: Integers = np.bincount(self.customers, minlength=self.size)
        return counts

    def only(self, chosen: Integers) -> "Truth":
        """That of some customers; `chosen` are places, rising."""
        kept = np.isin(self.customers, chosen)
        return Truth(np.searchsorted(chosen, self.customers[kept]), self.items[kept], len(chosen))


def hits(lists: Integers, truth: Truth) -> Floats:
    """1 where a place holds a relevant item, else 0; (customers, 10). `lists` are (customers, 10), -1 where empty."""
    base = max(lists.max(initial=0), truth.items.max(initial=0)) + 1
    known = truth.items >= 0
    relevant = truth.customers[known] * base + truth.items[known]
    places = np.arange(len(lists))[:, None] * base + lists
    return ((lists >= 0) & np.isin(places, relevant)).astype(np.float64)


def score(lists: Integers, truth: Truth) -> dict[Metric, Floats]:
    """Each metric by customer, (customers,); NaN for whoever nothing is relevant to.

    With r relevant items and h(p) = 1 where place p = 1 … 10 holds one of them:

    - ndcg@10 = Σ h(p) / log2(p + 1), divided by the same for a list that begins with min(10, r) relevant items
      (Järvelin & Kekäläinen 2002, with binary gains).
    - recall@10 = Σ h(p) / min(10, r), so that a perfect list has 1 (as in Liang et al. 2018).
    - hit_rate = 1 where any h(p) = 1.
    """
    hit, counts = hits(lists, truth), truth.counts
    possible = np.minimum(counts, LENGTH)
    ideal = np.concatenate([[np.nan], np.cumsum(_DISCOUNT)])[possible]
    divisor = np.where(possible > 0, possible, np.nan)
    return {
        "ndcg@10": hit @ _DISCOUNT / ideal,
        "recall@10": hit.sum(axis=1) / divisor,
        "hit_rate": hit.max(axis=1, initial=0.0) * (divisor / divisor),
    }


def mean_ndcg(lists: Integers, truth: Truth) -> float:
    """The mean NDCG@10 over customers to whom anything is relevant; 0 where there is nobody."""
    values = score(lists, truth)["ndcg@10"]
    there = ~np.isnan(values)
    return float(values[there].mean()) if there.any() else 0.0


def coverage(lists: Integers, buyers: Integers, allowed: Integers) -> list[float]:
    """Of each tenth of the products by popularity, best sellers first, the share that stands in anybody's list.

    `buyers`, (items,), has how many customers bought each item; `allowed` the numbers of the items that count.
    Fewer than ten items make fewer parts.
    """
    ranked = allowed[np.argsort(-buyers[allowed], kind="stable")]
    shown = np.isin(ranked, lists)
    return [float(part.mean()) for part in np.array_split(shown, _DECILES) if len(part)]
