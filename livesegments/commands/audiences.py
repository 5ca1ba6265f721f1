"""`livesegments audiences`: how many customers are in each, and who is in one."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from livesegments.app import open_deployment
from livesegments.flags import with_settings
from livesegments.row_lists import audience_members, audience_sizes
from livesegments.screen import literal, plain
from livesegments.sources import Loaded

app = typer.Typer(add_completion=False)


@app.command()
@with_settings
def audiences(
    loaded: Loaded,
    audience: Annotated[str | None, typer.Argument(help="List the members of this one.", metavar="NAME")] = None,
    as_document: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Show the size of each audience; or the ids of the customers in one, a line each."""
    with open_deployment(loaded.settings) as deployment:
        if audience is not None:
            members = sorted(audience_members(deployment.state, audience))
            typer.echo(json.dumps(members, indent=2) if as_document else "\n".join(plain(one) for one in members))
            return
        sizes = audience_sizes(deployment.state)
    if as_document:
        typer.echo(json.dumps(sizes, indent=2))
        return
    console = Console(highlight=False)
    table = Table("audience", box=None, pad_edge=False)
    table.add_column("customers", justify="right")
    for name, size in sizes.items():
        gone = "" if name in loaded.settings.audiences else " (no longer in the settings)"
        table.add_row(literal(name + gone), f"{size:,}")
    console.print(table if sizes else "there are no audiences yet: they need a worker")
