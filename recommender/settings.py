"""What can be set about recommendations."""

from dataclasses import dataclass
from typing import Final

from contracts.errors import LivesegmentsError
from contracts.times import DAY, HOUR, SECOND
from recommender.non_products import GENERIC_PATTERNS

MAX_LINES_KEPT: Final = 100
"""Lines that a row keeps at most, hence items that a customer can be known to have."""


class RecommenderSettingsError(LivesegmentsError):
    """A setting of the recommender is out of its range."""


@dataclass(frozen=True, slots=True)
class RecommenderSettings:
    """Times in microseconds. Raises RecommenderSettingsError where a value makes no sense."""

    list_length: int = 20
    """Most items in a customer's view."""
    popularity_half_life: int = 7 * DAY
    """After which a purchase counts half for what is popular."""
    again_half_life: int = 365 * DAY
    """After which a purchase counts half for buying the same again."""
    segment_shrinkage: float = 5_000.0
    """How many (decayed) purchases a segment needs before its own taste weighs as much as everybody's."""
    best_seller_weight: float = 0.5
    """How many (decayed) purchases of one's own the best-selling item of the segment is worth."""
    non_products: tuple[str, ...] = GENERIC_PATTERNS
    """Regular expressions; an item whose whole id matches one, in any case, is never recommended."""
    view_interval: int = 10 * SECOND
    """Under lag a customer's view is rewritten at most once in this time."""
    view_refresh: int = HOUR
    """Everybody's view is rewritten within this time; it expires after twice as much."""

    def __post_init__(self) -> None:
        for name in ("list_length", "popularity_half_life", "again_half_life", "view_refresh"):
            if getattr(self, name) <= 0:
                raise RecommenderSettingsError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("segment_shrinkage", "best_seller_weight", "view_interval"):
            if getattr(self, name) < 0:
                raise RecommenderSettingsError(f"{name} must not be negative, not {getattr(self, name)}")

    @property
    def popular_depth(self) -> int:
        """How many popular items per segment to keep at hand: so many that a list fills even for whoever knows most."""
        return self.list_length + MAX_LINES_KEPT

    @property
    def view_ttl_ms(self) -> int:
        """How long a view lives unless it is renewed, in milliseconds."""
        return 2 * self.view_refresh // 1_000
