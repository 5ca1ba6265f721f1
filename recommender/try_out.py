"""New items of the shop are shown to some, or nobody would ever buy them: to whom hangs on a hash and the period."""

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import Batch
from recommender.going_with import NO_ITEM


def draws(hashes: NDArray[np.uint64], period: int) -> NDArray[np.uint64]:
    """A number for each customer that looks drawn at random, the same all through a period."""
    with np.errstate(over="ignore"):
        # splitmix64 (Steele, Lea, Flood 2014)
        z = hashes + np.uint64(period % 2**32) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def to_try_out(
    batch: Batch, listed: NDArray[np.int32], fresh: NDArray[np.int32], share: float, drawn: NDArray[np.uint64]
) -> NDArray[np.int32]:
    """New items for the end of lists, (customers, places); -1 for none, as where a customer has or may get it anyway.

    Parameters:
        batch: the customers; of a width that is the length of their lists.
        listed: what may stand in the lists, (customers, width).
        fresh: the new items.
        share: of the places in lists that go to them; part of a place goes to so many customers.
        drawn: by `draws`, (customers,).
    """
    fresh = fresh[fresh < batch.items]
    fresh = fresh[batch.allowed[fresh]]
    places = np.floor(share * listed.shape[1] + (drawn >> np.uint64(40)).astype(np.float64) / 2.0**24).astype(np.int64)
    most = min(int(places.max(initial=0)), len(fresh), listed.shape[1] // 2)
    tried = np.full((batch.customers, most), NO_ITEM, np.int32)
    everybody = np.arange(batch.customers) * batch.items
    for turn in range(most):
        items = fresh[((drawn + np.uint64(turn)) % np.uint64(len(fresh))).astype(np.int64)]
        fits = (turn < places) & ~batch.has(everybody + items) & ~(listed == items[:, None]).any(axis=1)
        if batch.held_out is not None:
            fits &= ~batch.held_out
        tried[fits, turn] = items[fits]
    return tried
