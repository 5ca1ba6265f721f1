"""What customers have: each item that a customer has a line of, once, with what it says of buying it again."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.times import DAY
from recommender.blend import Blend
from recommender.history import History


@dataclass(frozen=True, slots=True)
class OwnItems:
    """Pairs of a customer and an item, rising. All columns have shape (pairs,)."""

    customers: NDArray[np.int64]
    items: NDArray[np.int64]
    profile: NDArray[np.float32]
    """Purchases, each halved per `profile_half_life` before the customer's newest one: what speaks for items that go
    with it; 0 if returned. Not before now: of whom nothing was heard for years, all would be nothing."""
    bought: NDArray[np.float32]
    """Purchases; 0 if returned."""
    again: NDArray[np.float32]
    """Purchases, each halved per `again_half_life` of age, times how far the item is due."""
    kept: NDArray[np.bool_]
    """Whether more was bought than returned."""

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def of(cls, history: History, items: int, gaps: NDArray[np.float32], now: int, blend: Blend) -> "OwnItems":
        """Parameters: kept lines in any order; how many items there are; usual days between two purchases, by item."""
        key = history.customers.astype(np.int64) * items + history.items
        order = np.argsort(key, kind="stable")
        key, quantity, at = key[order], history.quantity[order], history.at[order]
        starts = np.flatnonzero(np.diff(key, prepend=-1))
        unique = key[starts]
        owners, numbers = unique // max(items, 1), unique % max(items, 1)
        if not len(starts):
            none = np.empty(0, np.float32)
            return cls(owners, numbers, none, none, none, np.empty(0, np.bool_))
        # Time may run backwards by a little between machines: an age below zero counts as none.
        age = (np.maximum(now - at, 0) / DAY).astype(np.float32)
        bought = quantity > 0
        kept = np.add.reduceat(quantity.astype(np.int64), starts) > 0
        before_newest = _before_newest(age, bought, owners, starts)
        speaks = np.exp2(before_newest * np.float32(-DAY / blend.profile_half_life)) * bought
        profile = np.add.reduceat(speaks, starts)
        if blend.repeats < 1:
            newest = np.maximum.reduceat(speaks, starts)
            profile = newest + np.float32(blend.repeats) * (profile - newest)
        again = np.add.reduceat(np.exp2(age * np.float32(-DAY / blend.again_half_life)) * bought, starts)
        if blend.rhythm > 0 and len(gaps):
            latest = np.minimum.reduceat(np.where(bought, age, np.float32(np.inf)), starts)
            again *= due(latest, np.where(numbers < len(gaps), gaps[np.minimum(numbers, len(gaps) - 1)], 0), blend)
        purchases = np.add.reduceat(bought.astype(np.float32), starts)
        return cls(owners, numbers, profile * kept, purchases * kept, again, kept)


def _before_newest(
    age: NDArray[np.float32], bought: NDArray[np.bool_], owners: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Days that each line is older than its customer's newest purchase, at least 0; pairs begin at `starts`."""
    latest = np.minimum.reduceat(np.where(bought, age, np.float32(np.inf)), starts)
    first = np.flatnonzero(np.diff(owners, prepend=-1))
    newest = np.minimum.reduceat(latest, first)
    newest[np.isinf(newest)] = 0  # who only returned things
    of_pairs = np.repeat(newest, np.diff(first, append=len(owners)))
    older: NDArray[np.float32] = age - np.repeat(of_pairs, np.diff(starts, append=len(age)))
    return np.maximum(older, np.float32(0))


def due(days: NDArray[np.float32], gaps: NDArray[np.float32], blend: Blend) -> NDArray[np.float32]:
    """How far an item is due that was bought so many days ago and is usually bought again after so many: 0 to 1.

    1 - rhythm · (1 - days / gap) until a gap has passed, 1 from then on; 1 too where no gap is known (0).
    """
    passed = np.ones(np.broadcast(days, gaps).shape, np.float32)
    np.divide(days, gaps, out=passed, where=gaps > 0)
    return 1 - np.float32(blend.rhythm) * (1 - np.minimum(passed, 1))
