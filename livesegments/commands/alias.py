"""`livesegments alias ID CUSTOMER`: publishes that an id is another one of a customer's, or no longer is."""

from typing import Annotated

import typer

from contracts.errors import LivesegmentsError
from livesegments.app import create_logs, open_deployment
from livesegments.customers import checked_id
from livesegments.flags import with_settings
from livesegments.parts import log_names
from livesegments.screen import plain
from livesegments.sources import Loaded
from producer.publisher import EventPublisher

app = typer.Typer(add_completion=False)


class AliasError(LivesegmentsError):
    """Not an id and a customer, nor an id to be split off."""


@app.command()
@with_settings
def alias(
    loaded: Loaded,
    *,
    joined_id: Annotated[str, typer.Argument(help="An anonymous or second id, as in the events.", metavar="ID")],
    customer: Annotated[str | None, typer.Argument(help="Whose id it is.", metavar="CUSTOMER")] = None,
    split: Annotated[bool, typer.Option("--split", help="It is nobody's but its own again.")] = False,
) -> None:
    """Join an id to a customer: everything of it counts for the customer, until it is split off again."""
    if (customer is None) is not split:
        raise AliasError("name the customer whose id it is, or --split")
    checked_id(joined_id)
    if customer is not None:
        checked_id(customer)
    settings = loaded.settings
    with open_deployment(settings) as deployment:
        create_logs(settings, deployment.logs)
        log = log_names(settings).events
        with EventPublisher(deployment.logs, log=log, partitions=settings.partitions) as publisher:
            publisher.alias(customer_id=joined_id, alias_of=customer)
    if customer is None:
        typer.echo(f"{plain(joined_id)} is on its own again, once a worker has read of it")
    else:
        typer.echo(f"{plain(joined_id)} is an id of {plain(customer)}, once a worker has read of it")
