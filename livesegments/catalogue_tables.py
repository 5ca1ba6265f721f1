"""Items of the catalogue on a terminal, and as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from contracts.catalog import CatalogItem
from contracts.times import rfc3339, to_micros
from livesegments.screen import literal


def show_items(items: Sequence[CatalogItem], console: Console) -> None:
    """A line each."""
    if not items:
        console.print("no such items: `livesegments catalog load FILE` fills the catalogue, and so does a replay")
        return
    table = Table("item", "name", "category", "", box=None, pad_edge=False)
    for item in items:
        table.add_row(
            literal(item.item_id), literal(item.name or ""), literal(item.category or ""), _withdrawn(item) or ""
        )
    console.print(table)


def show_item(item: CatalogItem, console: Console) -> None:
    """One item in full."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_row("item", literal(item.item_id, "bold"))
    table.add_row("name", literal(item.name or "unknown"))
    table.add_row("category", literal(item.category or "none"))
    table.add_row("recommended", f"no: {_withdrawn(item)}" if _withdrawn(item) else "where it fits")
    table.add_row("in the shop since", rfc3339(to_micros(item.since)) if item.since else "the catalogue began")
    if item.from_orders:
        table.add_row("said by", "order lines")
    console.print(table)


def as_json(item: CatalogItem) -> dict[str, Any]:
    """The item as a JSON object."""
    return {
        "item_id": item.item_id,
        "name": item.name,
        "category": item.category,
        "in_stock": item.in_stock is not False,
        "recommendable": item.recommendable is not False,
        "since": None if item.since is None else rfc3339(to_micros(item.since)),
        "from_orders": item.from_orders,
    }


def _withdrawn(item: CatalogItem) -> str | None:
    """Why it is not recommended; None where it is."""
    reasons = (("out of stock", item.in_stock), ("not to be recommended", item.recommendable))
    return ", ".join(reason for reason, fine in reasons if fine is False) or None
