"""`livesegments watch`: a live table of segments, speed, lag and freshness, from what workers say in Redis."""

import threading
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
import typer
from rich import box
from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from consumer.clock import wall_micros
from consumer.redis_state import RedisState
from consumer.state import StateUnavailableError
from livesegments.app import open_redis
from livesegments.durations import Duration
from livesegments.flags import duration, with_settings
from livesegments.parts import keys
from livesegments.screen import literal
from livesegments.segment_tables import name_of
from livesegments.signals import stop_signals
from livesegments.sources import Loaded
from livesegments.watching import Observation, Watch, WatchedWorker
from recommender.reader import CustomerReader
from recommender.store import RedisViews, ViewsUnavailableError

app = typer.Typer(add_completion=False)
_BAR: Final = 24
"""Most cells of the bar that shows a size."""
_NAME: Final = 30
"""Cells that a segment's name gets before the bars do."""
_AWAY: Final = (StateUnavailableError, ViewsUnavailableError)


@app.command()
@with_settings
def watch(
    loaded: Loaded,
    *,
    every: Annotated[
        Duration, typer.Option(parser=duration, metavar="DURATION", help="Between two looks, such as 5s.")
    ] = Duration.parse("1s"),  # noqa: B008 - a constant
    once: Annotated[bool, typer.Option("--once", help="One table, and end.")] = False,
    as_document: Annotated[bool, typer.Option("--json", help="A JSON object a line for every look.")] = False,
) -> None:
    """Watch segments change: sizes, events per second, lag, freshness, moves by cause. Ends with Ctrl-C."""
    settings = loaded.settings
    client = open_redis(settings)
    watching = Watch(RedisState(client, keys(settings)), CustomerReader(RedisViews(client), prefix=settings.key_prefix))
    stopping = threading.Event()
    try:
        first = watching.look(wall_micros())
        if once and not as_document:
            Console(highlight=False).print(_screen(first))
            return
        with stop_signals(stopping.set):
            follow = _print_lines if as_document else _show
            follow(watching, first, stopping, None if once else every.seconds)
    finally:
        client.close()


def _print_lines(watching: Watch, first: Observation, stopping: threading.Event, interval: float | None) -> None:
    typer.echo(msgspec.json.encode(first))
    while interval is not None and not stopping.wait(interval):
        try:
            typer.echo(msgspec.json.encode(watching.look(wall_micros())))
        except _AWAY:
            continue  # whoever reads sees that a line is missing by its time


def _show(watching: Watch, first: Observation, stopping: threading.Event, interval: float | None) -> None:
    with Live(_screen(first), console=Console(highlight=False), auto_refresh=False) as live:
        while interval is not None and not stopping.wait(interval):
            try:
                live.update(_screen(watching.look(wall_micros())), refresh=True)
            except _AWAY as error:
                live.update(Text(f"{error}; trying again", style="yellow"), refresh=True)


def _screen(seen: Observation) -> Group:
    parts: list[RenderableType] = [_head(seen)]
    if seen.segments:
        parts.append(_segments(seen))
    else:
        parts.append(Text("there are no segments yet: they need a worker, and customers who bought"))
    if seen.seconds:
        parts.append(_moves(seen))
    if seen.workers:
        parts.append(_workers(seen.workers))
    return Group(*parts)


def _head(seen: Observation) -> Text:
    facts = [f"{seen.customers:,} customers"]
    if seen.model_version is not None:
        facts.append(f"model version {seen.model_version}, as of {seen.as_of}")
    head = Text("  ".join(facts), style="bold")
    if seen.events_per_s is None:
        return head.append("\nno worker is at work: `livesegments worker` starts one", style="yellow")
    lag = "unknown" if seen.lag is None else f"{seen.lag:,}"
    head.append(f"\n{seen.events_per_s:,.0f} events/s", style="not bold green")
    head.append(f"   lag {lag}   oldest view to rewrite {_seconds(seen.oldest_dirty_view_s)}", style="not bold")
    return head


def _segments(seen: Observation) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    names = [name_of(one) for one in seen.segments]
    table.add_column("segment", min_width=min(_NAME, max(map(len, names))))
    for title in ("customers", "share"):
        table.add_column(title, justify="right")
    table.add_column(max_width=_BAR)
    for title in ("± minute", "± start") if seen.seconds else ():
        table.add_column(title, justify="right")
    widest = max(one.size for one in seen.segments)
    for one, name in zip(seen.segments, names, strict=True):
        changes = (_change(one.last_minute), _change(one.since_start)) if seen.seconds else ()
        bar = Bar(max(widest, 1), 0, one.size, color="cyan")
        table.add_row(name, f"{one.size:,}", f"{one.share:.1%}", bar, *changes)
    return table


def _change(customers: int) -> Text:
    style = "green" if customers > 0 else "red" if customers < 0 else "dim"
    return Text(f"{customers:+,}" if customers else "0", style=style)


def _moves(seen: Observation) -> Text:
    if not seen.moves:
        return Text("nobody has moved since the start of this watch", style="dim")
    said = ", ".join(f"{count:,} by {cause}" for cause, count in seen.moves.items())
    return Text.assemble(f"{sum(seen.moves.values()):,} moves since the start: ", literal(said))


def _workers(workers: Sequence[WatchedWorker]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, style="dim")
    table.add_column("worker")
    for title in ("events/s", "lag", "partitions", "customers", "oldest view", "last word"):
        table.add_column(title, justify="right")
    for one in workers:
        if one.gone:
            table.add_row(literal(one.worker), *[""] * 5, Text(f"gone since {one.at[11:19]}", style="red"))
            continue
        lag = "?" if one.lag is None else f"{one.lag:,}"
        figures = (f"{one.events_per_s:,.0f}", lag, f"{one.partitions:,}", f"{one.customers:,}")
        table.add_row(literal(one.worker), *figures, _seconds(one.oldest_dirty_view_s), one.at[11:19])
    return table


def _seconds(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds:,.1f} s"
