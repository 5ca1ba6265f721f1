"""What can be set about recommendations."""

from dataclasses import dataclass, field
from typing import Final

from contracts.errors import LivesegmentsError
from contracts.times import DAY, HOUR, SECOND
from recommender.blend import BLEND_NAMES, Blend
from recommender.list_rules import ListRules
from recommender.non_products import GENERIC_PATTERNS

MAX_LINES_KEPT: Final = 100
"""Lines that a row keeps at most, hence items that a customer can be known to have."""

_ABOVE_ZERO: Final = (
    *("list_length", "popularity_half_life", "slow_half_life", "item_review_interval", "new_item_age"),
    *("view_refresh", "head_items", "neighbours"),
)
_NOT_NEGATIVE: Final = ("segment_shrinkage", "view_interval", "low_rank", "tail_neighbours")


class RecommenderSettingsError(LivesegmentsError):
    """A setting of the recommender is out of its range."""


@dataclass(frozen=True, slots=True)
class RecommenderSettings:
    """Times in microseconds. Raises RecommenderSettingsError where a value makes no sense."""

    list_length: int = 20
    """Most items in a customer's view."""
    popularity_half_life: int = 7 * DAY
    """After which a purchase counts half for what is popular now."""
    slow_half_life: int = 56 * DAY
    """After which a purchase counts half for what was popular before: what trends is well above that."""
    segment_shrinkage: float = 5_000.0
    """How many (decayed) purchases a segment needs before its own taste weighs as much as everybody's."""
    blend: Blend = field(default_factory=Blend)
    """How much each part counts before it is tuned, and where it is pinned."""
    pinned: frozenset[str] = frozenset()
    """Names of weights of the blend that stay as they are."""
    tuning: bool = True
    """Whether item reviews choose the blend on held-out orders."""
    head_items: int = 4_000
    """The most popular items, which EASE and the low-rank part learn; for the others there are cosines."""
    low_rank: int = 48
    """Directions of the low-rank part."""
    neighbours: int = 32
    """How many items that go with it are kept of each item of the head."""
    tail_neighbours: int = 10
    """How many of each other item."""
    new_item_age: int = 30 * DAY
    """So long after it was first sold an item is new."""
    rules: ListRules = field(default_factory=ListRules)
    """Limits of each customer's list."""
    item_review_interval: int = DAY
    """What goes with what is learnt anew after so long, if there were purchases ..."""
    item_review_growth: float = 1.25
    """... or when there are so many times the purchases of the last time, however soon."""
    non_products: tuple[str, ...] = GENERIC_PATTERNS
    """Regular expressions; an item whose whole id matches one, in any case, is never recommended."""
    view_interval: int = 8 * SECOND
    """Under lag a customer's view is rewritten at most once in this time; those that wait for longer come first."""
    view_refresh: int = HOUR
    """Everybody's view is rewritten within this time; it expires after twice as much."""

    def __post_init__(self) -> None:
        for name in _ABOVE_ZERO:
            if getattr(self, name) <= 0:
                raise RecommenderSettingsError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in _NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise RecommenderSettingsError(f"{name} must not be negative, not {getattr(self, name)}")
        if self.slow_half_life <= self.popularity_half_life:
            raise RecommenderSettingsError(
                "slow_half_life must be longer than popularity_half_life, to tell what trends"
            )
        if unknown := self.pinned.difference(BLEND_NAMES):
            raise RecommenderSettingsError(f"pinned: {', '.join(sorted(unknown))} is no part of the blend")

    @property
    def popular_depth(self) -> int:
        """How many popular items per segment to keep at hand: so many that a list fills even for whoever knows most."""
        return self.list_length + MAX_LINES_KEPT

    @property
    def view_ttl_ms(self) -> int:
        """How long a view lives unless it is renewed, in milliseconds."""
        return 2 * self.view_refresh // 1_000
