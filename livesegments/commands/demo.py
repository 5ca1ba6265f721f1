"""`livesegments demo`: everything at once, on this machine alone."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.live import Live

from livesegments.demo.background import (
    ShopInBackground,
    WebhooksInBackground,
    WebInBackground,
    WorkerInBackground,
)
from livesegments.demo.drawing import as_line, draw, summary
from livesegments.demo.servers import Stage, set_stage
from livesegments.demo.watching import Snapshot, Watcher
from livesegments.durations import Duration
from livesegments.flags import duration, with_settings
from livesegments.log_output import configure
from livesegments.screen import plain
from livesegments.signals import stop_signals
from livesegments.sources import Loaded

app = typer.Typer(add_completion=False)
LOOKS_PER_SECOND: Final = 4
LINE_SECONDS: Final = 5.0
"""Between two lines where nobody watches live."""


@app.command()
@with_settings
def demo(
    loaded: Loaded,
    *,
    until: Annotated[
        Duration | None, typer.Option("--for", parser=duration, metavar="DURATION", help="End by itself after so long.")
    ] = None,
    redis: Annotated[str | None, typer.Option(metavar="URL", help="A Redis to use instead of a private one.")] = None,
    log: Annotated[str | None, typer.Option(metavar="URL", help="An event log instead of Redis Streams.")] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the private Redis' data here, to go on another time.")
    ] = None,
    customers: Annotated[int, typer.Option(min=50, help="Of the synthetic shop.")] = 1000,
    rate: Annotated[float, typer.Option(min=0.1, help="Live events a second.")] = 40.0,
) -> None:
    """Watch a synthetic shop's customers being segmented, live; needs nothing but Python."""
    settings = loaded.settings
    # Lines of a log would tear the screen.
    quiet = settings.log_level if "log_level" in loaded.origins else "error"
    configure(settings.model_copy(update={"log_level": quiet}))
    stopping = threading.Event()
    console = Console(highlight=False)
    with stop_signals(stopping.set), set_stage(settings, redis, log, keep) as stage:
        telling = WebhooksInBackground(stage, stopping)
        web = WebInBackground(stage, stopping)
        stage = replace(stage, about=f"{stage.about}; open {web.address}")  # noqa: PLW2901 - the same stage
        working = WorkerInBackground(stage, stopping)
        shop = ShopInBackground(stage, stopping, customers=customers, rate=rate)
        try:
            seen = _watch(stage, working, stopping, console, until.seconds if until is not None else None)
        finally:
            stopping.set()
            shop.join()
            working.join()
            web.join()
            telling.join()
    console.print(summary(seen, stage))


def _watch(
    stage: Stage, working: WorkerInBackground, stopping: threading.Event, console: Console, seconds: float | None
) -> Snapshot:
    """Look until told to stop, or for so many seconds; returns the last look."""
    with stage.open() as deployment:
        watcher = Watcher(deployment)
        end = time.monotonic() + seconds if seconds is not None else None
        seen = Snapshot()
        try:
            if console.is_terminal:
                with Live(console=console, refresh_per_second=LOOKS_PER_SECOND, screen=False) as live:
                    seen = _look(watcher, working, stopping, end, lambda look: live.update(draw(look, stage)))
            else:
                console.print(f"livesegments demo on {plain(stage.about)}")
                seen = _look(watcher, working, stopping, end, _Lines(console))
        finally:
            watcher.close()
        return seen


class _Lines:
    """A plain line every few seconds, and as soon as there are segments."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0
        self._had_segments = False

    def __call__(self, seen: Snapshot) -> None:
        news = seen.first_segments_after is not None and not self._had_segments
        if seen.seconds >= self._next or news:
            self._console.print(plain(as_line(seen)), soft_wrap=True, markup=False)
            self._next = seen.seconds + LINE_SECONDS
            self._had_segments = seen.first_segments_after is not None


def _look(
    watcher: Watcher,
    working: WorkerInBackground,
    stopping: threading.Event,
    end: float | None,
    show: Callable[[Snapshot], object],
) -> Snapshot:
    while True:
        seen = watcher.look(working)
        show(seen)
        if end is not None and time.monotonic() >= end:
            return seen
        if stopping.wait(1 / LOOKS_PER_SECOND):
            return seen
