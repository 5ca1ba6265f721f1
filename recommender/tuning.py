"""Which blend does best on held-out orders: coordinate descent over a few values of each weight."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.times import DAY
from recommender.blend import Blend

GRID: Final[Mapping[str, Sequence[Any]]] = {
    "known_weight": (0.0, 0.25, 0.5, 1.0, 2.0),
    "again_weight": (0.5, 1.0, 2.0, 4.0, 8.0),
    "known_popular_weight": (0.0, 0.5, 1.25, 2.5, 5.0),
    "popular_weight": (0.0, 0.07, 0.15, 0.3, 0.6, 2.0),
    "slow_share": (0.0, 0.3, 0.6, 1.0),
    "rhythm": (0.0, 0.5, 1.0),
    "trend": (0.0, 0.5, 1.0),
    "ridge": (5.0, 20.0, 80.0),
    "low_rank_weight": (0.0, 0.5, 1.0, 2.0),
    "profile_half_life": (30 * DAY, 90 * DAY, 270 * DAY),
    "again_half_life": (30 * DAY, 120 * DAY, 365 * DAY),
}
"""What is tried of each."""
PASSES: Final = 2
SURE: Final = 3.0
"""Standard errors by which a value must be better than the one before it: of forty tried one is by two, by chance."""

Figures = tuple[NDArray[np.float64], NDArray[np.float64]]
"""NDCG@10 by customer: of all items, and of those new to the customer."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was chosen, and how it did."""

    blend: Blend
    chosen: Figures
    default: Figures


def tuned(start: Blend, judge: Callable[[Blend], Figures], *, pinned: Collection[str] = ()) -> Tuned:
    """The blend that judges best, from `start` on, one value at a time; `pinned` ones stay.

    Both figures count the same: each is taken relative to what it was at the start. A change is made where the gain
    exceeds SURE standard errors of the difference over customers, paired.
    """
    default = judge(start)
    scales = [max(float(figure.mean()), 1e-9) if len(figure) else 1.0 for figure in default]
    blend, best = start, default
    for _ in range(PASSES):
        before = blend
        for name, values in GRID.items():
            if name in pinned:
                continue
            present = getattr(blend, name)
            for value in values:
                if value == present:
                    continue
                other = replace(blend, **{name: value})
                figures = judge(other)
                if _better(figures, best, scales):
                    blend, best = other, figures
        if blend == before:
            break
    return Tuned(blend, best, default)


def _better(figures: Figures, best: Figures, scales: Sequence[float]) -> bool:
    gain = variance = 0.0
    for one, other, scale in zip(figures, best, scales, strict=True):
        difference = (one - other) / scale
        if len(difference) > 1:
            gain += float(difference.mean())
            variance += float(difference.var()) / len(difference)
    return gain > SURE * variance**0.5 and gain > 0
