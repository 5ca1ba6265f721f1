"""What recommendations bring: customers who get them against customers held out, whatever either of them saw.

By intention to treat: everybody counts in the group drawn, also who never looked. Nothing here is a lift without its
interval, and where there is too little to go by it is said what is missing.
"""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Final

CONFIDENCE: Final = 0.95
MIN_CUSTOMERS: Final = 200
"""Customers that each group needs ..."""
MIN_BUYERS: Final = 50
"""... and those of them who ordered since the experiment began."""


@dataclass(frozen=True, slots=True)
class Moments:
    """One figure over one group's customers."""

    customers: int
    total: float
    squares: float
    """Sum of the squares."""

    @property
    def mean(self) -> float:
        """Per customer."""
        return self.total / self.customers

    @property
    def variance_of_mean(self) -> float:
        """The unbiased variance between customers, divided by their number."""
        n = self.customers
        between = max(0.0, self.squares - self.total * self.total / n) / (n - 1)
        return between / n


@dataclass(frozen=True, slots=True)
class Lift:
    """By how much the treated group's mean exceeds the other's, as a share of that, with its 95 % interval."""

    value: float
    low: float
    high: float


def relative_lift(treated: Moments, control: Moments, confidence: float = CONFIDENCE) -> Lift | None:
    """treated.mean / control.mean - 1 with its interval; None where the control's mean is not clearly above 0.

    The interval of a ratio of two independent means with variances of their own, by Fieller (1954), *Some problems in
    interval estimation*, J. R. Stat. Soc. B 16: all R with (a - R·b)² <= t²·(va + R²·vb). t has the degrees of freedom
    of Welch (1947) and Satterthwaite for a - R·b at the estimate. As customers grow it becomes the interval of the
    delta method (Deng, Knoblich, Lu 2018, *Applying the delta method in metric analytics*).
    """
    a, b = treated.mean, control.mean
    va, vb = treated.variance_of_mean, control.variance_of_mean
    if b <= 0:
        return None
    ratio = a / b
    t = student_quantile(va, treated.customers - 1, ratio * ratio * vb, control.customers - 1, confidence)
    g = t * t * vb / (b * b)
    if g >= 1:
        return None
    spread = t / b * sqrt(max(0.0, va * (1 - g) + ratio * ratio * vb))
    return Lift(ratio - 1, (ratio - spread) / (1 - g) - 1, (ratio + spread) / (1 - g) - 1)


def student_quantile(va: float, dfa: int, vb: float, dfb: int, confidence: float = CONFIDENCE) -> float:
    """Half the width of an interval of a - b in standard errors: Student's t with the degrees of freedom of Welch.

    `va` and `vb` are variances of the two means, `dfa` and `dfb` their own degrees of freedom.
    """
    pooled = va * va / dfa + vb * vb / dfb
    degrees = (va + vb) ** 2 / pooled if pooled > 0 else dfa + dfb
    from scipy.special import stdtrit  # noqa: PLC0415 - it takes its time, and is asked for by few commands

    return float(stdtrit(degrees, (1 + confidence) / 2))


def missing(group: str, customers: int, buyers: int) -> list[str]:
    """What a group lacks for a lift to be said, in words; empty where nothing."""
    found = []
    if customers < MIN_CUSTOMERS:
        found.append(f"{MIN_CUSTOMERS - customers} more customers {group}")
    if buyers < MIN_BUYERS:
        found.append(f"{MIN_BUYERS - buyers} more customers with an order {group}")
    return found


def wilson(part: float, whole: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of a share by Wilson (1927), J. Am. Stat. Assoc. 22; (0, 1) of nothing.

    >>> low, high = wilson(8, 10)
    >>> round(low, 3), round(high, 3)
    (0.49, 0.943)
    """
    if whole == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, more = part / whole, z * z / whole
    middle = (share + more / 2) / (1 + more)
    spread = z / (1 + more) * sqrt(share * (1 - share) / whole + more / (4 * whole))
    return max(0.0, min(share, middle - spread)), min(1.0, max(share, middle + spread))
