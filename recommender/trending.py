"""What sells more than it used to: recent purchases against what the longer past lets expect."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SURE: Final = 3.0
"""Standard deviations by which recent purchases must exceed what was expected: one item in 740 does by chance."""
CLEAR: Final = 1.5
"""Times that they must exceed it as well: in a large shop the smallest rise is beyond chance."""


def trend(fast: NDArray[np.float64], slow: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many times as much of each item sells as would be expected if nothing had changed, (items,).

    Both are taken to be one purchase more than they are: so an item with few purchases is near 1 either way.

    Parameters: see `trending`.
    """
    total = slow.sum()
    expected = slow * (fast.sum() / total) if total > 0 else slow
    ratio: NDArray[np.float64] = (fast + 1) / (expected + 1)
    return ratio


def trending(fast: NDArray[np.float64], slow: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which items trend, (items,).

    An item's share of the slow sums says what its fast sum would be if nothing had changed. Purchases coming at random
    at a steady rate, a sum of weights halved per half-life has a variance of half its mean (Campbell's theorem: the
    weights' squares decay twice as fast), and so has the expectation, by the slow sum it is made from.

    Parameters:
        fast: sums of purchases halved per short half-life, as of now, (items,).
        slow: the same with the long one.
    """
    total = slow.sum()
    if total <= 0:
        return np.zeros(len(fast), np.bool_)
    ratio = fast.sum() / total
    # One purchase more than there was: an item that never sold before is not expected to sell nothing for ever.
    expected = ratio * (slow + 1)
    spread = np.sqrt((expected + ratio * expected) / 2)
    rising: NDArray[np.bool_] = (fast > expected + SURE * spread) & (fast > CLEAR * expected)
    return rising
