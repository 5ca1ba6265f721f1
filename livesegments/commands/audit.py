"""`livesegments audit`: who took data out, erased a customer, named a segment, changed the model."""

import json
from collections import deque
from collections.abc import Iterable
from hashlib import blake2b
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consumer.clock import wall_micros
from contracts.times import rfc3339
from livesegments.app import open_deployment
from livesegments.durations import Duration
from livesegments.flags import duration, with_settings
from livesegments.parts import log_names
from livesegments.screen import plain
from livesegments.sources import Loaded
from logs.base import Logs

_FIELDS: Final = ("at", "by", "act", "what")
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
    act: Annotated[str | None, typer.Option(help="Only export, erase, rename, model, webhook or campaign.")] = None,
    customer: Annotated[str | None, typer.Option(help="Only about this customer, of whom a hash is kept.")] = None,
    limit: Annotated[int, typer.Option(help="Show so many of the newest.", min=1, max=100_000)] = 100,
    as_document: Annotated[bool, typer.Option("--json", help="A JSON array.")] = False,
) -> None:
    """Show who did what through the HTTP API and the pages, the newest last."""
    wanted = {"by": by, "act": act, "customer": customer and hash_of(customer)}
    with open_deployment(loaded.settings) as deployment:
        first = None if since is None else rfc3339(wall_micros() - since)[:_SECONDS]
        found = acts(deployment.logs, log_names(loaded.settings).audit, wanted, first, limit)
    if as_document:
        typer.echo(json.dumps(found, indent=2))
        return
    console = Console(highlight=False)
    console.print(_table(found) if found else "nothing of that is written down")


def hash_of(customer_id: str) -> str:
    """What stands for a customer in the log."""
    return blake2b(customer_id.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def acts(logs: Logs, name: str, wanted: dict[str, str | None], since: str | None, most: int) -> list[dict[str, Any]]:
    """The newest acts that have all that is wanted, the oldest first. Raises LogError.

    `since`: RFC 3339, to the second.
    """
    found: deque[dict[str, Any]] = deque(maxlen=most)
    for batch in logs.scan(name):
        for value in batch.values:
            told = _read(value)
            if told is None or (since is not None and told["at"][:_SECONDS] < since):
                continue
            if all(each is None or told.get(field) == each for field, each in wanted.items()):
                found.append(told)
    return list(found)


def _read(value: bytes | None) -> dict[str, Any] | None:
    """A record; None for what is none of ours."""
    try:
        told = json.loads(value or b"")
    except (ValueError, RecursionError):
        return None
    ours = isinstance(told, dict) and all(isinstance(told.get(name), str) for name in _FIELDS)
    return told if ours else None


def _table(found: Iterable[dict[str, Any]]) -> Table:
    table = Table(*_FIELDS, "customer", box=None, pad_edge=False)
    for one in found:
        by = one["by"] or "(this machine)"
        cells = (one["at"], by, one["act"], one["what"], str(one.get("customer") or ""))
        table.add_row(*(Text(plain(cell)) for cell in cells))
    return table
