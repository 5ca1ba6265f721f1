"""What a replay read, skipped and sent, for the closing summary."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Month:
    """One month of one currency, in the zone that the table's times were read in."""

    month: str
    """As in 2011-11."""
    currency: str
    orders: int
    returns: int
    spend: int
    """Millionths."""
    refunds: int
    """Millionths."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """An event that the contract does not allow."""

    event_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands."""

    file: str
    """Its name, without folders."""
    row: int
    """1 for the first below the names of the columns."""


@dataclass(frozen=True, slots=True)
class ReplaySummary:
    """Totals over a table. rows = lines + the sum of skipped, for a table of orders."""

    rows: int
    """Rows of the file."""
    lines: int = 0
    """Rows that became lines of orders and returns."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Rows that did not, by reason; a row counts once."""
    first_skipped: Mapping[str, Place] = field(default_factory=dict)
    """By reason, the first of them; not of reasons that are no row's own."""
    orders: int = 0
    returns: int = 0
    profiles: int = 0
    customers: int = 0
    guests: int = 0
    """Orders that name no customer."""
    months: tuple[Month, ...] = ()
    guest_months: tuple[Month, ...] = ()
    """What of these is of guests, where guests are counted."""
    first_at: int | None = None
    last_at: int | None = None
    """Microseconds UTC."""
    not_sent: tuple[NotSent, ...] = ()
    """Of a large import the first of them."""
    refused: int = 0
    """How many events the contract does not allow, all of them."""
    before_since: int = 0
    """Events left out because they are older than was asked for."""
    preset: str | None = None

    @property
    def events(self) -> int:
        """How many events there are to send."""
        return self.orders + self.returns + self.profiles

    def spend(self, currency: str) -> int:
        """Millionths over all orders in a currency."""
        return sum(month.spend for month in self.months if month.currency == currency)

    def refunds(self, currency: str) -> int:
        """Millionths over all returns in a currency."""
        return sum(month.refunds for month in self.months if month.currency == currency)

    def guest_spend(self, currency: str) -> int:
        """Millionths over all orders of guests in a currency."""
        return sum(month.spend for month in self.guest_months if month.currency == currency)

    @property
    def currencies(self) -> tuple[str, ...]:
        """All currencies, sorted."""
        return tuple(sorted({month.currency for month in self.months}))
