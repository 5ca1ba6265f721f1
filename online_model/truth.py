"""What may be said of customers: an adjective where it is true of most members, a name where it is not false."""

from typing import Final, NamedTuple

import numpy as np

from online_model.arrays import Booleans, Floats

TRUE_SHARE: Final = 0.7
"""Of so many members an adjective must be true."""
HYSTERESIS: Final = 0.05
"""An adjective that is in use stays until it falls so far below."""


class Adjective(NamedTuple):
    """A word in a name, and of which share of the members it is true."""

    word: str
    share: float


def holds(share: float, *, in_use: bool = False) -> bool:
    """Whether an adjective may be used that is true of this share of the members."""
    return share >= TRUE_SHARE - HYSTERESIS * in_use


def share_beyond(values: Floats, population: Floats, *, above: bool) -> float:
    """The share of members' values that lie above the population's median, or below it; 0 without any.

    `values` and `population` are (customers,) each; NaN stands for what is not known and does not count. Members on the
    median are on neither side.
    """
    values, population = values[~np.isnan(values)], population[~np.isnan(population)]
    if not len(values) or not len(population):
        return 0.0
    median = np.median(population)
    return float(np.mean(values > median if above else values < median))


def barred(recency: Floats, active: Booleans, lapse_days: float) -> Booleans:
    """In which segments customers must not be, since the name would be false of them, (customers, k).

    `recency` is days since the last order, (customers,), NaN where there is none; `active` (k,) says which names are
    false of a customer who has lapsed, which is to be silent for more than `lapse_days`. Recency only rises until the
    next order, so whoever is barred from a segment stays barred: nobody goes to and fro.
    """
    return np.asarray((recency > lapse_days)[:, np.newaxis] & active[np.newaxis, :])
