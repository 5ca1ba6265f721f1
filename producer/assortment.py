"""What the synthetic shop sells, and who likes what."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

CATEGORIES: Final = ("kitchen", "garden", "stationery", "toys", "textiles", "candles", "bags", "christmas")
FAVOURITES: Final = 5
_PERSONAL: Final = 0.45
"""Share of lines that are one of the customer's favourites."""
_TOGETHER: Final = 0.3
"""Share of further lines that go with the order's first item."""


@dataclass(frozen=True, slots=True)
class Assortment:
    """Items as columns of one length (items,)."""

    item_ids: list[str]
    category: Ints
    """Places in CATEGORIES."""
    cents: Ints
    """Price of one."""
    partner: Ints
    """The item that goes with it."""
    taste: NDArray[np.float64]
    """(types, items): cumulative probabilities, raised by the type's place so that one sorted array serves all."""
    salt: int

    def draw(self, types: Ints, customers: Ints, counts: Ints, rng: np.random.Generator) -> Ints:
        """Items of the lines of some orders, order by order: (sum of counts,).

        `types`, `customers` and `counts` (lines) have one entry per order.
        """
        line_type = np.repeat(types, counts)
        line_customer = np.repeat(customers, counts)
        total = len(line_type)
        chance = rng.random((3, total))
        favourite = _mixed(line_customer * FAVOURITES + (chance[2] * FAVOURITES).astype(np.int64), self.salt)
        position = np.where(chance[0] < _PERSONAL, favourite, chance[2])
        flat = self.taste.ravel()
        items = np.searchsorted(flat, line_type + position, side="right") - line_type * len(self.item_ids)
        items = np.minimum(items, len(self.item_ids) - 1)
        first = np.repeat(np.cumsum(counts) - counts, counts)
        goes_along = (chance[1] < _TOGETHER) & (np.arange(total) != first)
        drawn: Ints = np.where(goes_along, self.partner[items[first]], items)
        return drawn


def assortment(items: int, types: int, rng: np.random.Generator) -> Assortment:
    """An assortment with skewed popularity (Zipf) and, for each type of customer, categories of its own."""
    category = rng.integers(len(CATEGORIES), size=items)
    popularity = 1.0 / rng.permutation(np.arange(5, items + 5))
    liking = rng.gamma(0.6, size=(types, len(CATEGORIES))) + 0.05
    weights = popularity * liking[:, category]
    taste = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    taste[:, -1] = 1.0
    return Assortment(
        item_ids=[f"{CATEGORIES[place]}-{number:04d}" for number, place in enumerate(category.tolist())],
        category=category,
        cents=np.clip(rng.lognormal(6.4, 0.5, items), 45, 9_900).astype(np.int64),
        partner=rng.permutation(items),
        taste=taste + np.arange(types)[:, None],
        salt=int(rng.integers(2**62)),
    )


def _mixed(numbers: Ints, salt: int) -> NDArray[np.float64]:
    """A fixed pseudo-random number in [0, 1) for each number: splitmix64 (Steele, Lea & Flood 2014)."""
    x = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    fraction: NDArray[np.float64] = (x >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return fraction
