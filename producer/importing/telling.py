"""What an import tells of itself before it is done, for a terminal as for a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from contracts.events import Purchase, Return, parse_event
from contracts.guests import is_guest
from contracts.times import from_micros, to_micros
from producer.cli import money_text
from producer.importing.plan import ImportPlan
from producer.importing.reading import zone_of
from producer.message import Message
from producer.summary import ReplaySummary

_LINES: Final = 3
_LAPSE: Final = (14, 365)
"""Days that are proposed, at least and at most."""


@dataclass(frozen=True, slots=True)
class ExampleOrder:
    """One order, as it is understood."""

    order: str
    customer: str | None
    """None: a guest."""
    at: datetime
    """In the zone of the import."""
    lines: tuple[str, ...]
    """The first of them, and how many more there are."""
    total: str
    returned: bool

    @property
    def when(self) -> str:
        """As a person says it, so that day and month can not be taken for each other."""
        return f"{self.at:%A %d %B %Y %H:%M}"


def example_orders(messages: Sequence[Message], plan: ImportPlan) -> list[ExampleOrder]:
    """Orders and returns in the shop's own time."""
    zone = zone_of(plan)
    found = []
    for message in messages:
        event = parse_event(message.value)
        assert isinstance(event, Purchase | Return)
        lines = [f"{line.quantity} × {line.item_id} at {line.unit_price:,.2f}" for line in event.lines[:_LINES]]
        if len(event.lines) > _LINES:
            lines.append(f"and {len(event.lines) - _LINES:,} more")
        total = sum(line.quantity * line.unit_price for line in event.lines)
        found.append(
            ExampleOrder(
                order=event.order_id,
                customer=None if is_guest(event.customer_id) else event.customer_id,
                at=from_micros(to_micros(event.occurred_at)).astimezone(zone),
                lines=tuple(lines),
                total=f"{total:,.2f} {event.currency}",
                returned=isinstance(event, Return),
            )
        )
    return found


def guests_said(summary: ReplaySummary, plan: ImportPlan) -> str:
    """How many orders name nobody, what share of revenue that is, and what becomes of them; empty without any."""
    if not summary.guests and not summary.guest_months:
        return ""
    shares = []
    for currency in summary.currencies:
        spend = summary.spend(currency)
        guests = summary.guest_spend(currency)
        if spend:
            shares.append(f"{guests / spend:.1%} of revenue {currency} ({money_text(guests)})")
    fate = {"count": "they count for what is popular and bought together", "leave-out": "they are left out"}
    return f"{summary.guests:,} orders of guests, {', '.join(shares)}: {fate[plan.guests]}"


def lapse_said(usual_gap: float | None) -> str:
    """The `lapse_days` that fits, and why."""
    if usual_gap is None:
        return 'lapse_days: too short a history to propose one; "auto" finds it later'
    least, most = _LAPSE
    days = min(max(round(usual_gap), least), most)
    return f"lapse_days = {days} fits: of the gaps between purchase days seven of eight are shorter"
