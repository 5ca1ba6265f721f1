"""`livesegments audit`: who took data out, erased a customer, named a segment, changed the model."""

import json
from collections import deque
from collections.abc import Iterable
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consumer.clock import wall_micros
from contracts.times import rfc3339
from dashboard.audit_reading import Act, Wanted, acts_of, hash_of
from livesegments.app import open_deployment
from livesegments.durations import Duration
from livesegments.flags import duration, with_settings
from livesegments.parts import log_names
from livesegments.screen import plain
from livesegments.sources import Loaded
from logs.base import Logs

_SECONDS: Final = len("2026-11-22T09:12:44")
app = typer.Typer(add_completion=False)


@app.command()
@with_settings
def audit(
    loaded: Loaded,
    *,
    since: Annotated[
        Duration | None,
        typer.Option("--since", parser=duration, metavar="DURATION", help="Only of so long, up to now: 30d."),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Only by whoever has the key of this name.")] = None,
    act: Annotated[
        str | None, typer.Option(help="Only export, erase, rename, model, webhook, campaign or import.")
    ] = None,
    customer: Annotated[str | None, typer.Option(help="Only about this customer, of whom a hash is kept.")] = None,
    limit: Annotated[int, typer.Option(help="Show so many of the newest.", min=1, max=100_000)] = 100,
    as_document: Annotated[bool, typer.Option("--json", help="A JSON array.")] = False,
) -> None:
    """Show who did what through the HTTP API and the pages, the newest last."""
    first = None if since is None else rfc3339(wall_micros() - since)[:_SECONDS]
    wanted = Wanted(by, act, customer and hash_of(customer), first)
    with open_deployment(loaded.settings) as deployment:
        found = acts(deployment.logs, log_names(loaded.settings).audit, wanted, limit)
    if as_document:
        typer.echo(json.dumps(found, indent=2))
        return
    console = Console(highlight=False)
    console.print(_table(found) if found else "nothing of that is written down")


def acts(logs: Logs, name: str, wanted: Wanted, most: int) -> list[Act]:
    """The newest acts that are wanted, the oldest first. Raises LogError."""
    found: deque[Act] = deque(maxlen=most)
    for batch in logs.scan(name):
        found.extend(told for told in acts_of(batch.values) if wanted.takes(told))
    return list(found)


def _table(found: Iterable[Act]) -> Table:
    table = Table("at", "by", "act", "what", "customer", box=None, pad_edge=False)
    for one in found:
        by = one["by"] or "(this machine)"
        cells = (one["at"], by, one["act"], one["what"], str(one.get("customer") or ""))
        table.add_row(*(Text(plain(cell)) for cell in cells))
    return table
