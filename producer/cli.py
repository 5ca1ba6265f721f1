"""What `livesegments replay` and `livesegments simulate` run: progress while events go out, totals at the end."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, tzinfo
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from contracts.keys import LogNames
from contracts.money import MILLIONTHS
from contracts.times import DAY, rfc3339
from logs.base import Logs, LogSpec
from producer.mapping import MappingRequest
from producer.pacing import Timer, at_rate, at_speed
from producer.replay import Replay, read_events
from producer.sending import send
from producer.shop import Shop, ShopSettings
from producer.summary import ReplaySummary

_SHOWN = 10


class RateColumn(ProgressColumn):
    """Events per second since the start."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        seconds = task.finished_time or task.elapsed
        rate = task.fields["sent"] / seconds if seconds else 0.0
        return Text(f"{rate:,.0f}/s", style="progress.data.speed")


def run_replay(
    path: Path,
    logs: Logs,
    *,
    now: int,
    request: MappingRequest | None = None,
    zone: tzinfo = UTC,
    since: int | None = None,
    speed: float | None = None,
    log: str = LogNames().events,
    partitions: int = 12,
    console: Console | None = None,
    on_read: Callable[[Replay], None] | None = None,
    around: Callable[[Replay], AbstractContextManager[Callable[[int], None]]] | None = None,
) -> ReplaySummary:
    """Replay a table onto a log, which is created where it is missing.

    Args:
        path: CSV, TSV (also compressed), Parquet or XLSX.
        logs: Stays open.
        now: Microseconds UTC; see read_events, likewise request, zone and since.
        request: What the columns are, where the table is not a known one.
        zone: Of times that name none.
        since: Microseconds UTC of the first event wanted.
        speed: Seconds of event time per second; None for as fast as possible. See parse_speed.
        log: The log's name.
        partitions: How many the log gets if it has to be created.
        console: Where progress and summary are shown; the terminal by default.
        on_read: Called with what was read, before the first event goes out.
        around: Entered while events go out; gives what is told how many did.

    Raises TableError, MappingError, ColumnError, LogError, PublishError.
    """
    console = console or Console()
    with console.status(f"reading {path.name}"):
        table = read_events(path, request, now=now, zone=zone, since=since)
    logs.create(LogSpec(log, partitions=partitions))
    if on_read is not None:
        on_read(table)
    messages = at_speed(table, speed, Timer())
    with (
        around(table) if around is not None else nullcontext() as report,
        closing(logs.writer()) as writer,
        event_progress(console) as progress,
    ):
        task = progress.add_task("replay", total=len(table), sent=0, at="")

        def on_sent(count: int, at: int) -> None:
            if report is not None:
                report(count)
            progress.update(task, completed=count, sent=count, at=rfc3339(at)[:10])

        send(messages, writer, log=log, on_progress=on_sent)
    _show_replay(table, console)
    return table.summary


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulated shop published."""

    history: int
    live: int


def run_simulate(
    logs: Logs,
    settings: ShopSettings,
    *,
    clock: Callable[[], int],
    rate: float | None = 20.0,
    events: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    log: str = LogNames().events,
    partitions: int = 12,
    console: Console | None = None,
) -> Simulated:
    """Publish a synthetic shop's history as fast as possible, then its present at a rate, until told to stop.

    Args:
        logs: Stays open.
        settings: The shop; history ends at its `now`.
        clock: Microseconds UTC; stamps live events.
        rate: Live events a second; None for as fast as possible.
        events: How many to publish in all, history included; None for no end.
        stop: Asked several times a second; an interrupt from the keyboard stops likewise.
        log: The log's name.
        partitions: How many the log gets if it has to be created.
        console: Where progress and summary are shown; the terminal by default.

    Raises SpeedError, LogError, PublishError.
    """
    console = console or Console()
    shop = Shop(settings)
    start = settings.now - settings.history_days * DAY
    timer = Timer(stop)
    logs.create(LogSpec(log, partitions=partitions))
    sent = {"history": 0, "live": 0}
    with closing(logs.writer()) as writer, event_progress(console) as progress, suppress(KeyboardInterrupt):
        past = progress.add_task("history", total=settings.now - start, sent=0, at="")

        def show_history(count: int, at: int) -> None:
            sent["history"] = count
            progress.update(past, completed=at - start, sent=count, at=rfc3339(at)[:10])

        history = at_rate(islice(shop.history(), events), None, timer)
        send(history, writer, log=log, on_progress=show_history)
        progress.update(past, completed=settings.now - start)
        if not stop() and (events is None or sent["history"] < events):
            left = None if events is None else events - sent["history"]
            present = progress.add_task("live", total=left, sent=0, at="")

            def show_live(count: int, at: int) -> None:
                sent["live"] = count
                progress.update(present, completed=count, sent=count, at=rfc3339(at)[11:19])

            send(at_rate(islice(shop.live(clock), left), rate, timer), writer, log=log, on_progress=show_live)
    done = Simulated(**sent)
    console.print(
        f"[bold]{done.history + done.live:,} events published[/bold]: {done.history:,} past, {done.live:,} live"
    )
    return done


def event_progress(console: Console) -> Progress:
    """What is shown while events go out; tasks have the fields `sent` and `at`."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[sent]:,} events"),
        RateColumn(),
        TextColumn("{task.fields[at]}"),
        TimeRemainingColumn(),
        console=console,
    )


def _show_replay(table: Replay, console: Console) -> None:
    summary = table.summary
    known = f" ({summary.preset})" if summary.preset else ""
    console.print(f"[bold]{summary.events:,} events of {summary.customers:,} customers[/bold]{known}")
    if summary.first_at is not None and summary.last_at is not None:
        console.print(f"from {rfc3339(summary.first_at)} to {rfc3339(summary.last_at)}")
    if summary.months:
        console.print(months_table(summary))
    if summary.profiles:
        names = [name for name in table.mapping.columns if name not in {"customer_id", "occurred_at"}]
        console.print(f"{summary.profiles:,} profiles with {', '.join(names)}", highlight=False)
    if table.mapping.kind == "orders":
        console.print(f"{summary.rows:,} rows read, {summary.lines:,} used")
    for reason, count in sorted(summary.skipped.items(), key=lambda item: -item[1]):
        guests = f" ({summary.guests:,} orders of guests)" if reason == "no customer" and summary.guests else ""
        console.print(f"{count:,} skipped: {reason}{guests}")
    if summary.before_since:
        console.print(f"{summary.before_since:,} events left out: before --since")
    for refusal in summary.not_sent[:_SHOWN]:
        console.print(f"[yellow]not sent: {refusal.event_id}[/yellow]: {refusal.reason}")
    if summary.refused > _SHOWN:
        console.print(f"[yellow]and {summary.refused - _SHOWN:,} more not sent[/yellow]")


def months_table(summary: ReplaySummary) -> Table:
    """Orders, returns and money by month, with their totals."""
    table = Table(show_footer=True)
    table.add_column("month", footer="total")
    table.add_column("orders", footer=f"{summary.orders:,}", justify="right")
    table.add_column("returns", footer=f"{summary.returns:,}", justify="right")
    for currency in summary.currencies:
        table.add_column(f"revenue {currency}", footer=money_text(summary.spend(currency)), justify="right")
        table.add_column(f"refunds {currency}", footer=money_text(summary.refunds(currency)), justify="right")
    for row in month_rows(summary):
        table.add_row(*row)
    return table


def month_rows(summary: ReplaySummary) -> Iterator[tuple[str, ...]]:
    """By month: its name, orders, returns, and of each currency revenue and refunds."""
    for name in sorted({month.month for month in summary.months}):
        parts = {month.currency: month for month in summary.months if month.month == name}
        money: list[str] = []
        for currency in summary.currencies:
            part = parts.get(currency)
            money += [money_text(part.spend if part else 0), money_text(part.refunds if part else 0)]
        orders = sum(part.orders for part in parts.values())
        returns = sum(part.returns for part in parts.values())
        yield name, f"{orders:,}", f"{returns:,}", *money


def money_text(millionths: int) -> str:
    """An amount in whole currency units."""
    return f"{millionths / MILLIONTHS:,.2f}"
