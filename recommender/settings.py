"""What can be set about recommendations."""

from dataclasses import dataclass

from contracts.errors import LivesegmentsError
from contracts.times import DAY, HOUR, SECOND
from recommender.non_products import DEFAULT_PATTERNS


class RecommenderSettingsError(LivesegmentsError):
    """A setting of the recommender is out of its range."""


@dataclass(frozen=True, slots=True)
class RecommenderSettings:
    """Times in microseconds. Raises RecommenderSettingsError where a value makes no sense."""

    list_length: int = 20
    """Most items in a customer's view."""
    popularity_half_life: int = 14 * DAY
    """After which a purchase counts half for what is popular."""
    again_half_life: int = 365 * DAY
    """After which a purchase counts half for buying the same again."""
    segment_shrinkage: float = 2_000.0
    """How many (decayed) purchases a segment needs before its own taste weighs as much as everybody's."""
    customer_shrinkage: float = 60.0
    """How many (decayed) purchases a customer needs before their own taste weighs as much as the segment's."""
    non_products: tuple[str, ...] = DEFAULT_PATTERNS
    """Regular expressions; an item whose whole id matches one, in any case, is never recommended."""
    view_interval: int = 10 * SECOND
    """Under lag a customer's view is rewritten at most once in this time."""
    view_refresh: int = HOUR
    """Everybody's view is rewritten within this time; it expires after twice as much."""

    def __post_init__(self) -> None:
        for name in ("list_length", "popularity_half_life", "again_half_life", "view_refresh"):
            if getattr(self, name) <= 0:
                raise RecommenderSettingsError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("segment_shrinkage", "customer_shrinkage", "view_interval"):
            if getattr(self, name) < 0:
                raise RecommenderSettingsError(f"{name} must not be negative, not {getattr(self, name)}")

    @property
    def view_ttl_ms(self) -> int:
        """How long a view lives unless it is renewed, in milliseconds."""
        return 2 * self.view_refresh // 1_000
