"""What the app is made of: chosen and opened by the composition root."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.documents import HistoryDay
from contracts.errors import LivesegmentsError
from dashboard.access import ApiKeys
from dashboard.audit import AuditTrail
from dashboard.audit_reading import Act
from dashboard.campaigns import CampaignDesk, NoCampaigns
from dashboard.change_feed import ChangeFeed
from dashboard.customer_rows import CustomerRows
from dashboard.event_intake import EventIntake
from dashboard.imports import ImportDesk, NoImports
from dashboard.masking import Masks
from dashboard.pages.sessions import Ends, EndsHere
from dashboard.webhooks import NoWebhooks, Webhooks
from recommender.reader_async import AsyncCustomerReader


@dataclass(frozen=True, slots=True)
class WebParts:
    """Open connections, and what reads them. Closed by whoever opened them, apart from the reader."""

    reader: AsyncCustomerReader
    """Used in the app's event loop, and closed with the app."""
    intake: EventIntake
    rows: CustomerRows
    history: Callable[[int], Sequence[HistoryDay]]
    """The newest so many stream days, the oldest first; blocks."""
    changes: ChangeFeed
    audit: AuditTrail
    now: Callable[[], int]
    """Microseconds UTC."""
    keys: ApiKeys = field(default_factory=lambda: ApiKeys({}))
    masks: Masks = field(default_factory=lambda: Masks(b""))
    max_body: int = 10 * 1024 * 1024
    """Bytes of a request."""
    unavailable: tuple[type[LivesegmentsError], ...] = ()
    """Errors that trying again later may cure."""
    version: str = ""
    """Of livesegments."""
    audiences: frozenset[str] = frozenset()
    """Names of the audiences of the settings."""
    look_alikes: Callable[[str, int], Any] | None = None
    """Of an audience so many, the nearest first, as a record batch; blocks. Raises NotComparableError."""
    webhooks: Webhooks = field(default_factory=NoWebhooks)
    campaigns: CampaignDesk = field(default_factory=NoCampaigns)
    imports: ImportDesk = field(default_factory=NoImports)
    ends: Ends = field(default_factory=EndsHere)
    """Who has logged out of the pages."""
    acts: Callable[[], Sequence[Act]] = tuple
    """Who did what, the newest first; blocks. Raises LogError."""
