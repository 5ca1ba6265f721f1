"""`livesegments outliers`: customers far from the others, and in what."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from livesegments.app import open_deployment
from livesegments.flags import with_settings
from livesegments.open_explainer import explainer_of
from livesegments.row_lists import outliers as find
from livesegments.screen import literal
from livesegments.sources import Loaded

app = typer.Typer(add_completion=False)


@app.command()
@with_settings
def outliers(
    loaded: Loaded,
    limit: Annotated[int, typer.Option(help="Show so many.", min=1)] = 20,
    as_document: Annotated[bool, typer.Option("--json", help="A JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """List customers that are marked as outliers, the most extreme first. They go on counting like everybody."""
    with open_deployment(loaded.settings) as deployment:
        explainer = explainer_of(deployment)
        customers, found = find(explainer, limit)
        names = {one.segment_id: explainer.names.told(one.segment_id) for one in found}
    if as_document:
        typer.echo(json.dumps({"customers": customers, "outliers": [asdict(one) for one in found]}, indent=2))
        return
    console = Console(highlight=False)
    if not found:
        console.print("nobody is far from the others, or there is no model yet")
        return
    table = Table("customer", "segment", "far from the others with", box=None, pad_edge=False)
    for one in found:
        table.add_row(literal(one.customer_id, "bold"), literal(names[one.segment_id]), literal("; ".join(one.said)))
    console.print(table)
    console.print(f"{len(found):,} of {customers:,} outliers", style="dim")
