"""What the pages read through: chosen and opened by the composition root, as the HTTP API's parts are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from contracts.documents import AudienceDay
from contracts.segment_names import OwnName
from dashboard.analysis import Analysis
from dashboard.pages.live import Live
from dashboard.parts import WebParts


@dataclass(frozen=True, slots=True)
class FeatureValue:
    """One feature of one customer, beside what is usual."""

    name: str
    value: str | None
    """In the unit that a person would use; None: nothing is known of it."""
    segment: str | None
    """Of the customer's segment; None where it is not a learnt one."""
    everybody: str
    z: float | None
    """How many of the model's units (mostly standard deviations) the customer is from everybody's mean."""
    segment_z: float | None
    """The same of the segment."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One of the last moves of a customer."""

    at: datetime
    from_segment: str | None
    to_segment: str
    to_id: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerSheet:
    """What is worked out of one customer's row when somebody looks."""

    totals: Mapping[str, Any]
    """orders, returns, units, spend, refunds, first_purchase_at, last_purchase_at (a datetime or None)."""
    attributes: Mapping[str, float | str]
    sentences: tuple[str, ...]
    """Why here, what is special, what would change it."""
    next_expected_at: datetime | None
    usual_gap_days: float | None
    audiences: tuple[str, ...]
    outliers: tuple[str, ...]
    expected: tuple[str, ...] = ()
    """What the customer will do, with intervals, or what is missing to say so."""
    features: Sequence[FeatureValue] = ()
    moves: Sequence[Moved] = ()


class Naming(Protocol):
    """Names of one's own for segments; both methods block."""

    def rename(self, segment_id: int, name: str | None, strategy: str | None) -> OwnName:
        """Call a segment so. Raises LivesegmentsError, with a text that says what to do."""

    def reset(self, segment_id: int) -> None:
        """Let it be called what was worked out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageParts:
    """Everything that pages need beside what the HTTP API has."""

    web: WebParts
    currency: str
    live: Live
    """What changes: `(await parts.live.current()).segments` and the like."""
    sheet: Callable[[str], CustomerSheet | None]
    """One customer's row, worked out; None where there is none; blocks."""
    naming: Naming
    item_names: Callable[[Iterable[str]], Mapping[str, str]]
    """What the catalogue calls items; blocks."""
    conditions: Mapping[str, str]
    """The audiences of the settings: condition by name."""
    audience_days: Callable[[int], Sequence[AudienceDay]]
    """Sizes of audiences on the newest so many stream days, the oldest first; blocks."""
    about_forecasts: Callable[[], Sequence[str]]
    """What forecasts rest on, and what they can not say, in sentences; blocks."""
    analysis: Analysis
    """What the analysts' pages read, and ask for."""
