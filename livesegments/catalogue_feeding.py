"""What a table of orders says of items goes into the catalogue."""

from collections.abc import Callable, Sequence

import typer

from consumer.clock import wall_micros
from contracts.catalog import CatalogItem
from livesegments.app import create_logs
from livesegments.parts import log_names
from livesegments.screen import plain
from livesegments.settings import Settings
from logs.base import Logs
from producer.catalogue import publish_items


def feed_catalogue(
    items: Sequence[CatalogItem], logs: Logs, settings: Settings, tell: Callable[[str], None] = typer.echo
) -> None:
    """Publish them before their events: no worker is to recommend postage even once."""
    create_logs(settings, logs)
    non_products = [plain(one.item_id) for one in items if one.recommendable is False]
    if non_products:
        tell(f"{len(non_products)} items are no products: {', '.join(non_products)}")
    told = publish_items(items, logs, log_names(settings).catalog, wall_micros())
    if told.new or told.changed:
        tell(f"catalogue: {told.new:,} items new, {told.changed:,} changed")
