"""What the import assistant shows: what it made out, orders as it understands them, totals."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from producer.cli import months_table
from producer.importing.guessing import Finding
from producer.importing.plan import ImportPlan
from producer.importing.telling import example_orders, guests_said, lapse_said
from producer.message import Message
from producer.summary import ReplaySummary

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
    for one in example_orders(messages, plan):
        table.add_row(
            _safe(one.order + (" (came back)" if one.returned else "")),
            _safe(one.customer or "guest"),
            one.when,
            _safe("\n".join(one.lines)),
            one.total,
        )
    console.print(table)


def show_totals(summary: ReplaySummary, plan: ImportPlan, usual_gap: float | None, console: Console) -> None:
    """What to hold against the shop's own books."""
    if summary.months:
        console.print(months_table(summary))
    console.print(f"{summary.rows:,} rows read, {summary.lines:,} lines of orders", highlight=False)
    console.print(f"{summary.customers:,} customers", highlight=False)
    if guests := guests_said(summary, plan):
        console.print(guests, highlight=False)
    for reason, count in sorted(summary.skipped.items(), key=lambda item: -item[1]):
        console.print(_safe(f"{count:,} skipped: {reason}", "yellow"))
    for refusal in summary.not_sent[:_SHOWN]:
        console.print(_safe(f"not sent: {refusal.event_id}: {refusal.reason}", "yellow"))
    if summary.refused > _SHOWN:
        console.print(f"[yellow]and {summary.refused - _SHOWN:,} more not sent[/yellow]")
    console.print(lapse_said(usual_gap), highlight=False)


def _safe(text: str, style: str = "") -> Text:
    r"""What stands in a file controls no terminal."""
    shown = "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape", "backslashreplace").decode()
        for one in text
    )
    return Text(shown, style=style)
