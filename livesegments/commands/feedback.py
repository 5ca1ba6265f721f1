"""`livesegments feedback`: what became of what was shown, by reason, shelf or segment."""

import json
from collections import Counter
from typing import Annotated, Final, Literal

import typer
from rich.console import Console
from rich.table import Table

from contracts.documents import FeedbackDay, ImpressionCounts
from contracts.keys import Keys
from livesegments.app import open_deployment
from livesegments.day_documents import read_days
from livesegments.flags import with_settings
from livesegments.screen import literal
from livesegments.sources import Loaded
from recommender.lift import wilson

app = typer.Typer(add_completion=False)

By = Literal["reason", "shelf", "segment"]
_UNSAID: Final = "(not said)"
_NO_SEGMENT: Final = "(none yet)"


@app.command()
@with_settings
def feedback(
    loaded: Loaded,
    days: Annotated[int, typer.Option(help="What was shown in so many days, up to now.", min=1, max=400)] = 30,
    by: Annotated[By, typer.Option(help="What to tell apart.")] = "reason",
    as_document: Annotated[bool, typer.Option("--json", help="A JSON array of days.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Show how often recommended items were clicked and bought, with 95 % intervals."""
    with open_deployment(loaded.settings) as deployment:
        found = read_days(deployment, days, FeedbackDay, Keys.feedback)
    if as_document:
        typer.echo(json.dumps([day.model_dump(mode="json") for day in found], indent=2))
        return
    console = Console(highlight=False)
    if not any(day.counts for day in found):
        console.print("nothing was shown yet: applications publish `interaction` events (docs/feedback.md)")
        return
    console.print(_table(found, by))
    window = loaded.settings.attribution_window
    console.print(f"clicked and bought within {window} of being shown; of the last days more may come", style="dim")


def _table(found: list[FeedbackDay], by: By) -> Table:
    shown, clicked, bought = Counter[str](), Counter[str](), Counter[str]()
    for counts in (counts for day in found for counts in day.counts):
        name = _name(counts, by)
        shown[name] += counts.shown
        clicked[name] += counts.clicked
        bought[name] += counts.bought
    table = Table(by, box=None, pad_edge=False)
    for title in ("shown", "clicked", "click-through", "bought", "conversion"):
        table.add_column(title, justify="right")
    for name, whole in shown.most_common():
        table.add_row(literal(name), *_figures(whole, clicked[name], bought[name]))
    table.add_row("all", *_figures(shown.total(), clicked.total(), bought.total()), style="bold")
    return table


def _name(counts: ImpressionCounts, by: By) -> str:
    if by == "segment":
        return counts.segment_name or _NO_SEGMENT
    return (counts.reason if by == "reason" else counts.shelf) or _UNSAID


def _figures(shown: int, clicked: int, bought: int) -> tuple[str, ...]:
    return f"{shown:,}", f"{clicked:,}", _rate(clicked, shown), f"{bought:,}", _rate(bought, shown)


def _rate(part: int, whole: int) -> str:
    if not whole:
        return "–"
    low, high = wilson(part, whole)
    return f"{part / whole:.2%} ({low:.2%} … {high:.2%})"
