"""`livesegments import FILE...`: a shop's own exports become events; what is unclear is asked, and kept."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from contracts.times import rfc3339
from livesegments.asking import ask
from livesegments.flags import with_settings
from livesegments.import_reports import Source
from livesegments.import_steps import check, keep, publish, read, too_late, without_rate
from livesegments.importing import Chosen, choose
from livesegments.screen import plain
from livesegments.settings import Settings
from livesegments.sources import Loaded
from livesegments.table_options import Columns, Constants, NoHeader, Sheet, TimeFormat
from producer.cli import event_progress
from producer.importing.reading import Import, Progress
from producer.importing.showing import show_examples, show_findings, show_totals
from producer.mapping import parse_assignments

app = typer.Typer(add_completion=False)
_SIGNS = {"point": ".", "comma": ","}


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
        read(chosen, settings, lambda told: status.update(_told(told))) as found,
    ):
        status.stop()
        summary = found.summary
        show_examples(found.examples, chosen.plan, console)
        show_totals(summary, chosen.plan, found.usual_gap, console)
        for told in without_rate(summary, settings):
            console.print(plain(told), style="yellow")
        for told in found.contradictions:
            console.print(plain(told), style="yellow")
        if (kept := keep(chosen, loaded)) is not None:
            typer.echo(plain(f"{kept} written"))
        if dry_run:
            command = shlex.join(["livesegments", "import", *map(str, files)])
            typer.echo(plain(f"{len(found):,} events would be published: {command}"))
            return
        check(found, settings, answers)
        if (late := too_late(summary, settings)) is not None:
            console.print(plain(late), style="yellow")
        if at_terminal and not yes and not typer.confirm(f"Publish {len(found):,} events?"):
            raise typer.Exit(1)
        source = Source(command="import", files=[path.name for path in files])
        _publish(found, source, settings, answers, console)


def _told(progress: Progress) -> str:
    return f"{plain(progress.doing)}: {progress.done:,}" + (f" of {progress.of:,}" if progress.of else " rows")


def _show_choice(chosen: Chosen, console: Console) -> None:
    if chosen.examination is not None:
        show_findings(chosen.examination.findings, console)
    else:
        console.print(f"as [imports.{chosen.name}] of the settings says", markup=False)


def _publish(found: Import, source: Source, settings: Settings, answers: Mapping[str, str], console: Console) -> None:
    with event_progress(console) as progress:
        task = progress.add_task("import", total=len(found), sent=0, at="")
        sent = publish(
            found,
            source,
            settings,
            answers,
            on_progress=lambda count, at: progress.update(task, completed=count, sent=count, at=rfc3339(at)[:10]),
            tell=typer.echo,
        )
    typer.echo(f"{sent:,} events published")
