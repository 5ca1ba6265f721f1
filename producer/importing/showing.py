"""What the import assistant shows: what it made out, orders as it understands them, totals."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.events import Purchase, Return, parse_event
from contracts.guests import is_guest
from contracts.times import from_micros, to_micros
from producer.cli import money_text, months_table
from producer.importing.guessing import Finding
from producer.importing.plan import ImportPlan
from producer.importing.reading import zone_of
from producer.message import Message
from producer.summary import ReplaySummary

_LINES = 3
_SHOWN = 10


def show_findings(findings: Iterable[Finding], console: Console) -> None:
    """Which column is which field, and by what."""
    table = Table(box=None, pad_edge=False)
    for name in ("field", "is", "because"):
        table.add_column(name)
    for found in findings:
        table.add_row(_safe(found.what), _safe(found.value), _safe(found.because, "dim"))
    console.print(table)


def show_examples(messages: Sequence[Message], plan: ImportPlan, console: Console) -> None:
    """The first orders of the files, in the shop's own time."""
    table = Table(title="The first orders, as they are understood", title_justify="left", box=None, pad_edge=False)
    for name in ("order", "customer", "when", "what", "sum"):
        table.add_column(name, justify="right" if name == "sum" else "left")
    zone = zone_of(plan)
    for message in messages:
        event = parse_event(message.value)
        assert isinstance(event, Purchase | Return)
        lines = [f"{line.quantity} × {line.item_id} at {line.unit_price:,.2f}" for line in event.lines[:_LINES]]
        if len(event.lines) > _LINES:
            lines.append(f"and {len(event.lines) - _LINES:,} more")
        total = sum(line.quantity * line.unit_price for line in event.lines)
        back = " (came back)" if isinstance(event, Return) else ""
        moment = from_micros(to_micros(event.occurred_at)).astimezone(zone)
        table.add_row(
            _safe(event.order_id + back),
            _safe("guest" if is_guest(event.customer_id) else event.customer_id),
            f"{moment:%A %d %B %Y %H:%M}",
            _safe("\n".join(lines)),
            f"{total:,.2f} {event.currency}",
        )
    console.print(table)


def show_totals(summary: ReplaySummary, plan: ImportPlan, usual_gap: float | None, console: Console) -> None:
    """What to hold against the shop's own books."""
    if summary.months:
        console.print(months_table(summary))
    console.print(f"{summary.rows:,} rows read, {summary.lines:,} lines of orders", highlight=False)
    console.print(f"{summary.customers:,} customers", highlight=False)
    if summary.guests or summary.guest_months:
        console.print(_guests(summary, plan), highlight=False)
    for reason, count in sorted(summary.skipped.items(), key=lambda item: -item[1]):
        console.print(_safe(f"{count:,} skipped: {reason}", "yellow"))
    for refusal in summary.not_sent[:_SHOWN]:
        console.print(_safe(f"not sent: {refusal.event_id}: {refusal.reason}", "yellow"))
    if len(summary.not_sent) > _SHOWN:
        console.print(f"[yellow]and {len(summary.not_sent) - _SHOWN:,} more not sent[/yellow]")
    if usual_gap is None:
        console.print('lapse_days: too short a history to propose one; "auto" finds it later', highlight=False)
    else:
        days = min(max(round(usual_gap), 14), 365)
        console.print(
            f"lapse_days = {days} fits: of the gaps between purchase days seven of eight are shorter", highlight=False
        )


def _guests(summary: ReplaySummary, plan: ImportPlan) -> str:
    shares = []
    for currency in summary.currencies:
        spend = summary.spend(currency)
        guests = summary.guest_spend(currency)
        if spend:
            shares.append(f"{guests / spend:.1%} of revenue {currency} ({money_text(guests)})")
    fate = {"count": "they count for what is popular and bought together", "leave-out": "they are left out"}
    return f"{summary.guests:,} orders of guests, {', '.join(shares)}: {fate[plan.guests]}"


def _safe(text: str, style: str = "") -> Text:
    r"""What stands in a file controls no terminal."""
    shown = "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape", "backslashreplace").decode()
        for one in text
    )
    return Text(shown, style=style)
