"""`livesegments erase CUSTOMER`: publishes the event and waits until it is applied."""

from typing import Annotated

import typer
from rich.console import Console

from consumer.clock import wall_micros
from contracts.times import SECOND
from livesegments.app import create_logs, open_deployment, open_redis
from livesegments.durations import Duration
from livesegments.erasing import publish, wait_until_applied
from livesegments.flags import duration, with_settings
from livesegments.liveness import seems_alive
from livesegments.screen import plain
from livesegments.sources import Loaded

app = typer.Typer(add_completion=False)


@app.command()
@with_settings
def erase(
    loaded: Loaded,
    customer: Annotated[str, typer.Argument(help="The customer's id, as in the events.", metavar="CUSTOMER")],
    timeout: Annotated[
        Duration, typer.Option(parser=duration, metavar="DURATION", help="How long to wait for a worker.")
    ] = Duration(60 * SECOND),  # noqa: B008 - immutable
) -> None:
    """Forget a customer: row, segment, recommendations. Waits until a worker has done so."""
    settings = loaded.settings
    console = Console(stderr=True, highlight=False)
    with open_deployment(settings) as deployment, open_redis(settings) as client:
        create_logs(settings, deployment.logs)
        erasure = publish(customer, deployment, wall_micros())
        if not seems_alive(client, settings):
            console.print("published; no worker seems to run: waiting for one", style="yellow")
        with console.status("waiting for a worker"):
            wait_until_applied(erasure, deployment, timeout.seconds)
    typer.echo(f"{plain(customer)} is erased")
