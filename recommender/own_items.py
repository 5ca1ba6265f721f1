"""What customers have: each item that a customer has a line of, once, with what it says of buying it again."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.times import DAY
from recommender.blend import Blend
from recommender.distinct import begins_of, sorted_order
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
    cells: NDArray[np.int64]
    """customer · items + item, rising."""
    starts: NDArray[np.int32]
    """Where each customer's pairs begin, and where the last one's end, (customers + 1,)."""

    def __len__(self) -> int:
        return len(self.items)

    @property
    def owners(self) -> int:
        """Customers, with those who have nothing."""
        return len(self.starts) - 1

    @classmethod
    def of(
        cls, history: History, owners: int, items: int, gaps: NDArray[np.float32], *, now: int, blend: Blend
    ) -> "OwnItems":
        """What so many customers have.

        Parameters:
            history: kept lines in any order.
            items: how many there are.
            gaps: usual days between two purchases, by item.
        """
        keys = history.customers.astype(np.int64)
        keys *= items
        keys += history.items
        order = sorted_order(keys)
        begins = begins_of(keys)
        unique = keys[begins]
        customers = history.customers[order[begins]].astype(np.int64)
        numbers = unique - customers * items
        starts = np.searchsorted(customers, np.arange(owners + 1)).astype(np.int32)
        if not len(begins):
            none = np.empty(0, np.float32)
            return cls(customers, numbers, none, none, none, np.empty(0, np.bool_), unique, starts)
        quantity, at = history.quantity[order], history.at[order]
        # Time may run backwards by a little between machines: an age below zero counts as none.
        age = (np.maximum(now - at, 0) / DAY).astype(np.float32)
        bought = quantity > 0
        kept = np.add.reduceat(quantity, begins, dtype=np.int64) > 0
        # Of what was returned, no purchase is the newest.
        bought_age = np.where(bought, age, np.float32(np.inf))
        latest = np.minimum.reduceat(bought_age, begins)
        first = starts[:-1][starts[1:] > starts[:-1]]
        newest = np.minimum.reduceat(latest, first)
        newest[np.isinf(newest)] = 0  # who only returned things
        lines = np.diff(np.append(begins[first], len(age)))
        before_newest = np.maximum(age - np.repeat(newest, lines), np.float32(0))
        speaks = np.exp2(before_newest * np.float32(-DAY / blend.profile_half_life)) * bought
        profile = np.add.reduceat(speaks, begins)
        if blend.repeats < 1:
            best = np.maximum.reduceat(speaks, begins)
            profile = best + np.float32(blend.repeats) * (profile - best)
        again = np.add.reduceat(np.exp2(age * np.float32(-DAY / blend.again_half_life)) * bought, begins)
        if blend.rhythm > 0 and len(gaps):
            again *= due(latest, np.where(numbers < len(gaps), gaps[np.minimum(numbers, len(gaps) - 1)], 0), blend)
        purchases = np.add.reduceat(bought, begins, dtype=np.float32)
        return cls(customers, numbers, profile * kept, purchases * kept, again, kept, unique, starts)


def due(days: NDArray[np.float32], gaps: NDArray[np.float32], blend: Blend) -> NDArray[np.float32]:
    """How far an item is due that was bought so many days ago and is usually bought again after so many: 0 to 1.

    1 - rhythm · (1 - days / gap) until a gap has passed, 1 from then on; 1 too where no gap is known (0).
    """
    passed = np.ones(np.broadcast(days, gaps).shape, np.float32)
    np.divide(days, gaps, out=passed, where=gaps > 0)
    return 1 - np.float32(blend.rhythm) * (1 - np.minimum(passed, 1))
