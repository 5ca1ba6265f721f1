"""`livesegments map`: where segments and customers lie on a flat or spatial picture of their features."""

import json
from functools import partial
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console, Group
from rich.table import Table

from consumer.clock import wall_micros
from livesegments.app import open_deployment
from livesegments.categories import catalogue_categories
from livesegments.flags import with_settings
from livesegments.records import count_partitions, newest_time
from livesegments.screen import literal
from livesegments.segment_space import SAMPLE_CUSTOMERS, SegmentSpace, read_space
from livesegments.sources import Loaded
from online_model.projection import Projection, of_sample

app = typer.Typer(add_completion=False)


@app.command("map")
@with_settings
def show_map(
    loaded: Loaded,
    *,
    dimensions: Annotated[int, typer.Option("--dimensions", min=2, max=3, help="2 or 3.")] = 2,
    customers: Annotated[
        int, typer.Option("--customers", min=2, help="About so many are looked at.")
    ] = SAMPLE_CUSTOMERS,
    as_document: Annotated[
        bool, typer.Option("--json", help="A JSON object, with a point for every customer.")
    ] = False,
) -> None:
    """Show the principal components of the features, and where the segments lie in them."""
    settings = loaded.settings
    with open_deployment(settings) as deployment:
        state = deployment.state
        now = newest_time(state, count_partitions(state) or 0) if settings.clock == "event" else wall_micros()
        space = read_space(state, now, customers, partial(catalogue_categories, deployment.logs, settings))
    picture = of_sample(space.X, space.model.metric, dimensions)
    if as_document:
        typer.echo(json.dumps(as_plain(space, picture)))
        return
    Console(highlight=False).print(Group(_axes(space, picture), "", _places(space, picture)))


def as_plain(space: SegmentSpace, picture: Projection) -> dict[str, Any]:
    """The picture for JSON: axes, segments and customers with their coordinates."""
    model = space.model
    ids = model.segment_ids[space.clusters].tolist()
    return {
        "model_version": model.version,
        "features": list(model.features),
        **picture.to_plain(),
        "segments": [
            {"id": segment.id, "name": segment.name, "point": point}
            for segment, point in zip(model.segments, picture.place(model.centroids).tolist(), strict=True)
        ],
        "customers": {"cluster": ids, "points": np.round(picture.place(space.X), 4).tolist()},
    }


def _axes(space: SegmentSpace, picture: Projection) -> Table:
    table = Table(box=None, pad_edge=False, caption=f"from {len(space.X):,} customers; loadings")
    table.add_column("axis")
    table.add_column("explains", justify="right")
    for name in space.model.features:
        table.add_column(literal(name.replace("_", " ")), justify="right")
    for number, (share, loadings) in enumerate(zip(picture.explained, picture.loadings, strict=True), start=1):
        table.add_row(str(number), f"{share:.1%}", *(f"{loading:+.2f}" for loading in loadings))
    return table


def _places(space: SegmentSpace, picture: Projection) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("segment")
    for number in range(1, len(picture.variances) + 1):
        table.add_column(f"axis {number}", justify="right")
    for segment, point in zip(space.model.segments, picture.place(space.model.centroids), strict=True):
        table.add_row(literal(segment.name, "bold"), *(f"{coordinate:+.2f}" for coordinate in point))
    return table
