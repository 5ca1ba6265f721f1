"""`livesegments forecast [FILE]`: what customers will do next, by segment; with a file, of each customer."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from contracts.documents import NO_SEGMENT
from contracts.forecasts import ForecastDocument
from contracts.times import rfc3339
from livesegments.app import open_deployment
from livesegments.flags import with_settings
from livesegments.forecast_columns import batches, schema_of
from livesegments.forecasting import ShopForecast, forecast_shop
from livesegments.records import read_document, read_forecaster
from livesegments.screen import literal
from livesegments.segment_names import SegmentNames
from livesegments.sources import Loaded
from livesegments.table_file import check_name, write_table
from online_model.forecasts.words import CAN_NOT_TELL, about

app = typer.Typer(add_completion=False)


@app.command()
@with_settings
def forecast(
    loaded: Loaded,
    *,
    file: Annotated[
        Path | None, typer.Argument(help="A table of all customers; ends in .parquet or .csv, replaced if it is there.")
    ] = None,
    as_document: Annotated[bool, typer.Option("--json", help="Models and segments as JSON.")] = False,
) -> None:
    """Forecast orders and net spend of 30, 90 and 365 days from the rows as they are now (docs/forecasts.md)."""
    if file is not None:
        check_name(file)
    console = Console(stderr=True)
    with open_deployment(loaded.settings) as deployment, console.status("forecasting"):
        shop = forecast_shop(deployment.state, loaded.settings)
        model = read_document(deployment.state)
        segments = SegmentNames(deployment.state, model, loaded.settings.out_of_scope_name)
        names = {one: _named(one, segments) for one in set(shop.buyers.segments.tolist())}
        told = read_forecaster(deployment.state, told=loaded.settings.forecasts).document
        written = None if file is None else write_table(file, schema_of(shop), batches(shop, names.__getitem__))
    if as_document:
        typer.echo(msgspec.json.encode(document(shop, names, told)))
        return
    screen = Console(highlight=False)
    show_forecast(shop, names, loaded.settings.currency, screen)
    if told is not None:
        screen.print("told by workers:", style="dim")
        for sentence in about(told):
            screen.print(literal(sentence), style="dim")
    if written is not None:
        typer.echo(f"{written:,} customers in {file}")


def _named(segment: int, names: SegmentNames) -> str:
    return "No segment yet" if segment == NO_SEGMENT else names.told(segment)


def document(shop: ShopForecast, names: dict[int, str], told: ForecastDocument | None = None) -> dict[str, object]:
    """Models and sums by segment, as --json says them, and by what workers tell forecasts."""
    return {
        "as_of": rfc3339(shop.now),
        "customers": len(shop.buyers.customers),
        "fitted": shop.lifetime.customers,
        "left_censored": shop.left_censored,
        "model": {"family": shop.lifetime.model.family, **_parameters(shop)},
        "bounded": shop.lifetime.bounded,
        "tells_leaving": shop.lifetime.model.tells_leaving,
        "segments": {
            f"{days}d": [
                {"id": one.segment, "name": names[one.segment], "customers": one.customers, "active": one.active}
                | {"orders": one.orders, "value": one.value, "at_risk": one.at_risk}
                for one in shop.by_segment(days)
            ]
            for days in shop.ahead.ahead
        },
        # The scorer is long, and of use to a worker alone.
        "workers": None if told is None else told.model_dump(mode="json", exclude={"churn": {"scorer"}}),
    }


def _parameters(shop: ShopForecast) -> dict[str, float]:
    lifetime, value = shop.lifetime.model, shop.value.model
    found = {"r": lifetime.r, "alpha": lifetime.alpha, "a": lifetime.a, "b": lifetime.b}
    return {**found, "p": value.p, "q": value.q, "gamma": value.gamma}


def show_forecast(shop: ShopForecast, names: dict[int, str], currency: str, console: Console) -> None:
    """A line for each segment, and what it was made from below."""
    horizons = list(shop.ahead.ahead)
    middle = horizons[len(horizons) // 2]
    columns = {days: {one.segment: one for one in shop.by_segment(days)} for days in horizons}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("segment")
    titles = ["customers", "active", f"orders\n{middle} d", *(f"{currency}\n{days} d" for days in horizons)]
    for title in (*titles, f"at risk\n{middle} d"):
        table.add_column(title, justify="right")
    for one in shop.by_segment(middle):
        active = "–" if one.active is None else f"{one.active / one.customers:.0%}"
        numbers = [f"{one.customers:,}", active, f"{one.orders:,.0f}"]
        numbers += [f"{columns[days][one.segment].value:,.0f}" for days in horizons]
        table.add_row(literal(names[one.segment]), *numbers, "–" if one.at_risk is None else f"{one.at_risk:,.0f}")
    console.print(table)
    console.print()
    everybody, fitted = len(shop.buyers.customers), shop.lifetime.customers
    active = "" if shop.active is None else f", {float(shop.active.sum()):,.0f} of them active"
    others = f"; {shop.left_censored:,} who were customers before are not counted in" if shop.left_censored else ""
    console.print(
        f"as of {rfc3339(shop.now)}: {everybody:,} customers{active}; fitted to {fitted:,} whose first purchase was"
        f" seen{others}",
        style="dim",
    )
    if shop.active is None:
        console.print(f"{CAN_NOT_TELL}.", style="yellow")
    if shop.lifetime.bounded:
        said = ", ".join(shop.lifetime.bounded)
        console.print(f"the data can not tell {said}: see `bounded` in docs/forecasts.md", style="yellow")
