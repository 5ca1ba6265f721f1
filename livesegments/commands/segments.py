"""`livesegments segments`: every segment with its size, what is typical of it, and what to do about it."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from contracts.documents import SegmentCard
from contracts.times import rfc3339, to_micros
from livesegments.app import open_deployment
from livesegments.flags import with_settings
from livesegments.screen import literal
from livesegments.sources import Loaded
from recommender.reader import CustomerReader

app = typer.Typer(add_completion=False)


@app.command()
@with_settings
def segments(
    loaded: Loaded,
    as_document: Annotated[bool, typer.Option("--json", help="A JSON array of segments.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Show all segments: size, share, typical numbers, strategy."""
    with open_deployment(loaded.settings) as deployment:
        cards = read_cards(deployment.reader())
    if as_document:
        typer.echo(json.dumps([card.model_dump(mode="json") for card in cards], indent=2))
        return
    console = Console(highlight=False)
    if not cards:
        console.print("there are no segments yet: they need a worker, and customers who bought")
        return
    console.print(_table(cards, loaded.settings.currency))
    console.print(f"model version {cards[0].model_version}, as of {rfc3339(to_micros(cards[0].as_of))}", style="dim")


def read_cards(reader: CustomerReader) -> list[SegmentCard]:
    """The card of every segment that has customers or is of the current model."""
    listed = reader.segments()
    found = [reader.segment(one.id) for one in listed.segments] if listed else []
    return [card for card in found if card is not None and (card.id > 0 or card.size)]


def _table(cards: list[SegmentCard], currency: str) -> Table:
    typical = list(dict.fromkeys(name for card in cards for name in card.profile))
    table = Table(box=None, pad_edge=False)
    for title in ("id", "segment"):
        table.add_column(title)
    for title in ("customers", "share", "revenue", *(name.replace("_", " ") for name in typical)):
        table.add_column(literal(title), justify="right")
    table.add_column("strategy")
    for card in sorted(cards, key=lambda card: -card.size):
        numbers = [f"{card.profile[name]:,.1f}" if name in card.profile else "" for name in typical]
        table.add_row(str(card.id), literal(card.name, "bold"), *_shares(card), *numbers, literal(card.strategy))
    table.caption = f"money in {currency}"
    return table


def _shares(card: SegmentCard) -> tuple[Any, ...]:
    return f"{card.size:,}", f"{card.share_of_customers:.1%}", f"{card.share_of_revenue:.1%}"
