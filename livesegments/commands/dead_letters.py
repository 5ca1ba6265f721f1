"""`livesegments dead-letters …`: look at the events that could not be used, replay them, or drop them."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from consumer.clock import wall_micros
from consumer.dead_letter_log import Letter, LetterId
from contracts.errors import LivesegmentsError
from contracts.times import rfc3339
from livesegments.app import create_logs, open_deployment
from livesegments.bytes_text import readable
from livesegments.dead_letters import DeadLetters, Selection, Settled, Verdict, summary
from livesegments.durations import Duration
from livesegments.flags import duration, with_settings
from livesegments.screen import literal, plain
from livesegments.sources import Loaded

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Events that could not be used, and why.")

Reasons = Annotated[str | None, typer.Option("--reason", help="Only of this reason.")]
Partition = Annotated[
    int | None, typer.Option("--partition", help="Only from this partition of the events log.", min=0)
]
Since = Annotated[
    Duration | None,
    typer.Option("--since", parser=duration, metavar="DURATION", help="Only what came in so long, up to now: 2h."),
]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids, as `list` shows them.", metavar="[LETTER…]")]
Everything = Annotated[bool, typer.Option("--all", help="All that are open.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


class NothingChosenError(LivesegmentsError):
    """Nothing says which letters are meant."""


@app.command("list")
@with_settings
def list_letters(
    loaded: Loaded,
    *,
    reason: Reasons = None,
    partition: Partition = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(help="Show so many of the newest.", min=0, max=10_000)] = 10,
    settled: Annotated[bool, typer.Option("--settled", help="Show also those that are dealt with.")] = False,
    as_document: Json = False,
) -> None:
    """Count dead letters by reason, and show the newest that are open."""
    meant = _selection((), reason, partition, since)
    with open_deployment(loaded.settings) as deployment:
        create_logs(loaded.settings, deployment.logs)
        found = DeadLetters(deployment).overview(meant, limit, settled=settled)
    if as_document:
        typer.echo(json.dumps(found.as_json(), indent=2))
        return
    console = Console(highlight=False)
    if not found.counts:
        console.print("no dead letters")
        return
    table = Table("reason", box=None, pad_edge=False)
    for title in ("open", "replayed", "dropped", "newest"):
        table.add_column(title, justify="right")
    for name, fates in sorted(found.counts.items(), key=lambda one: -one[1]["open"]):
        numbers = (f"{fates['open']:,}", f"{fates['replayed']:,}", f"{fates['dropped']:,}")
        table.add_row(literal(name, "bold"), *numbers, rfc3339(found.newest_at[name] // 1_000_000 * 1_000_000))
    console.print(table)
    if found.examples:
        console.print("\nthe newest:", style="dim")
        console.print(_examples(list(found.examples)))


@app.command()
@with_settings
def show(
    loaded: Loaded,
    letter: Annotated[str, typer.Argument(help="The letter's id, as `list` shows it.", metavar="LETTER")],
    as_document: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Show one dead letter: why, where it stood, its bytes, and what the contract says of them today."""
    wanted = LetterId.parse(letter)
    with open_deployment(loaded.settings) as deployment:
        create_logs(loaded.settings, deployment.logs)
        letters = DeadLetters(deployment)
        found = letters.find(wanted)
        verdict = letters.judge(found, wall_micros())
    if as_document:
        typer.echo(json.dumps(_as_json(found, verdict), indent=2))
        return
    content = found.content
    typer.echo(f"{found.id}: {plain(content.reason)}: {plain(content.message)}")
    typer.echo(f"dead since {rfc3339(found.log_time)}, {found.fate}")
    typer.echo(f"from {plain(content.log)}, partition {content.partition}, position {content.offset}")
    typer.echo(f"today: {_said(verdict)}")
    typer.echo(f"\n{readable(content.bytes)}")


@app.command()
@with_settings
def replay(
    loaded: Loaded,
    *,
    letters: Ids = None,
    everything: Everything = False,
    reason: Reasons = None,
    partition: Partition = None,
    since: Since = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Publish nothing: say what would become of them.")] = False,
) -> None:
    """Publish open dead letters again, unchanged. Those that still can not be used stay, and make the exit status 1."""
    meant = _chosen(letters or (), reason, partition, since, everything=everything)
    with open_deployment(loaded.settings) as deployment:
        create_logs(loaded.settings, deployment.logs)
        done = DeadLetters(deployment).replay(meant, wall_micros(), dry_run=dry_run)
    typer.echo(f"{done.done:,} {'would be' if dry_run else 'were'} published again")
    _tell_rest(done)
    if done.refused:
        raise typer.Exit(1)


@app.command()
@with_settings
def drop(
    loaded: Loaded,
    *,
    letters: Ids = None,
    everything: Everything = False,
    reason: Reasons = None,
    partition: Partition = None,
    since: Since = None,
) -> None:
    """Mark open dead letters as dealt with. Their bytes go when the log lets go of them."""
    meant = _chosen(letters or (), reason, partition, since, everything=everything)
    with open_deployment(loaded.settings) as deployment:
        create_logs(loaded.settings, deployment.logs)
        done = DeadLetters(deployment).drop(meant, wall_micros())
    typer.echo(f"{done.done:,} were dropped")
    _tell_rest(done)


def _selection(ids: Sequence[str], reason: str | None, partition: int | None, since: Duration | None) -> Selection:
    return Selection(
        ids={LetterId.parse(one) for one in ids},
        reason=reason,
        partition=partition,
        since=None if since is None else wall_micros() - since,
    )


def _chosen(
    ids: Sequence[str], reason: str | None, partition: int | None, since: Duration | None, *, everything: bool
) -> Selection:
    """What is meant, where something is: a forgotten argument is not to mean everything."""
    if not everything and not ids and reason is None and partition is None and since is None:
        raise NothingChosenError("say which: ids, --reason, --partition, --since, or --all")
    return _selection(ids, reason, partition, since)


def _examples(letters: Sequence[Letter]) -> Table:
    table = Table("letter", "reason", "from", "message", box=None, pad_edge=False)
    for one in reversed(letters):
        fate = "" if one.fate == "open" else f" ({one.fate})"
        where = f"partition {one.content.partition}"
        table.add_row(str(one.id) + fate, literal(one.content.reason), where, literal(one.content.message[:200]))
    return table


def _said(verdict: Verdict) -> str:
    if verdict.customer_id is None:
        return f"still {verdict.reason}: {plain(verdict.message)}"
    return f"{plain(verdict.message)}, customer {plain(verdict.customer_id)}: it can be replayed"


def _as_json(letter: Letter, verdict: Verdict) -> dict[str, Any]:
    today = {"reason": verdict.reason, "message": verdict.message, "customer_id": verdict.customer_id}
    return {**summary(letter), "text": readable(letter.content.bytes), "today": today}


def _tell_rest(done: Settled) -> None:
    if done.dealt_with:
        typer.echo(f"{done.dealt_with:,} were replayed or dropped before")
    for name, number in done.refused.most_common():
        typer.echo(f"{number:,} still can not be used: {plain(name)}")
    for one, verdict in done.examples:
        typer.echo(f"  {one}: {plain(verdict.message)}")
