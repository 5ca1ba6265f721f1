"""A synthetic shop of which everything is known: who buys how often, when they leave for good, and what comes then."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from online_model.arrays import Booleans, Floats, Integers
from online_model.forecasts.purchases import DAYS_PER_WEEK, Purchases
from online_model.forecasts.value import Amounts

Leaving = Literal["after a purchase", "at any time"]


@dataclass(frozen=True, slots=True)
class Tastes:
    """How customers differ. Time is in weeks, money in currency units."""

    customers: int = 4_000
    weeks: float = 78.0
    """Of history; first purchases lie in its first four fifths."""
    leaving: Leaving = "after a purchase"
    """As MBG/NBD has it, with a probability of each customer's own; or at any time, which it does not know."""
    rate: tuple[float, float] = (1.2, 4.0)
    """Of purchases: shape and rate of a gamma distribution."""
    drop_out: tuple[float, float] = (0.8, 4.0)
    """Of leaving after a purchase: a beta distribution."""
    lifetime: tuple[float, float] = (0.6, 12.0)
    """Of the rate of leaving at any time: shape and rate of a gamma distribution."""
    value: tuple[float, float, float] = (3.0, 4.0, 90.0)
    """p, q, γ of Gamma–Gamma."""


@dataclass(frozen=True, eq=False, slots=True)
class KnownShop:
    """What is seen up to now, and the truth, columns of one length (customers,)."""

    purchases: Purchases
    amounts: Amounts
    active: Booleans
    """Whether the customer has not left."""
    orders: Mapping[int, Integers]
    """Purchases to come, by days ahead."""
    spend: Mapping[int, Floats]
    """What they are worth, by days ahead."""


_HORIZONS: Final = (30, 90, 365)


def known_shop(tastes: Tastes, seed: int) -> KnownShop:
    """Let customers buy and leave, past now and for a year more; the same seed gives the same shop."""
    rng = np.random.default_rng(seed)
    n = tastes.customers
    gap = 1 / np.maximum(rng.gamma(tastes.rate[0], 1 / tastes.rate[1], n), 1e-9)
    leave = rng.beta(*tastes.drop_out, n)
    life = rng.exponential(1 / np.maximum(rng.gamma(tastes.lifetime[0], 1 / tastes.lifetime[1], n), 1e-9))
    p, q, gamma = tastes.value
    unit = gamma / rng.gamma(q, 1.0, n)
    first = rng.uniform(0, 0.8 * tastes.weeks, n)
    by_purchase = tastes.leaving == "after a purchase"
    gone_at = np.full(n, np.inf) if by_purchase else first + life

    count, last, spend = np.zeros(n), first.copy(), np.zeros(n)
    orders = {days: np.zeros(n, np.int64) for days in _HORIZONS}
    worth = {days: np.zeros(n) for days in _HORIZONS}
    buyers, at = np.arange(n), first.copy()
    end = tastes.weeks + max(_HORIZONS) / DAYS_PER_WEEK
    while len(buyers):
        amount = rng.gamma(p, 1.0, len(buyers)) * unit[buyers]
        seen = at <= tastes.weeks
        count[buyers[seen]] += 1
        last[buyers[seen]] = at[seen]
        spend[buyers[seen]] += amount[seen]
        for days in _HORIZONS:
            ahead = ~seen & (at <= tastes.weeks + days / DAYS_PER_WEEK)
            orders[days][buyers[ahead]] += 1
            worth[days][buyers[ahead]] += amount[ahead]
        if by_purchase:
            leaves = rng.random(len(buyers)) < leave[buyers]
            gone_at[buyers[leaves]] = at[leaves]
        at = at + rng.exponential(gap[buyers])
        stay = at <= np.minimum(gone_at[buyers], end)
        buyers, at = buyers[stay], at[stay]
    return KnownShop(
        Purchases(count - 1, last - first, tastes.weeks - first),
        Amounts(count, spend / count),
        gone_at > tastes.weeks,
        orders,
        worth,
    )
