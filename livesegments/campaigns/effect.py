"""What a campaign brought: treated customers against controls, with 95 % intervals, and what could be seen at all.

By intention to treat: everybody counts in the group drawn, also who never got or opened anything. Arrays in, numbers
out.
"""

from math import hypot, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.campaigns import Effect
from recommender.lift import CONFIDENCE, student_quantile, wilson

POWER: Final = 0.8
"""With which the smallest detectable effect is seen."""
_POWERFUL: Final = NormalDist().inv_cdf(POWER)
_REACH: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) + _POWERFUL
_HALVINGS: Final = 60

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


def conversion_effect(treated: tuple[float, int], control: tuple[float, int]) -> Effect:
    """Of two shares, each as (part, whole).

    Newcombe (1998), *Interval estimation for the difference between independent proportions*, Stat. Med. 17, method
    10: Wilson's interval of each share, squared and added. It holds with few buyers, where Wald's does not.

    >>> found = conversion_effect((56, 70), (48, 80))
    >>> round(found.value, 4), round(found.low, 4), round(found.high, 4)
    (0.2, 0.0524, 0.3339)
    """
    (low_t, high_t), (low_c, high_c) = wilson(*treated), wilson(*control)
    p, q = treated[0] / treated[1], control[0] / control[1]
    value = p - q
    low, high = value - hypot(p - low_t, high_c - q), value + hypot(high_t - p, q - low_c)
    return Effect(treated=p, control=q, value=value, low=low, high=high)


def spend_effect(spend: Floats, before: Floats, treated: Booleans) -> Effect:
    """Of net spend per customer, given what each spent before, all (customers,).

    Welch's interval of the difference of means, after taking out what spend before tells of spend in the campaign
    (CUPED: Deng, Xu, Kohavi, Walker 2013, *Improving the sensitivity of online controlled experiments by utilizing
    pre-experiment data*). `before` is of before the draw, so that it can not be an effect, and neither group's mean
    moves in expectation. The means that are told are those of what was spent.
    """
    adjusted = spend - slope(spend, before, treated) * (before - before.mean())
    a, b = adjusted[treated], adjusted[~treated]
    va, vb = (float(group.var(ddof=1)) / len(group) for group in (a, b))
    value = float(a.mean() - b.mean())
    spread = student_quantile(va, len(a) - 1, vb, len(b) - 1) * sqrt(va + vb)
    return Effect(
        treated=float(spend[treated].mean()),
        control=float(spend[~treated].mean()),
        value=value,
        low=value - spread,
        high=value + spread,
    )


def slope(spend: Floats, before: Floats, treated: Booleans) -> float:
    """By how much more was spent for each unit spent before, within groups; 0 where nobody differs before."""
    across = 0.0
    square = 0.0
    for group in (treated, ~treated):
        x = before[group] - before[group].mean()
        across += float(x @ spend[group])
        square += float(x @ x)
    return across / square if square > 0 else 0.0


def detectable_conversion(share: float, treated: int, control: int) -> float | None:
    """The smallest rise of a share that is seen with 80 % power, two-sided at 5 %; None: not even to all."""

    def seen(rise: float) -> bool:
        raised = share + rise
        error = sqrt(raised * (1 - raised) / treated + share * (1 - share) / control)
        # Of few buyers the interval reaches further to one side: by what it reaches down, not by 1.96 errors.
        found = conversion_effect((raised * treated, treated), (share * control, control))
        return found.low >= _POWERFUL * error

    low, high = 0.0, 1.0 - share
    if not seen(high):
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


def detectable_spend(deviation: float, treated: int, control: int) -> float:
    """The same of a mean, given the standard deviation between customers."""
    return _REACH * deviation * sqrt(1 / treated + 1 / control)
