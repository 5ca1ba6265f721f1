"""How much each part of a recommendation counts: few numbers, learnt by the item review or pinned by settings."""

from dataclasses import dataclass

from contracts.times import DAY


@dataclass(frozen=True, slots=True)
class Blend:
    """The weights of `ranking.rank`, and what co-purchases are learnt with. Defaults are for shops with little data.

    A weight is in units of the best co-purchase score that a customer has.
    """

    profile_half_life: int = 90 * DAY
    """Microseconds after which a purchase counts half for what goes with it."""
    again_half_life: int = 270 * DAY
    """Microseconds after which a purchase counts half for buying the same again."""
    again_weight: float = 1.5
    """Of one purchase now of the item itself; of a purchases, √a times as much."""
    rhythm: float = 0.0
    """0: when an item was bought last plays no further part; 1: one bought a moment ago is not due at all."""
    known_popular_weight: float = 2.0
    """Of being the segment's best-selling item, among items bought before."""
    popular_weight: float = 0.2
    """Of being the segment's best-selling item, among items never bought."""
    slow_share: float = 0.0
    """How much of what is popular is so by the slow sums, with the long half-life."""
    ridge: float = 20.0
    """Of EASE, in units of the mean diagonal of G."""
    low_rank_weight: float = 1.0
    """Of the low-rank part beside EASE, both scaled to the same strength."""
