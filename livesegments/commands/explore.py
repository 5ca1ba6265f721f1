"""`livesegments explore FILE` and `livesegments explore live`: a report on a table, or on the live customers."""

from functools import cache, partial
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console

from consumer.clock import wall_micros
from contracts.errors import LivesegmentsError
from livesegments.app import open_deployment
from livesegments.categories import catalogue_categories
from livesegments.explore.findings import Exploration
from livesegments.explore.page import page
from livesegments.explore.sources import explore_file, explore_live
from livesegments.flags import with_settings
from livesegments.parts import zone
from livesegments.settings import Settings
from livesegments.sources import Loaded
from livesegments.table_options import Columns, Constants, NoHeader, Sheet, TimeFormat, mapping_request

app = typer.Typer(add_completion=False)
LIVE: Final = "live"


class ReportError(LivesegmentsError):
    """The report can not be written."""


@app.command()
@with_settings
def explore(
    loaded: Loaded,
    *,
    source: Annotated[
        str, typer.Argument(metavar="FILE|live", help="CSV, TSV, Parquet or XLSX; or the live customers in Redis.")
    ],
    columns: Columns = None,
    constants: Constants = None,
    only: Annotated[
        list[str] | None, typer.Option("--column", metavar="COLUMN", help="Look at these columns only.")
    ] = None,
    time_format: TimeFormat = None,
    sheet: Sheet = None,
    no_header: NoHeader = False,
    out: Annotated[Path, typer.Option(help="The report, one HTML file; replaced if it is there.")] = Path(
        "report.html"
    ),
    as_document: Annotated[
        bool, typer.Option("--json", help="All that was found as JSON, instead of a report.")
    ] = False,
) -> None:
    """Explore data: what is missing, distributions, correlations, pairs, age groups, outliers."""
    settings = loaded.settings
    request = mapping_request(
        columns,
        constants,
        currency=settings.currency,
        time_format=time_format,
        sheet=sheet,
        header=not no_header,
    )
    console = Console(stderr=True)
    with console.status(f"exploring {source}"):
        if source == LIVE:
            found = _live(settings)
        else:
            found = explore_file(Path(source), request, now=wall_micros(), only=only or (), zone=zone(settings))
        report = None if as_document else page(found)
    if report is None:
        typer.echo(msgspec.json.encode(found))
        return
    try:
        out.write_text(report, encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{out}: can not be written: {error.strerror}") from error
    typer.echo(f"{out}: {', '.join(f'{value} {name}' for name, value in found.facts[:3])}")


def _live(settings: Settings) -> Exploration:
    with open_deployment(settings) as deployment:
        categories = cache(partial(catalogue_categories, deployment.logs, settings))
        return explore_live(deployment.state, settings, now=wall_micros(), categories=categories)
