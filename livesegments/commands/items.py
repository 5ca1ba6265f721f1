"""`livesegments items`: what was learnt about items, how recommendations are blended, and what goes with an item."""

import json
from dataclasses import fields
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from contracts.errors import LivesegmentsError
from contracts.times import DAY, from_micros, rfc3339
from livesegments.app import open_deployment
from livesegments.flags import with_settings
from livesegments.item_names import item_names
from livesegments.screen import literal
from livesegments.sources import Loaded
from recommender.blend import Blend
from recommender.item_model import ItemModel

_SAID: Final = {
    "all": "orders held out, all items",
    "new": "orders held out, items new to the customer",
    "default_all": "the same with the defaults, all",
    "default_new": "the same with the defaults, new",
    "popular_all": "the same with popular items only, all",
    "popular_new": "the same with popular items only, new",
}

app = typer.Typer(add_completion=False)


class UnknownItemError(LivesegmentsError):
    """Nothing has been learnt about an item."""


@app.command()
@with_settings
def items(
    loaded: Loaded,
    item_id: Annotated[str, typer.Argument(metavar="[ITEM]", help="Show what goes with this item.")] = "",
    as_document: Annotated[bool, typer.Option("--json", help="A JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Show what was learnt about items and how recommendations are blended; with an ITEM, what goes with it."""
    with open_deployment(loaded.settings) as deployment:
        stored, version = deployment.state.item_model(), deployment.state.item_model_version()
        model = ItemModel.decode(stored) if stored is not None else None
        if item_id and (model is None or item_id not in model.places):
            raise UnknownItemError(
                f"nothing has been learnt about {item_id}: nobody whose lines are kept has bought it"
            )
        similar = model.similar(item_id) if model is not None and item_id else []
        names = item_names(deployment.state, [one for one, _ in similar])
    if as_document:
        typer.echo(
            json.dumps({"item_id": item_id, "items": similar} if item_id else _document(model, version), indent=2)
        )
        return
    console = Console(highlight=False)
    if model is None:
        console.print("nothing has been learnt about items yet: the leader does so once there are purchases")
    elif item_id:
        console.print(_similar_table(similar, names))
    else:
        _print_model(console, model, version)


def _similar_table(similar: list[tuple[str, float]], names: dict[str, str]) -> Table:
    table = Table("goes with it", "score", "name", box=None, pad_edge=False)
    for other, score in similar:
        table.add_row(literal(other, "bold"), f"{score:.3f}", literal(names.get(other, "")))
    return table


def _print_model(console: Console, model: ItemModel, version: int) -> None:
    console.print(
        f"version {version} of {from_micros(model.as_of):%Y-%m-%d %H:%M} UTC: {len(model.ids):,} items,"
        f" {model.customers:,} customers, {len(model.neighbours.items):,} pairs"
    )
    console.print(f"blend: {model.note}")
    table = Table("part", "value", box=None, pad_edge=False)
    for name, value in _blend(model.blend).items():
        table.add_row(name, f"{value:g}")
    console.print(table)
    if model.figures:
        figures = Table("NDCG@10", "", box=None, pad_edge=False)
        for name, said in _SAID.items():
            if name in model.figures:
                figures.add_row(said, f"{model.figures[name]:.3f}")
        console.print(figures)


def _blend(blend: Blend) -> dict[str, float]:
    """The parts by name; half-lives in days, as settings have them."""
    values = {one.name: getattr(blend, one.name) for one in fields(blend)}
    return {name: value / DAY if name.endswith("half_life") else float(value) for name, value in values.items()}


def _document(model: ItemModel | None, version: int) -> dict[str, Any]:
    if model is None:
        return {"version": 0}
    return {
        "version": version,
        "as_of": rfc3339(model.as_of),
        "items": len(model.ids),
        "customers": model.customers,
        "pairs": len(model.neighbours.items),
        "blend": _blend(model.blend),
        "chosen": model.note,
        "figures": dict(model.figures),
    }
