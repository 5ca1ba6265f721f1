"""`livesegments repartition`: rows move to the partitions of a log that was given more of them."""

from typing import Annotated

import typer
from rich.console import Console

from consumer.clock import wall_micros
from consumer.redis_images import RedisImages
from consumer.redis_state import RedisState
from consumer.repartitioning import RepartitionError
from consumer.repartitioning import repartition as move_rows
from livesegments.app import open_logs, open_redis
from livesegments.flags import with_settings
from livesegments.offline import refuse_workers
from livesegments.parts import keys, log_names
from livesegments.sources import Loaded
from livesegments.unread import unread

app = typer.Typer(add_completion=False)


@app.command()
@with_settings
def repartition(
    loaded: Loaded,
    leave_unread: Annotated[  # noqa: FBT002 - a flag
        bool,
        typer.Option(
            "--leave-unread",
            help="Go on although events are unread: workers will send them on to where they belong now.",
        ),
    ] = False,
) -> None:
    """Move rows to where their customers belong, once `customer-events` has --partitions partitions. Offline."""
    settings = loaded.settings
    names = keys(settings)
    events = log_names(settings).events
    logs = open_logs(settings)
    try:
        log = logs.describe(events)
        if log.partitions != settings.partitions:
            raise RepartitionError(
                f"the log {events!r} has {log.partitions} partitions, not {settings.partitions}: give the topic its"
                f" partitions first (kafka-topics.sh --alter --topic {events} --partitions {settings.partitions}), or"
                f" correct --partitions"
            )
        with open_redis(settings) as client, Console(stderr=True).status("moving rows"):
            state = RedisState(client, names)
            refuse_workers(state, wall_micros())

            def before(partitions: int) -> None:
                metas = {number: state.meta(number) for number in range(partitions)}
                positions = {number: meta.position if meta else None for number, meta in metas.items()}
                left = {number: count for number, count in unread(logs, events, positions).items() if count}
                if left and not leave_unread:
                    raise RepartitionError(
                        f"{sum(left.values()):,} events are unread in partitions {', '.join(map(str, left))}: take the"
                        " new partitions for done only when the old ones are worked off. Where that can not be any"
                        " more, --leave-unread lets workers send them on; docs/backup.md says what that may cost"
                    )

            done = move_rows(state, RedisImages(client, names), log, before=before)
    finally:
        logs.close()
    typer.echo(
        f"{done.moved:,} of {done.customers:,} customers moved: {done.before} partitions have become {done.after};"
        " start workers"
    )
