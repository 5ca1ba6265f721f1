"""`livesegments lift`: what recommendations bring, against the customers held out."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.documents import LiftDocument, RelativeLift, TrialGroup
from livesegments.app import Deployment, open_deployment
from livesegments.flags import with_settings
from livesegments.parts import keys
from livesegments.sources import Loaded

app = typer.Typer(add_completion=False)


@app.command()
@with_settings
def lift(
    loaded: Loaded,
    as_document: Annotated[bool, typer.Option("--json", help="The JSON document.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Show orders and net spend of customers with recommendations against those held out, with 95 % intervals."""
    with open_deployment(loaded.settings) as deployment:
        found = read_lift(deployment)
    if as_document:
        typer.echo("null" if found is None else found.model_dump_json(indent=2))
        return
    console = Console(highlight=False)
    if found is None:
        console.print("nobody is held out: set holdout_share and holdout_since (docs/feedback.md)")
        return
    console.print(_groups(found, loaded.settings.currency))
    for name, one in (("orders", found.orders), ("net spend", found.net_spend)):
        if one is not None:
            console.print(f"{name} per customer: {_said(one)}")
    if found.missing:
        console.print(f"not enough data yet: it takes {', '.join(found.missing)}")
    console.print(
        f"orders since {found.since:%Y-%m-%d}; every customer in the group drawn, whatever they saw", style="dim"
    )


def read_lift(deployment: Deployment) -> LiftDocument | None:
    """The document; None where nobody is held out, or no worker has written it yet. Raises ViewsUnavailableError."""
    (stored,) = deployment.views.get_many([keys(deployment.settings).lift()])
    return None if stored is None else LiftDocument.model_validate_json(stored)


def _groups(found: LiftDocument, currency: str) -> Table:
    table = Table("group", box=None, pad_edge=False)
    for title in ("customers", "with an order", "orders each", f"net {currency} each"):
        table.add_column(title, justify="right")
    table.add_row("with recommendations", *_figures(found.treated))
    table.add_row(f"held out ({found.share:.0%})", *_figures(found.held_out))
    return table


def _figures(group: TrialGroup) -> tuple[str, ...]:
    each = max(1, group.customers)
    return (
        f"{group.customers:,}",
        f"{group.buyers:,}",
        f"{group.orders / each:.3f}",
        f"{group.net_spend / each:,.2f}",
    )


def _said(one: RelativeLift) -> str:
    clear = "" if one.low > 0 or one.high < 0 else ": no difference is clear yet"
    return f"{one.value:+.1%} (95 %: {one.low:+.1%} … {one.high:+.1%}){clear}"
