"""`livesegments replay FILE`: a table of order lines, or of profiles, becomes events."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from consumer.clock import wall_micros
from contracts.times import to_micros
from livesegments.app import open_logs
from livesegments.catalogue_feeding import feed_catalogue
from livesegments.flags import with_settings
from livesegments.import_reports import Source, reported
from livesegments.parts import log_names, zone
from livesegments.sources import Loaded
from livesegments.table_options import Columns, Constants, NoHeader, Sheet, TimeFormat, mapping_request
from producer.cli import run_replay
from producer.mapping import MappingRequest
from producer.pacing import parse_speed

app = typer.Typer(add_completion=False)


@app.command()
@with_settings
def replay(
    loaded: Loaded,
    *,
    file: Annotated[Path, typer.Argument(help="CSV, TSV (also .gz, .bz2, .xz, .zip, .zst), JSONL, Parquet or XLSX.")],
    columns: Columns = None,
    constants: Constants = None,
    speed: Annotated[
        str, typer.Option(metavar="3600x|max", help="Event time per time: 3600x is an hour a second.")
    ] = "max",
    since: Annotated[
        datetime | None, typer.Option(help="Leave out events before it; in the zone of the settings.")
    ] = None,
    cancelled: Annotated[
        str, typer.Option(metavar="PATTERN", help="Orders whose id begins so are returns; empty for none.")
    ] = MappingRequest().cancelled,
    time_format: TimeFormat = None,
    sheet: Sheet = None,
    no_header: NoHeader = False,
) -> None:
    """Publish a table as events, sorted by time. Doing it twice changes nothing."""
    settings = loaded.settings
    request = mapping_request(
        columns,
        constants,
        currency=settings.currency,
        cancelled=cancelled,
        time_format=time_format,
        sheet=sheet,
        header=not no_header,
    )
    pace = parse_speed(speed)
    source = Source(command="replay", files=[file.name])
    logs = open_logs(settings)

    try:
        run_replay(
            file,
            logs,
            now=wall_micros(),
            request=request,
            zone=zone(settings),
            since=None if since is None else to_micros(since.replace(tzinfo=since.tzinfo or zone(settings))),
            speed=pace,
            log=log_names(settings).events,
            partitions=settings.partitions,
            on_read=lambda table: feed_catalogue(table.items, logs, settings),
            around=lambda table: reported(source, table.summary, len(table), settings, typer.echo),
        )
    finally:
        logs.close()
