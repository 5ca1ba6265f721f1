"""How much each part of a recommendation counts: few numbers, learnt by the item review or pinned by settings."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from contracts.errors import LivesegmentsError
from contracts.times import DAY


class BlendError(LivesegmentsError):
    """A weight of the blend is not one that there is, or out of its range."""


@dataclass(frozen=True, slots=True)
class Blend:
    """The weights of `ranking.rank`, and what co-purchases are learnt with. Defaults are for shops with little data.

    A weight is in units of the best co-purchase score that a customer has.
    """

    profile_half_life: int = 90 * DAY
    """Microseconds after which a purchase counts half for what goes with it."""
    repeats: float = 0.3
    """Of every further purchase of an item beside the newest one, for what goes with it: 0 is one vote per item."""
    again_half_life: int = 365 * DAY
    """Microseconds after which a purchase counts half for buying the same again."""
    known_weight: float = 1.0
    """Of everything that speaks for an item bought before; 0 where nobody buys anything twice."""
    again_weight: float = 2.0
    """Of one purchase now of the item itself; of a purchases, √a times as much."""
    rhythm: float = 0.0
    """0: when an item was bought last plays no further part; 1: one bought a moment ago is not due at all."""
    known_popular_weight: float = 2.5
    """Of being the segment's best-selling item, among items bought before."""
    popular_weight: float = 0.15
    """Of being the segment's best-selling item, among items never bought."""
    slow_share: float = 0.0
    """How much of what is popular is so by the slow sums, with the long half-life."""
    trend: float = 1.0
    """Power of an item's trend by which what goes with it counts: 0 not at all, 1 in proportion."""
    ridge: float = 20.0
    """Of EASE, in units of the mean diagonal of G."""
    low_rank_weight: float = 1.0
    """Of the low-rank part beside EASE, both scaled to the same strength."""
    together_half_life: int = 180 * DAY
    """Microseconds after which a purchase counts half for what is learnt of items bought together."""

    @classmethod
    def pinned(cls, values: Mapping[str, float]) -> "Blend":
        """The defaults but for some values; half-lives are given in days. Raises BlendError."""
        for name, value in values.items():
            if name not in BLEND_NAMES:
                raise BlendError(f"{name} is no part of the blend; there are {', '.join(BLEND_NAMES)}")
            most = 1.0 if name in _SHARES else float("inf")
            least_excluded = name in _ABOVE_ZERO
            if not (value > 0 if least_excluded else value >= 0) or not value <= most or value == float("inf"):
                ends = "above 0" if least_excluded else f"from 0 to {most:g}" if most == 1 else "0 or more"
                raise BlendError(f"{name} must be {ends}, not {value:g}")
        given = {name: round(value * DAY) if name in _HALF_LIVES else float(value) for name, value in values.items()}
        return cls(**given)  # type: ignore[arg-type] # half-lives are whole microseconds


BLEND_NAMES: Final = tuple(one.name for one in fields(Blend))
_HALF_LIVES: Final = ("profile_half_life", "again_half_life", "together_half_life")
_SHARES: Final = ("repeats", "rhythm", "slow_share")
_ABOVE_ZERO: Final = (*_HALF_LIVES, "ridge")
