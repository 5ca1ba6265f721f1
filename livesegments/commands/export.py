"""`livesegments export FILE`: every customer as a row of a table."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from livesegments.app import open_deployment
from livesegments.categories import catalogue_categories
from livesegments.export import export_customers
from livesegments.flags import with_settings
from livesegments.sources import Loaded
from livesegments.table_file import check_name

app = typer.Typer(add_completion=False)


@app.command()
@with_settings
def export(
    loaded: Loaded, file: Annotated[Path, typer.Argument(help="Ends in .parquet or .csv; replaced if it is there.")]
) -> None:
    """Write a table with a row per customer: what was counted, segment, attributes, features."""
    check_name(file)
    console = Console(stderr=True)
    with open_deployment(loaded.settings) as deployment, console.status(f"writing {file.name}"):
        categories = partial(catalogue_categories, deployment.logs, loaded.settings)
        exported = export_customers(file, deployment.state, loaded.settings, categories)
    if exported.misfits:
        console.print(f"{exported.misfits:,} attribute values changed meanwhile and were left out")
    typer.echo(f"{exported.customers:,} customers in {file}")
