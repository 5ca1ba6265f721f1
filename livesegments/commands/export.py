"""`livesegments export FILE`: every customer as a row of a table."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from consumer.clock import wall_micros
from consumer.state import State
from livesegments.app import open_deployment
from livesegments.export import check_name, write_table
from livesegments.export_columns import AttributeTypes, columns_of
from livesegments.flags import with_settings
from livesegments.records import count_partitions, newest_time, read_document, read_records
from livesegments.segment_names import SegmentNames
from livesegments.settings import Settings
from livesegments.sources import Loaded
from online_model.model import SegmentModel

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
        rows, misfits = _export(file, deployment.state, loaded.settings)
    if misfits:
        console.print(f"{misfits:,} attribute values changed their type meanwhile and were left out")
    typer.echo(f"{rows:,} customers in {file}")


def _export(file: Path, state: State, settings: Settings) -> tuple[int, int]:
    """Rows are read twice: attributes first, since a table has to know its columns before its first row."""
    count = count_partitions(state) or 0
    document = read_document(state)
    attributes = AttributeTypes()
    for records in read_records(state, range(count)):
        attributes.learn(records.attributes)
    columns = columns_of(
        attributes,
        SegmentModel.from_document(document) if document else None,
        settings.features,
        wall_micros() if settings.clock == "wall" else newest_time(state, count),
        SegmentNames(state, document).name,
    )
    rows = write_table(file, columns.schema, (columns.batch(records) for records in read_records(state, range(count))))
    return rows, columns.misfits
