"""`livesegments history`: what happened to segments on each stream day."""

import json
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.documents import HistoryDay
from contracts.keys import Keys
from livesegments.app import open_deployment
from livesegments.day_documents import read_days
from livesegments.flags import with_settings
from livesegments.segment_tables import name_of
from livesegments.sources import Loaded

app = typer.Typer(add_completion=False)


@app.command()
@with_settings
def history(
    loaded: Loaded,
    days: Annotated[int, typer.Option(help="So many stream days, up to now.", min=1, max=400)] = 14,
    as_document: Annotated[bool, typer.Option("--json", help="A JSON array of days.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Show sizes, orders and net revenue by segment and day, and who moved for what cause."""
    with open_deployment(loaded.settings) as deployment:
        found = read_days(deployment, days, HistoryDay, Keys.history)
    if as_document:
        typer.echo(json.dumps([day.model_dump(mode="json", by_alias=True) for day in found], indent=2))
        return
    console = Console(highlight=False)
    console.print(_table(found) if found else "there is no history yet: it needs a worker, and events")
    if found:
        console.print(f"net revenue in {loaded.settings.currency}", style="dim")


def _table(found: list[HistoryDay]) -> Table:
    table = Table("day", "segment", box=None, pad_edge=False)
    for title in ("customers", "orders", "net revenue"):
        table.add_column(title, justify="right")
    table.add_column("moves")
    for day in found:
        causes: Counter[str] = Counter()
        for move in day.moves:
            causes[move.cause] += move.customers
        moved = "\n".join(f"{customers:,} {cause}" for cause, customers in causes.most_common())
        for place, one in enumerate(segment for segment in day.segments if segment.size or segment.orders):
            first = place == 0
            table.add_row(
                day.day.isoformat() if first else "",
                name_of(one),
                f"{one.size:,}",
                f"{one.orders:,}",
                f"{one.net_revenue:,.2f}",
                moved.replace("\n", ", ") if first else "",
            )
    return table
