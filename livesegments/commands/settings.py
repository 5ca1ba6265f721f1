"""`livesegments settings`: what is in force, and who says so."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from livesegments.flags import with_settings
from livesegments.screen import literal
from livesegments.settings import Settings
from livesegments.settings_file import as_toml
from livesegments.sources import Loaded, shown

app = typer.Typer(add_completion=False)


@app.command()
@with_settings
def settings(
    loaded: Loaded,
    as_file: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--toml", help="Print a settings file with all defaults and what they mean.")
    ] = False,
) -> None:
    """Show the settings in force, and whether file, environment, flag or default says so."""
    if as_file:
        typer.echo(as_toml(), nl=False)
        return
    table = Table("setting", "value", "from", box=None, pad_edge=False)
    for name in Settings.model_fields:
        origin = loaded.origins.get(name)
        value = getattr(loaded.settings, name)
        text = "-" if value is None else shown(name, value)
        table.add_row(literal(name), literal(text), literal(origin or "default", "green" if origin else "dim"))
    console = Console(highlight=False)
    console.print(table)
    for variable, meant in loaded.unknown_variables.items():
        console.print(literal(f"{variable} is set and is no setting: did you mean {meant}?", "yellow"))
