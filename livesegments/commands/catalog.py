"""`livesegments catalog …`: what is known of items: load a table, look, change some, take some out."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from consumer.clock import wall_micros
from contracts.catalog import CatalogItem
from livesegments.app import create_logs, open_logs
from livesegments.catalogue_tables import as_json, show_item, show_items
from livesegments.flags import with_settings
from livesegments.parts import log_names
from livesegments.screen import plain
from livesegments.sources import Loaded
from livesegments.table_options import Sheet
from logs.base import Logs
from producer.catalogue import (
    NotInCatalogueError,
    Published,
    checked_item_id,
    publish_items,
    read_catalogue,
    remove_items,
)
from producer.item_table import CONSTANTS, ITEM_FIELDS, read_items
from producer.mapping import parse_assignments

app = typer.Typer(add_completion=False, no_args_is_help=True, help="What is known of items: names, categories, stock.")

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Items = Annotated[list[str], typer.Argument(help="Ids of items, as in the events.", metavar="ITEM…")]
ItemColumns = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help=f"Which column is which field: {', '.join(ITEM_FIELDS)}."),
]
ItemConstants = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help=f"A value for all rows, of {', '.join(CONSTANTS)}."),
]


@app.command()
@with_settings
def load(
    loaded: Loaded,
    *,
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSONL (also compressed), Parquet or XLSX.")],
    columns: ItemColumns = None,
    constants: ItemConstants = None,
    sheet: Sheet = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out rows that can not be used, instead of loading nothing.")
    ] = False,
) -> None:
    """Load names, categories, stock from a table. What a row does not say stays; loading twice changes nothing."""
    table = read_items(
        file,
        parse_assignments(columns or (), "--map"),
        parse_assignments(constants or (), "--set"),
        sheet=sheet,
        skip_bad=skip_bad,
    )
    for row in table.bad:
        typer.echo(f"left out: {plain(row)}", err=True)
    if table.unused:
        typer.echo(f"columns not used: {', '.join(plain(name) for name in table.unused)}")
    _tell(_publish(loaded, table.items))


@app.command("list")
@with_settings
def list_items(
    loaded: Loaded,
    *,
    withdrawn: Annotated[bool, typer.Option("--withdrawn", help="Only what is not to be recommended.")] = False,
    category: Annotated[str | None, typer.Option(help="Only items of this category.")] = None,
    as_document: Json = False,
) -> None:
    """List the items of the catalogue by id."""
    with _open(loaded) as (logs, log):
        found = sorted(read_catalogue(logs, log).values(), key=lambda item: item.item_id)
    found = [
        item for item in found if not (withdrawn and item.offered) and (category is None or item.category == category)
    ]
    if as_document:
        _echo([as_json(item) for item in found])
    else:
        show_items(found, Console(highlight=False))


@app.command()
@with_settings
def show(
    loaded: Loaded,
    item: Annotated[str, typer.Argument(help="The item's id, as in the events.", metavar="ITEM")],
    as_document: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Show all that the catalogue has of one item."""
    with _open(loaded) as (logs, log):
        found = read_catalogue(logs, log).get(checked_item_id(item))
    if found is None:
        raise NotInCatalogueError([item])
    if as_document:
        _echo(as_json(found))
    else:
        show_item(found, Console(highlight=False))


@app.command("set")
@with_settings
def set_items(
    loaded: Loaded,
    *,
    items: Items,
    in_stock: Annotated[
        bool | None, typer.Option("--in-stock/--out-of-stock", help="Whether there are any to sell.")
    ] = None,
    recommendable: Annotated[
        bool | None, typer.Option("--recommendable/--not-recommendable", help="Whether anybody could want it.")
    ] = None,
    category: Annotated[str | None, typer.Option(help="One of your own.")] = None,
    name: Annotated[str | None, typer.Option(help="What people know it by.")] = None,
) -> None:
    """Change what is known of items. What is out of stock leaves every answer within about a second."""
    if in_stock is None and recommendable is None and category is None and name is None:
        raise typer.BadParameter("say what: --in-stock, --out-of-stock, --recommendable, --category, --name, …")
    said = [
        CatalogItem(
            item_id=checked_item_id(item),
            in_stock=in_stock,
            recommendable=recommendable,
            category=category,
            name=name,
        )
        for item in items
    ]
    _tell(_publish(loaded, said))


@app.command()
@with_settings
def remove(loaded: Loaded, items: Items) -> None:
    """Take items out of the catalogue, with all that it says of them. They may be recommended if they are bought."""
    with _open(loaded) as (logs, log):
        remove_items([checked_item_id(item) for item in items], logs, log)
    typer.echo(f"{len(items):,} items removed")


@contextmanager
def _open(loaded: Loaded) -> Iterator[tuple[Logs, str]]:
    logs = open_logs(loaded.settings)
    try:
        yield logs, log_names(loaded.settings).catalog
    finally:
        logs.close()


def _publish(loaded: Loaded, items: Sequence[CatalogItem]) -> Published:
    with _open(loaded) as (logs, log):
        create_logs(loaded.settings, logs)
        return publish_items(items, logs, log, wall_micros())


def _tell(published: Published) -> None:
    typer.echo(f"{published.said:,} items: {published.new:,} new, {published.changed:,} changed")


def _echo(document: object) -> None:
    typer.echo(json.dumps(document, indent=2))
