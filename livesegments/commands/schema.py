"""`livesegments schema`: the JSON Schema of events, for producers in other languages."""

import typer

from contracts.events import json_schema

app = typer.Typer(add_completion=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema of all event types."""
    typer.echo(json_schema())
