"""Which blend does best on held-out orders: coordinate descent, where a change must gain more than chance would."""

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
    "popular_weight": (0.0, 0.03, 0.07, 0.15, 0.3, 0.6, 2.0),
    "slow_share": (0.0, 0.3, 0.6, 1.0),
    "rhythm": (0.0, 0.5, 1.0),
    "trend": (0.0, 0.5, 1.0),
    "ridge": (10.0, 20.0),
    "low_rank_weight": (0.0, 0.5, 1.0, 2.0),
    "together_half_life": (60 * DAY, 180 * DAY, 720 * DAY),
    "profile_half_life": (30 * DAY, 90 * DAY, 270 * DAY, 810 * DAY),
    "repeats": (0.0, 0.1, 0.3, 1.0),
    "again_half_life": (30 * DAY, 120 * DAY, 365 * DAY, 1_095 * DAY),
}
"""What is tried of each."""
_STEADY: Final[Mapping[str, Any]] = {"trend": 0.0, "together_half_life": 720 * DAY, "profile_half_life": 810 * DAY}
STEADY: Final[Sequence[Mapping[str, Any]]] = (_STEADY, {**_STEADY, "low_rank_weight": 0.0, "popular_weight": 0.03})
"""Tried at once as well: in a shop that hardly changes what is long ago counts, and one of these alone may not pay."""
OWN_TASTE: Final = (0.25, 0.5, 2.0, 4.0)
"""Times that own purchases and popularity may count more for known items, beside what goes with them; all at once."""
PASSES: Final = 2
DOUBT: Final = 50.0
"""What a change must gain at least, in variances of its gain.

Gains, relative to the figures at the start, are guessed to be normal around -2 % with a standard deviation of 2 %, as
changes of single weights were in four kinds of shops. One measured as g with variance s² is then to be expected to be
(0.02² · g - 0.02 · s²) / (0.02² + s²): above 0 for g > s² · 0.02 / 0.02². For a hundred customers that is some standard
errors, for thousands a fraction of one.
"""
HOW_STEADY: Final = frozenset({"together_half_life", "profile_half_life", "steady"})
"""Changes in which shops differ most: how much of what was bought long ago speaks for what is bought now."""
STEADY_DOUBT: Final = 2.0
"""The same for those: a grocer's lists gain 16 % by leaving out trends, fashion's lose 24 %; a normal around -5 %
with a standard deviation of 15 %."""
SURE: Final = 3.0
"""Standard errors that are enough in any case: there are shops where one change gains 200 %."""
HOPELESS: Final = 1.0
"""Standard errors below 0 at which a change is not tried with further judges."""

Figures = tuple[NDArray[np.float64], NDArray[np.float64]]
"""NDCG@10 by customer: of all items, and of those new to the customer."""
Judge = Callable[[Blend], Figures]


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was chosen, and how it did with each judge."""

    blend: Blend
    chosen: Sequence[Figures]
    default: Sequence[Figures]


def tuned(start: Blend, judges: Sequence[Judge], *, pinned: Collection[str] = ()) -> Tuned:
    """The blend that does best with all judges, from `start` on, one kind of change at a time; `pinned` weights stay.

    Judges may have different customers. Both figures count the same: each is taken relative to what it was at the
    start. Of each kind the change is made of which most is to be expected, if that is a gain (see DOUBT).
    """
    default: Sequence[Figures] = [judge(start) for judge in judges]
    scales = [max(_mean([figures[kind] for figures in default]), 1e-9) for kind in (0, 1)]
    blend, best = start, default
    for _ in range(PASSES):
        before = blend
        for kind in _KINDS:
            most = 0.0
            present = best
            for other in _alternatives(blend, kind, pinned):
                doubt = STEADY_DOUBT if kind in HOW_STEADY else DOUBT
                figures, expected = _tried(other, judges, present, scales, doubt)
                if expected > most:
                    blend, best, most = other, figures, expected
        if blend == before:
            break
    return Tuned(blend, best, default)


_KINDS: Final = (*GRID, "steady", "own taste")


def _alternatives(blend: Blend, kind: str, pinned: Collection[str]) -> list[Blend]:
    """Blends that differ from this one by one kind of change, in none of the `pinned` weights."""
    if kind == "steady":
        others = [replace(blend, **change) for change in STEADY]
    elif kind == "own taste":
        others = [
            replace(
                blend,
                known_weight=blend.known_weight / factor,
                again_weight=blend.again_weight * factor,
                known_popular_weight=blend.known_popular_weight * factor,
            )
            for factor in OWN_TASTE
            if blend.known_weight > 0
        ]
    else:
        others = [replace(blend, **{kind: value}) for value in GRID[kind]]
    stay = [(name, getattr(blend, name)) for name in pinned]
    return [other for other in others if other != blend and all(getattr(other, name) == value for name, value in stay)]


def _tried(
    blend: Blend, judges: Sequence[Judge], present: Sequence[Figures], scales: Sequence[float], doubt: float
) -> tuple[Sequence[Figures], float]:
    """What each judge says, and what is to be expected of it beyond the present figures, up to a factor."""
    figures: list[Figures] = []
    gains, variances = [], []
    total = uncertain = 0.0
    for judge, before in zip(judges, present, strict=True):
        figures.append(judge(blend))
        gain = variance = 0.0
        for one, other, scale in zip(figures[-1], before, scales, strict=True):
            difference = (one - other) / scale
            if len(difference) > 1:
                gain += float(difference.mean())
                variance += float(difference.var()) / len(difference)
        gains.append(gain)
        variances.append(variance)
        # Customers are mostly the same ones: several judges are no more certain than one of them.
        total, uncertain = float(np.mean(gains)), float(np.mean(variances))
        if total < -HOPELESS * uncertain**0.5:
            return figures, -np.inf
    return figures, total - min(doubt * uncertain, SURE * uncertain**0.5)


def _mean(figures: Sequence[NDArray[np.float64]]) -> float:
    return float(np.mean([one.mean() for one in figures if len(one)] or [0.0]))
