"""`livesegments import FILE...`: a shop's own exports become events; what is unclear is asked, and kept."""

import shlex
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from consumer.clock import wall_micros
from consumer.currency import UnknownCurrencyError
from contracts.errors import LivesegmentsError
from contracts.times import rfc3339
from livesegments.app import open_deployment, open_logs
from livesegments.asking import ask
from livesegments.catalogue_feeding import feed_catalogue
from livesegments.flags import with_settings
from livesegments.import_entry import entry_place, write_entry
from livesegments.importing import Chosen, choose
from livesegments.parts import log_names, pseudonyms, rates
from livesegments.records import count_partitions, newest_time
from livesegments.screen import plain
from livesegments.settings import Settings
from livesegments.sources import FILE, Loaded
from livesegments.table_options import Columns, Constants, NoHeader, Sheet, TimeFormat
from logs.base import LogSpec
from producer.cli import event_progress
from producer.importing.reading import Import, Progress
from producer.importing.showing import show_examples, show_findings, show_totals
from producer.mapping import parse_assignments
from producer.sending import send
from producer.summary import ReplaySummary

app = typer.Typer(add_completion=False)
_SIGNS = {"point": ".", "comma": ","}


class RateError(LivesegmentsError):
    """There are orders in a currency that the deployment can not count; the text says what to do."""


class ContradictionError(LivesegmentsError):
    """Dates or numbers of the files are not all written in one way; the text says what to do."""


@app.command()
@with_settings
def import_tables(
    loaded: Loaded,
    *,
    files: Annotated[
        list[Path],
        typer.Argument(help="CSV of any kind (also .gz, .bz2, .xz, .zip, .zst), JSONL, Parquet or XLSX: one or more."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Publish nothing: show what is understood, and keep it in the settings.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Of the import in the settings; the file's otherwise.")
    ] = None,
    columns: Columns = None,
    constants: Constants = None,
    customer_from: Annotated[
        Literal["id", "email", "nobody"] | None,
        typer.Option(
            help="Who is a customer: a column of ids, or of e-mail addresses, of which a salted hash is made."
        ),
    ] = None,
    guests: Annotated[
        Literal["count", "leave-out"] | None,
        typer.Option(help="Orders of nobody known: count them for what is recommended (default), or leave them out."),
    ] = None,
    decimal: Annotated[
        Literal["point", "comma"] | None, typer.Option(help="Before decimals; found out otherwise.")
    ] = None,
    time_format: TimeFormat = None,
    cancelled: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Orders whose id begins so are returns; empty for none.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of text files, such as cp1252; found out otherwise.")
    ] = None,
    separator: Annotated[
        str | None, typer.Option(metavar="SIGN", help="Between columns of text files; found out otherwise.")
    ] = None,
    sheet: Sheet = None,
    no_header: NoHeader = False,
    yes: Annotated[bool, typer.Option("--yes", help="Publish without asking whether the totals are right.")] = False,
) -> None:
    """Publish a shop's own exports as events; what is unclear is asked. Doing it twice changes nothing."""
    settings = loaded.settings
    console = Console(highlight=False)
    said = {
        **{f"map.{field}": column for field, column in parse_assignments(columns or (), "--map").items()},
        **{f"set.{field}": value for field, value in parse_assignments(constants or (), "--set").items()},
        "customer_from": customer_from,
        "guests": guests,
        "decimal": _SIGNS.get(decimal or ""),
        "time_format": time_format,
        "cancelled": cancelled,
        "encoding": encoding,
        "separator": {"tab": "\t", "\\t": "\t"}.get(separator or "", separator),
        "sheet": sheet,
        "header": "no" if no_header else None,
        "zone": settings.zone if loaded.origins.get("zone", "").startswith("flag") else None,
    }
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    answers = {key: value for key, value in said.items() if value is not None}
    with console.status("looking at the files"):
        chosen = None if at_terminal else choose(files, loaded, answers, name)
    chosen = chosen or choose(files, loaded, answers, name, ask)
    _show_choice(chosen, console)
    with (
        console.status("reading") as status,
        _opened(chosen, settings, lambda told: status.update(_told(told))) as found,
    ):
        status.stop()
        summary = found.summary
        show_examples(found.examples, chosen.plan, console)
        show_totals(summary, chosen.plan, found.usual_gap, console)
        without_rate = _without_rate(summary, settings)
        for told in without_rate:
            console.print(plain(told), style="yellow")
        for told in found.contradictions:
            console.print(plain(told), style="yellow")
        _keep(chosen, loaded)
        if dry_run:
            command = shlex.join(["livesegments", "import", *map(str, files)])
            typer.echo(plain(f"{len(found):,} events would be published: {command}"))
            return
        if without_rate:
            raise RateError("nothing is published: orders in a currency without a rate would all be dead letters")
        if found.contradictions and not {"time_format", "decimal"} & answers.keys():
            raise ContradictionError(
                "nothing is published: some may have been read as other days or amounts; say --time-format or --decimal"
                " to leave out what is written otherwise, or import files that are written alike"
            )
        if (late := _too_late(summary, settings)) is not None:
            console.print(plain(late), style="yellow")
        if at_terminal and not yes and not typer.confirm(f"Publish {len(found):,} events?"):
            raise typer.Exit(1)
        _publish(found, settings, console)


def _keep(chosen: Chosen, loaded: Loaded) -> None:
    """Write the plan into the settings file, unless the settings have it."""
    table = chosen.plan.as_table()
    there = loaded.settings.imports.get(chosen.name)
    if chosen.examination is None and there is not None and there.get("salt_check") == table.get("salt_check"):
        return
    path = loaded.file or Path(FILE)
    if write_entry(path, chosen.name, table, loaded.shop):
        typer.echo(plain(f"{path}: [{entry_place(chosen.name, loaded.shop)}] written"))


def _opened(chosen: Chosen, settings: Settings, progress: Callable[[Progress], None]) -> Import:
    return Import(
        chosen.plan,
        chosen.lines,
        chosen.orders,
        now=wall_micros(),
        pseudonyms=pseudonyms(settings),
        progress=progress,
    )


def _told(progress: Progress) -> str:
    return f"{plain(progress.doing)}: {progress.done:,}" + (f" of {progress.of:,}" if progress.of else " rows")


def _show_choice(chosen: Chosen, console: Console) -> None:
    if chosen.examination is not None:
        show_findings(chosen.examination.findings, console)
    else:
        console.print(f"as [imports.{chosen.name}] of the settings says", markup=False)


def _without_rate(summary: ReplaySummary, settings: Settings) -> list[str]:
    """What can not be counted by lack of a rate, as of the first day of each currency."""
    known = rates(settings)
    told = []
    for currency in summary.currencies:
        if currency == settings.currency:
            continue
        try:
            known.rate(currency, summary.first_at or 0)
        except UnknownCurrencyError as error:
            day = rfc3339(summary.first_at or 0)[:10]
            told.append(
                f'{error}, as rates.{currency} = {{"{day}" = "0.86"}}; or, if the shop counts in {currency}, set'
                f' currency = "{currency}"'
            )
    return told


def _too_late(summary: ReplaySummary, settings: Settings) -> str | None:
    """What is to be known where customers have newer events already; nothing where the state does not answer."""
    try:
        with open_deployment(settings) as deployment:
            newest = newest_time(deployment.state, count_partitions(deployment.state) or 0)
    except LivesegmentsError:
        return None
    from_here = newest - int(settings.allowed_lateness)
    if summary.first_at is None or summary.first_at >= from_here:
        return None
    return (
        f"there are events up to {rfc3339(newest)[:10]} already: of whoever has newer ones, what is older by more than"
        f" allowed_lateness, from before {rfc3339(from_here)[:10]}, does not count unless it did before"
    )


def _publish(found: Import, settings: Settings, console: Console) -> None:
    logs = open_logs(settings)
    try:
        feed_catalogue(found.items, logs, settings)
        log = log_names(settings).events
        logs.create(LogSpec(log, partitions=settings.partitions))
        with closing(logs.writer()) as writer, event_progress(console) as progress:
            task = progress.add_task("import", total=len(found), sent=0, at="")
            sent = send(
                found.messages(),
                writer,
                log=log,
                on_progress=lambda count, at: progress.update(task, completed=count, sent=count, at=rfc3339(at)[:10]),
            )
    finally:
        logs.close()
    typer.echo(f"{sent:,} events published")
