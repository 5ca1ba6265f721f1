"""`livesegments simulate`: a synthetic shop whose customers are of hidden types."""

import threading
from typing import Annotated

import typer

from consumer.clock import wall_micros
from livesegments.app import create_logs, open_logs
from livesegments.flags import with_settings
from livesegments.parts import log_names
from livesegments.signals import stop_signals
from livesegments.sources import Loaded
from producer.cli import run_simulate
from producer.shop import ShopSettings

app = typer.Typer(add_completion=False)
_DEFAULT = ShopSettings(now=0)


@app.command()
@with_settings
def simulate(
    loaded: Loaded,
    *,
    rate: Annotated[float, typer.Option(min=0, help="Live events a second; 0 for as fast as possible.")] = 20.0,
    customers: Annotated[int, typer.Option(min=1, help="At the start; new ones arrive.")] = _DEFAULT.customers,
    events: Annotated[int | None, typer.Option(min=0, help="Stop after so many, history included.")] = None,
    history_days: Annotated[int, typer.Option(min=0, help="Published first, at once.")] = _DEFAULT.history_days,
    items: Annotated[int, typer.Option(min=1, help="In the assortment.")] = _DEFAULT.items,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same shop.")] = _DEFAULT.seed,
    late_share: Annotated[float, typer.Option(min=0, max=1, help="Of events.")] = _DEFAULT.late_share,
    repeat_share: Annotated[float, typer.Option(min=0, max=1, help="Of events.")] = _DEFAULT.repeat_share,
    return_share: Annotated[float, typer.Option(min=0, max=1, help="Of orders.")] = _DEFAULT.return_share,
) -> None:
    """Publish a synthetic shop: its history at once, then its present until told to stop."""
    settings = loaded.settings
    shop = ShopSettings(
        now=wall_micros(),
        customers=customers,
        seed=seed,
        history_days=history_days,
        items=items,
        currency=settings.currency,
        late_share=late_share,
        repeat_share=repeat_share,
        return_share=return_share,
    )
    stopping = threading.Event()
    logs = open_logs(settings)
    try:
        create_logs(settings, logs)
        with stop_signals(stopping.set):
            run_simulate(
                logs,
                shop,
                clock=wall_micros,
                rate=rate or None,
                events=events,
                stop=stopping.is_set,
                log=log_names(settings).events,
                partitions=settings.partitions,
            )
    finally:
        logs.close()
