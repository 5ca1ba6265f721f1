"""`livesegments campaign`: an audience frozen with a control group, and what writing to the others brought."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from contracts.campaigns import Campaign, GroupOutcome
from contracts.times import parse_rfc3339, to_micros
from dashboard import campaign_words as words
from livesegments.app import Deployment, open_deployment
from livesegments.campaigns.freezing import CONTROL, DAYS, freeze
from livesegments.campaigns.opening import open_campaigns
from livesegments.campaigns.running import Campaigns
from livesegments.campaigns.treated import write_treated
from livesegments.flags import with_settings
from livesegments.parts import consent
from livesegments.row_lists import NoSuchAudienceError
from livesegments.screen import literal, plain
from livesegments.sources import Loaded
from livesegments.table_file import check_name

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Campaigns whose effect is measured: freeze an audience, hold some back, compare (docs/campaigns.md).",
)
Name = Annotated[str, typer.Argument(help="The campaign's name.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="The JSON document.")]
_OUT: Final = "Ends in .csv or .parquet; replaced if it is there."


@contextmanager
def _opened(loaded: Loaded) -> Iterator[tuple[Deployment, Campaigns]]:
    with open_deployment(loaded.settings) as deployment:
        yield deployment, open_campaigns(loaded.settings, deployment.state, deployment.logs)


@app.command()
@with_settings
def create(
    loaded: Loaded,
    name: Name,
    *,
    audience: Annotated[str, typer.Option("--audience", help="Who it is for: an audience of the settings.")],
    control: Annotated[float, typer.Option("--control", help="Share that is held back, 0.5 at most.")] = CONTROL,
    days: Annotated[int, typer.Option("--days", help="How long purchases count once it is started.")] = DAYS,
    out: Annotated[Path | None, typer.Option("--out", help=f"Write the treated here. {_OUT}")] = None,
    as_document: AsJson = False,
) -> None:
    """Freeze an audience as it is now, draw the controls, and tell the smallest effect that can be seen."""
    settings = loaded.settings
    if out is not None:
        check_name(out)
    if audience not in settings.audiences:
        there = ", ".join(plain(one) for one in settings.audiences) or "none: name conditions there"
        raise NoSuchAudienceError(f"there is no audience {plain(audience)!r} in the settings; there are {there}")
    with _opened(loaded) as (deployment, campaigns):
        made = freeze(
            deployment.state,
            name,
            audience,
            settings.audiences[audience],
            consent(settings),
            control=control,
            days=days,
            now=campaigns.now,
            keep_seconds=campaigns.keep_seconds,
        )
        written = None if out is None else write_treated(out, made, campaigns.book, settings)
    if as_document:
        typer.echo(made.model_dump_json(indent=2))
        return
    _told(f"campaign {made.name} is frozen, not started", *words.frozen(made))
    _told(*words.detectable(made.expected, settings.currency))
    if out is not None and written is not None:
        _told(*written.said(str(out)))


@app.command()
@with_settings
def export(loaded: Loaded, name: Name, file: Annotated[Path, typer.Argument(help=_OUT, show_default=False)]) -> None:
    """Write the treated to a table: those who are still there, and may still be written to. Never the controls."""
    check_name(file)
    with _opened(loaded) as (_, campaigns):
        campaign = campaigns.book.find(name)
        written = write_treated(file, campaign, campaigns.book, loaded.settings)
    _told(*written.said(str(file)))


@app.command()
@with_settings
def start(
    loaded: Loaded,
    name: Name,
    *,
    at: Annotated[
        str | None, typer.Option("--at", help="A later moment, such as 2026-12-01T08:00:00Z; now otherwise.")
    ] = None,
) -> None:
    """Have purchases count from now on: when the treated are written to."""
    moment = None if at is None else to_micros(_moment(at))
    with _opened(loaded) as (_, campaigns):
        started = campaigns.start(name, moment)
    _told(
        f"campaign {started.name}: purchases count from {started.started_at:%Y-%m-%d %H:%M:%S} to"
        f" {started.ends_at:%Y-%m-%d %H:%M:%S} UTC"
    )


@app.command()
@with_settings
def stop(loaded: Loaded, name: Name) -> None:
    """End a campaign before its days are over: what was bought until now counts."""
    with _opened(loaded) as (_, campaigns):
        stopped = campaigns.stop(name)
        told = words.stage(stopped, campaigns.now)
    _told(f"campaign {stopped.name}: {told}")


@app.command()
@with_settings
def results(loaded: Loaded, name: Name, *, as_document: AsJson = False) -> None:
    """Work out what the treated did more than the controls, from the log, with 95 % intervals."""
    with _opened(loaded) as (_, campaigns), Console(stderr=True).status("reading the log"):
        found = campaigns.results(name)
        now = campaigns.now
    _show(found, now, loaded.settings.currency, as_document=as_document)


@app.command()
@with_settings
def show(loaded: Loaded, name: Name, *, as_document: AsJson = False) -> None:
    """Show one campaign, with what was worked out last."""
    with _opened(loaded) as (_, campaigns):
        found, now = campaigns.book.find(name), campaigns.now
    _show(found, now, loaded.settings.currency, as_document=as_document)


@app.command("list")
@with_settings
def list_(loaded: Loaded, *, as_document: AsJson = False) -> None:
    """Show all campaigns, the newest first."""
    with _opened(loaded) as (_, campaigns):
        found, now = campaigns.book.all(), campaigns.now
    if as_document:
        typer.echo(json.dumps([one.model_dump(mode="json") for one in found], indent=2))
        return
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for title in ("campaign", "audience", "stage"):
        table.add_column(title)
    for title in ("treated", "controls", f"net {loaded.settings.currency} each, treated less controls"):
        table.add_column(title, justify="right")
    for one in found:
        effect = one.results.net_spend if one.results else None
        said = "–" if effect is None else words.spend_said(effect, "").replace("  ", " ")
        sizes = (f"{one.treated:,}", f"{one.control:,}")
        table.add_row(literal(one.name), literal(one.audience), words.stage(one, now), *sizes, said)
    console.print(table if found else "there are no campaigns yet: livesegments campaign create")


@app.command()
@with_settings
def delete(
    loaded: Loaded, name: Name, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Forget a campaign, its members and its results."""
    with _opened(loaded) as (_, campaigns):
        campaign = campaigns.book.find(name)
        if not yes:
            typer.confirm(f"Forget campaign {plain(campaign.name)} and its results?", abort=True, err=True)
        campaigns.book.delete(campaign)
    _told(f"campaign {campaign.name} is forgotten")


def _show(campaign: Campaign, now: int, currency: str, *, as_document: bool) -> None:
    if as_document:
        typer.echo(campaign.model_dump_json(indent=2))
        return
    console = Console(highlight=False)
    _told(f"campaign {campaign.name}: {words.stage(campaign, now)}", *words.frozen(campaign))
    found = campaign.results
    if found is None or found.conversion is None or found.net_spend is None:
        if campaign.started_at is None:
            _told(*words.detectable(campaign.expected, currency))
        elif found is not None:
            together = found.treated.buyers + found.control.buyers
            _told(f"{together:,} of all of them have ordered since it began")
    else:
        console.print(_groups(found.treated, found.control, currency))
        _told(
            f"who orders: {words.conversion_said(found.conversion)}",
            f"net spend per customer: {words.spend_said(found.net_spend, currency)}",
            f"which is {words.total_said(found.net_spend, found.treated.customers, currency)}",
        )
    if campaign.started_at is not None:
        for note in words.results_notes(campaign):
            console.print(literal(note), style="dim")


def _groups(treated: GroupOutcome, control: GroupOutcome, currency: str) -> Table:
    table = Table("group", box=None, pad_edge=False)
    for title in ("customers", "with an order", "share", "orders each", f"net {currency} each"):
        table.add_column(title, justify="right")
    for name, one in (("treated", treated), ("controls", control)):
        each = max(1, one.customers)
        table.add_row(
            name,
            f"{one.customers:,}",
            f"{one.buyers:,}",
            f"{one.buyers / each:.2%}",
            f"{one.orders / each:.3f}",
            f"{one.net_spend / each:,.2f}",
        )
    return table


def _told(*lines: str) -> None:
    for line in lines:
        typer.echo(plain(line))


def _moment(text: str) -> datetime:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
