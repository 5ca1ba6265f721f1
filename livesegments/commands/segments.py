"""`livesegments segments`: every segment, the card of one, and names of one's own."""

import json
from typing import Annotated, Final

import typer
from rich.console import Console
from typer.core import TyperGroup

from contracts.documents import SegmentCard
from livesegments.app import open_deployment
from livesegments.flags import with_settings
from livesegments.item_names import item_names
from livesegments.screen import plain
from livesegments.segment_renaming import NoSuchSegmentError, find_segment, rename_segment, reset_segment
from livesegments.segment_tables import show_card, show_segments
from livesegments.sources import Loaded
from recommender.reader import CustomerReader

_NEGATIVE_IDS: Final = {"ignore_unknown_options": True}
"""Ids of segments by rule are negative: they are no options."""


class _Segments(TyperGroup):
    """`segments` and `segments ID` are short for `segments show`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """The arguments, with the command that was left out."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Segments, add_completion=False, help="All segments, the card of one, names of your own.")


@app.command(context_settings=_NEGATIVE_IDS)
@with_settings
def show(
    loaded: Loaded,
    segment: Annotated[int | None, typer.Argument(help="One segment's id, for its card.", metavar="ID")] = None,
    as_document: Annotated[bool, typer.Option("--json", help="A JSON array of cards.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Show all segments with size, share, typical numbers, strategy; or the card of one. The default."""
    with open_deployment(loaded.settings) as deployment:
        reader = deployment.reader()
        listed = reader.segments()
        cards = read_cards(reader) if segment is None else [_read_card(reader, segment)]
        names = {} if segment is None else item_names(deployment.state, (item for item, _ in cards[0].items))
    if as_document:
        typer.echo(json.dumps([card.model_dump(mode="json") for card in cards], indent=2))
        return
    console = Console(highlight=False)
    if segment is not None:
        show_card(cards[0], loaded.settings.currency, console, names)
    elif not cards or listed is None:
        console.print("there are no segments yet: they need a worker, and customers who bought")
    else:
        show_segments(cards, listed, loaded.settings.currency, console)


@app.command(context_settings=_NEGATIVE_IDS)
@with_settings
def rename(
    loaded: Loaded,
    segment: Annotated[int, typer.Argument(help="The segment's id.", metavar="ID")],
    name: Annotated[str | None, typer.Argument(help="1 to 60 characters; no other segment's name.")] = None,
    strategy: Annotated[str | None, typer.Option(help="What to do about it; empty: what is worked out.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Take the own name and strategy back.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Call a segment something else. The name stays whatever is learnt; views and cards follow within seconds."""
    if reset is (name is not None or strategy is not None):
        raise typer.BadParameter("give a name, --strategy, or both; or --reset alone")
    with open_deployment(loaded.settings) as deployment:
        if reset:
            reset_segment(deployment.state, segment)
            typer.echo(f"segment {segment} is called what is worked out again")
            return
        own = rename_segment(deployment.state, deployment.reader().segments(), segment, name, strategy)
    typer.echo(f"segment {segment} is called {'what is worked out' if own.name is None else plain(own.name)}")


def read_cards(reader: CustomerReader) -> list[SegmentCard]:
    """The card of every segment that has customers or is of the current model."""
    listed = reader.segments()
    found = [reader.segment(one.id) for one in listed.segments] if listed else []
    return [card for card in found if card is not None and (card.id > 0 or card.size)]


def _read_card(reader: CustomerReader, segment: int) -> SegmentCard:
    find_segment(reader.segments(), segment)
    card = reader.segment(segment)
    if card is None:
        raise NoSuchSegmentError(f"segment {segment} has no card yet: run a worker")
    return card
