"""`livesegments rebuild run|compare|switch|drop`: rows made anew from the log, and put in place of the live ones."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from consumer.clock import wall_micros
from consumer.rebuilding import EXACT, Comparison, RebuildError, interrupted
from consumer.rebuilding import compare as compare_rows
from consumer.rebuilding import switch as switch_over
from consumer.redis_images import RedisImages
from consumer.redis_state import RedisState
from contracts.keys import Keys
from livesegments.app import open_logs, open_redis
from livesegments.durations import Duration
from livesegments.flags import duration, with_settings
from livesegments.log_output import configure
from livesegments.offline import refuse_workers
from livesegments.parts import keys, log_names
from livesegments.signals import stop_signals
from livesegments.sources import Loaded
from logs.base import LogInfo, Logs

if TYPE_CHECKING:
    from redis import Redis

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Rows made anew from the log: run, compare, switch over."
)
SUFFIX: Final = ":rebuild"
"""Under the live prefix, so that who may write that may write this."""
SECOND: Final = Duration.parse("1s")

Into = Annotated[str | None, typer.Option("--into", help="The second prefix; by default PREFIX:rebuild.")]


@dataclass(frozen=True, slots=True)
class _Two:
    """The live rows and the rebuilt ones."""

    client: "Redis"
    logs: Logs
    log: LogInfo
    live: Keys
    new: Keys

    def compared(self) -> Comparison:
        client = self.client
        return compare_rows(RedisImages(client, self.live), RedisImages(client, self.new), self.log.partitions)


@contextmanager
def _opened(loaded: Loaded, into: str | None) -> Iterator[_Two]:
    settings = loaded.settings
    new = Keys(into or f"{settings.key_prefix}{SUFFIX}")
    if new == keys(settings):
        raise RebuildError(f"{new.prefix!r} is the live prefix: rebuild into another one")
    logs = open_logs(settings)
    try:
        log = logs.describe(log_names(settings).events)
        with open_redis(settings) as client:
            yield _Two(client, logs, log, keys(settings), new)
    finally:
        logs.close()


@app.command()
@with_settings
def run(
    loaded: Loaded,
    into: Into = None,
    until_idle: Annotated[
        Duration, typer.Option(parser=duration, metavar="DURATION", help="Stop when caught up for so long.")
    ] = SECOND,
) -> None:
    """Read the whole log into a second prefix, beside the workers. Run it again to catch up."""
    # Workers bring scipy: the other commands do not wait for it.
    from livesegments.rebuild_worker import rebuild_worker  # noqa: PLC0415

    if not loaded.settings.event_log_url.startswith("kafka:"):
        raise RebuildError(
            "a log in Redis holds only what no worker has taken in, so there is nothing to rebuild from: replay the"
            " tables that it came from under another --key-prefix and --log-prefix"
        )
    configure(loaded.settings)
    with _opened(loaded, into) as two:
        worker = rebuild_worker(two.client, two.logs, loaded.settings, two.new)
        with stop_signals(worker.stop):
            worker.run(until_idle=until_idle.seconds)
        typer.echo(f"{worker.figures.records:,} events read into {two.new.prefix!r}; `rebuild compare` compares")


@app.command()
@with_settings
def compare(
    loaded: Loaded,
    into: Into = None,
    as_document: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Say by column where rebuilt rows differ from the live ones, with examples."""
    with _opened(loaded, into) as two:
        found = two.compared()
    if as_document:
        typer.echo(json.dumps({**asdict(found), "exact": found.exact}, indent=2))
        return
    typer.echo(_summary(found))
    if found.different:
        table = Table("column", "customers", "examples: customer, live, rebuilt")
        for name, count in found.different.most_common():
            told = "; ".join(f"{who}: {live} → {new}" for who, live, new in found.examples[name])
            table.add_row(name, f"{count:,}", told)
        Console(highlight=False, markup=False).print(table)


@app.command()
@with_settings
def switch(
    loaded: Loaded,
    into: Into = None,
    accept: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--accept", help="Although exact columns differ, as `rebuild compare` shows.")
    ] = False,
) -> None:
    """Put the rebuilt rows in place of the live ones, while no worker works. Readers notice nothing."""
    with _opened(loaded, into) as two, Console(stderr=True).status("switching over"):
        live, new = RedisState(two.client, two.live), RedisState(two.client, two.new)
        refuse_workers(live, wall_micros())
        if not interrupted(new):
            found = two.compared()
            if found.behind:
                raise RebuildError(
                    f"live and rebuilt rows have not come equally far in partitions {found.behind}: let workers take in"
                    " everything and stop them, `rebuild run`, and switch over then"
                )
            if not found.exact and not accept:
                raise RebuildError(f"{_summary(found)}: `rebuild compare` shows them; --accept takes the rebuilt ones")
        images = RedisImages(two.client, two.live), RedisImages(two.client, two.new)
        customers = switch_over(live, images[0], new, images[1], two.log.partitions)
    typer.echo(f"{customers:,} rebuilt rows are live under {two.live.prefix!r}; start workers")


@app.command()
@with_settings
def drop(loaded: Loaded, into: Into = None) -> None:
    """Remove the rebuilt rows."""
    with _opened(loaded, into) as two:
        if interrupted(RedisState(two.client, two.new)):
            raise RebuildError("a switch-over was interrupted: `rebuild switch` ends it")
        RedisImages(two.client, two.new).forget(two.log.partitions)
    typer.echo(f"nothing is left under {two.new.prefix!r}")


def _summary(found: Comparison) -> str:
    exact = sorted(set(found.different) & set(EXACT))
    said = [f"{found.customers:,} customers compared"]
    if found.behind:
        said.append(f"partitions {', '.join(map(str, found.behind))} have not come equally far and were left out")
    if found.missing or found.extra:
        said.append(f"{found.missing:,} only live, {found.extra:,} only rebuilt")
    said.append(f"exact columns that differ: {', '.join(exact)}" if exact else "exact columns are equal")
    return ", ".join(said)
