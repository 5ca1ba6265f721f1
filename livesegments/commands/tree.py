"""`livesegments tree`: which segments are alike, and what they would be if there were fewer."""

import json
from functools import partial
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from consumer.clock import wall_micros
from livesegments.app import open_deployment
from livesegments.categories import catalogue_categories
from livesegments.flags import with_settings
from livesegments.records import count_partitions, newest_time
from livesegments.screen import literal
from livesegments.segment_space import read_model, read_space
from livesegments.sources import Loaded
from online_model.arrays import Labels
from online_model.hierarchy import MAX_SAMPLE, Dendrogram, of_sample, of_segments
from online_model.model import SegmentModel

app = typer.Typer(add_completion=False)


@app.command()
@with_settings
def tree(
    loaded: Loaded,
    *,
    groups: Annotated[int | None, typer.Option("--groups", min=1, help="Cut into so many groups.")] = None,
    height: Annotated[float | None, typer.Option("--height", min=0.0, help="Cut at this height.")] = None,
    customers: Annotated[
        int | None,
        typer.Option("--customers", min=2, max=MAX_SAMPLE, help="Of so many customers drawn, not of the segments."),
    ] = None,
    as_document: Annotated[bool, typer.Option("--json", help="A JSON object.")] = False,
) -> None:
    """Show which segments are alike: Ward's hierarchy, weighted by size. Heights are distances."""
    settings = loaded.settings
    with open_deployment(settings) as deployment:
        state = deployment.state
        if customers is None:
            model = read_model(state)
            dendrogram, labels = of_segments(model), np.arange(model.k, dtype=np.int32)
        else:
            now = newest_time(state, count_partitions(state) or 0) if settings.clock == "event" else wall_micros()
            space = read_space(state, now, categories=partial(catalogue_categories, deployment.logs, settings))
            model = space.model
            dendrogram, rows = of_sample(space.X, model.metric, seed=settings.model_seed, most=customers)
            labels = space.clusters[rows]
    cut = _cut(dendrogram, groups, height)
    if as_document:
        typer.echo(json.dumps(as_plain(model, dendrogram, labels, cut), indent=2))
        return
    console = Console(highlight=False)
    if cut is not None or customers is not None:
        chosen = cut if cut is not None else dendrogram.cut_into(min(model.k, len(dendrogram.sizes)))
        console.print(_grouped(model, dendrogram, labels, chosen))
    else:
        console.print(_drawn(model, dendrogram))


def as_plain(model: SegmentModel, dendrogram: Dendrogram, labels: Labels, cut: Labels | None) -> dict[str, Any]:
    """The hierarchy for JSON: leaves with their segments, merges as [left, right, height, size], groups if cut."""
    segments = [{"id": model.segments[place].id, "name": model.segments[place].name} for place in labels.tolist()]
    return {
        "model_version": model.version,
        "leaves": segments,
        **dendrogram.to_plain(),
        "groups": None if cut is None else cut.tolist(),
    }


def _cut(dendrogram: Dendrogram, groups: int | None, height: float | None) -> Labels | None:
    if groups is not None and height is not None:
        raise typer.BadParameter("give --groups or --height, not both")
    if groups is not None:
        return dendrogram.cut_into(groups)
    return None if height is None else dendrogram.cut_at(height)


def _drawn(model: SegmentModel, dendrogram: Dendrogram) -> Tree:
    """Branches from the last merge down; of two the one with the lower number stands first."""
    leaves = len(dendrogram.sizes)

    def label(node: int) -> Text:
        if node < leaves:
            segment = model.segments[node]
            return literal(f"{segment.name} (id {segment.id}, {dendrogram.sizes[node]:,} customers)")
        merge = dendrogram.merges[node - leaves]
        return Text(f"{merge.height:.2f} · {merge.size:,} customers", style="dim")

    root = leaves + len(dendrogram.merges) - 1
    drawn = Tree(label(root))
    waiting = [(root, drawn)]
    while waiting:
        node, branch = waiting.pop()
        if node >= leaves:
            merge = dendrogram.merges[node - leaves]
            waiting += [(child, branch.add(label(child))) for child in (merge.left, merge.right)]
    return drawn


def _grouped(model: SegmentModel, dendrogram: Dendrogram, labels: Labels, cut: Labels) -> Tree:
    """Groups with the segments in them; of a sample, with how many of each segment."""
    sizes = np.array(dendrogram.sizes)
    drawn = Tree(Text(f"{cut.max() + 1} groups", style="dim"))
    for group in range(int(cut.max()) + 1):
        members = cut == group
        branch = drawn.add(Text(f"group {group + 1}: {int(sizes[members].sum()):,} customers", style="bold"))
        for place in np.unique(labels[members]).tolist():
            count = int(sizes[members & (labels == place)].sum())
            branch.add(literal(f"{model.segments[place].name} ({count:,})"))
    return drawn
