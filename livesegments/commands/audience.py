"""`livesegments audience …`: keep an audience in step elsewhere, and find who is like its members."""

import contextlib
import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.table import Table

from contracts.errors import LivesegmentsError
from contracts.redaction import without_password
from contracts.times import rfc3339
from livesegments.flags import with_settings
from livesegments.parts import syncs
from livesegments.screen import literal, plain
from livesegments.settings import Settings
from livesegments.sources import Loaded

if TYPE_CHECKING:
    from livesegments.audience_sync.syncing import Synced
    from livesegments.audience_sync.syncs import Sync

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Keep an audience in step elsewhere; find who is like it (docs/audiences.md).",
)
_log = structlog.get_logger("livesegments.audience_sync")

Name = Annotated[str, typer.Argument(help="Of the audience in the settings.", metavar="NAME")]
Restart = Annotated[
    bool, typer.Option("--restart", help="Forget what was told and what is due; begin anew with a full list.")
]


class NoSyncsError(LivesegmentsError):
    """The settings name no sync, or not this one."""


class ColumnError(LivesegmentsError):
    """A column that is none."""


class NotAllSyncedError(LivesegmentsError):
    """Some syncs failed; each has said why."""


@app.command()
@with_settings
def sync(
    loaded: Loaded,
    *,
    name: Name,
    to: Annotated[list[str], typer.Option("--to", help="A folder, or a URL; may be given several times.")],
    preset: Annotated[str, typer.Option(help="generic, mailchimp, klaviyo or brevo.")] = "generic",
    contact: Annotated[
        str | None, typer.Option(help="By what the receiver knows a customer: customer_id or attributes.NAME.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help='"Header=source", in place of the preset\'s; may be given several times.')
    ] = None,
    secret: Annotated[list[str] | None, typer.Option(help="For URLs: env:VARIABLE or file:PATH.")] = None,
    rows: Annotated[int | None, typer.Option(help="Of a request to a URL; 500 unless given.")] = None,
    consent: Annotated[
        bool,
        typer.Option(
            "--consent/--no-consent", help="Leave out who has not agreed to be written to, or hand on everybody."
        ),
    ] = True,
    full: Annotated[bool, typer.Option("--full", help="Hand on everybody, not the difference.")] = False,
    restart: Restart = False,
) -> None:
    """Hand an audience on: at first everybody, from then on who entered and who left. Nothing is told twice."""
    from livesegments.app import open_deployment  # noqa: PLC0415 - `--help` is not to wait for it
    from livesegments.audience_sync.opening import run_sync  # noqa: PLC0415
    from livesegments.audience_sync.syncs import read_sync  # noqa: PLC0415

    settings = loaded.settings
    asked: dict[str, Any] = {"audience": name, "preset": preset, "consent": consent}
    asked |= {} if contact is None else {"contact": contact}
    asked |= {} if column is None else {"columns": dict(_column(one) for one in column)}
    asked |= {} if rows is None else {"rows": rows}
    chosen = [
        read_sync(
            name,
            {**asked, "to": one, **({"secrets": secret} if secret and "://" in one else {})},
            plain_http=settings.webhook_plain_http,
            place="audience sync",
        )
        for one in to
    ]
    failures = []
    with open_deployment(settings) as deployment:
        for one in chosen:
            try:
                done = run_sync(one, deployment, full=full, restart=restart)
            except LivesegmentsError as error:
                failures.append(str(error))
                continue
            _say(one, done)
    if failures:
        raise NotAllSyncedError("\n".join(failures))


@app.command("sync-run")
@with_settings
def sync_run(
    loaded: Loaded,
    *,
    names: Annotated[list[str] | None, typer.Argument(help="Only these.", metavar="[SYNC…]")] = None,
    once: Annotated[bool, typer.Option("--once", help="Do each once, due or not, and end.")] = False,
) -> None:
    """Do the syncs of the settings (`audience_syncs`), each when it is due, until told to stop. One process."""
    from livesegments.app import open_deployment  # noqa: PLC0415
    from livesegments.audience_sync.ledger import LedgerBusyError  # noqa: PLC0415
    from livesegments.audience_sync.opening import open_ledger_of, run_sync  # noqa: PLC0415
    from livesegments.audience_sync.running import Schedule, run_until  # noqa: PLC0415
    from livesegments.log_output import configure  # noqa: PLC0415
    from livesegments.monitoring.audience_syncs import syncs_monitored  # noqa: PLC0415
    from livesegments.signals import stop_signals  # noqa: PLC0415
    from livesegments.webhooks.signing import secret_texts  # noqa: PLC0415

    settings = loaded.settings
    chosen = _chosen(settings, names)
    endpoints = [one.to for one in chosen.values() if not isinstance(one.to, Path)]
    paths = [part for one in endpoints if (part := one.url.removeprefix(one.shown_url)) not in {"", "/"}]
    configure(settings, also=[*(text for one in endpoints for text in secret_texts(one, "audience_syncs")), *paths])
    last: dict[str, int | None] = dict.fromkeys(chosen)
    if not once:
        for key, one in chosen.items():
            # Whoever does it now ends it; it is due again soon enough.
            with contextlib.suppress(LedgerBusyError), open_ledger_of(one, settings) as ledger:
                last[key] = ledger.synced_at
    stopping = threading.Event()
    with open_deployment(settings) as deployment, stop_signals(stopping.set):
        _log.info(
            "audience syncs start",
            syncs={key: one.shown_to for key, one in chosen.items()},
            redis=without_password(settings.redis_url),
        )
        schedule = Schedule(chosen, last, lambda one: run_sync(one, deployment))
        if once:
            if failed := schedule.work(1):
                raise NotAllSyncedError(f"not synced: {', '.join(plain(one) for one in failed)}")
            return
        with syncs_monitored(settings.metrics_address) as look:
            run_until(stopping, schedule, look)
    _log.info("audience syncs stopped")


@app.command("syncs")
@with_settings
def list_syncs(
    loaded: Loaded,
    *,
    as_document: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show the syncs of the settings: where they go, what was told last, what is still due."""
    from livesegments.audience_sync.ledger import LedgerBusyError  # noqa: PLC0415
    from livesegments.audience_sync.opening import open_ledger_of  # noqa: PLC0415

    settings = loaded.settings
    told: list[dict[str, Any]] = []
    for key, one in _chosen(settings, None).items():
        known: dict[str, Any] = dict.fromkeys(("members", "sequence", "synced_at", "due")) | {"under_way": False}
        if one.ledger(settings.audience_sync_folder, settings.key_prefix).exists():
            try:
                with open_ledger_of(one, settings) as ledger:
                    pending, at = ledger.pending, ledger.synced_at
                    known |= {"members": ledger.size, "sequence": ledger.sequence}
                    known |= {"synced_at": None if at is None else rfc3339(at)}
                    known |= {"due": None if pending is None else pending.sequence}
            except LedgerBusyError:
                known["under_way"] = True
        told.append({"name": key, "audience": one.audience, "to": one.shown_to, "preset": one.preset, **known})
    if as_document:
        typer.echo(json.dumps(told, indent=2))
        return
    table = Table("sync", "audience", "to", "members", "last", "at", "still due", box=None, pad_edge=False)
    for one_told in told:
        cells = ("name", "audience", "to", "members", "sequence", "synced_at", "due")
        if one_told["under_way"]:
            one_told["synced_at"] = "under way"
        table.add_row(*(literal(_cell(one_told[cell])) for cell in cells))
    Console(highlight=False).print(table)


@app.command("look-alikes")
@with_settings
def look_alikes(
    loaded: Loaded,
    *,
    name: Name,
    most: Annotated[int, typer.Option("-n", help="So many, the nearest first.", min=1, max=1_000_000)] = 20,
    out: Annotated[Path | None, typer.Option("--out", help="Write them to this .csv or .parquet file.")] = None,
    as_document: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show the customers most like an audience, and what brings them near. Its members are not among them."""
    from livesegments.app import open_deployment  # noqa: PLC0415
    from livesegments.look_alikes import look_alikes, write_look_alikes  # noqa: PLC0415
    from livesegments.open_explainer import explainer_of  # noqa: PLC0415
    from livesegments.table_file import check_name  # noqa: PLC0415

    if out is not None:
        check_name(out)
    with open_deployment(loaded.settings) as deployment:
        explainer = explainer_of(deployment)
        told = look_alikes(explainer, name, most)
        names = explainer.names
        if out is not None:
            rows = write_look_alikes(out, told, names.name)
            typer.echo(f"{rows:,} customers in {out}: of {told.others:,}, those most like {told.members:,} members")
            return
        if as_document:
            found = [{**asdict(one), "segment_name": names.name(one.segment_id)} for one in told.found]
            typer.echo(json.dumps({"members": told.members, "others": told.others, "look_alikes": found}, indent=2))
            return
        table = Table("customer", "score", "segment", "why", box=None, pad_edge=False)
        for one in told.found:
            why = "; ".join(one.why)
            table.add_row(
                literal(one.customer_id), f"{one.score:.2f}", literal(names.told(one.segment_id)), literal(why)
            )
    console = Console(highlight=False)
    console.print(table)
    console.print(f"of {told.others:,} customers, those most like the {told.members:,} members")


def _chosen(settings: Settings, names: list[str] | None) -> "dict[str, Sync]":
    found = syncs(settings)
    if not found:
        raise NoSyncsError(
            'no syncs are set: audience_syncs.crm = {audience = "Big", to = "/exports"} in the settings, or use'
            " `livesegments audience sync NAME --to FOLDER`"
        )
    for name in names or ():
        if name not in found:
            raise NoSyncsError(f"there is no sync {plain(name)!r}: the settings name {', '.join(found)}")
    return {name: found[name] for name in names} if names else found


def _column(text: str) -> tuple[str, str]:
    header, sign, source = text.rpartition("=")
    if not sign:
        raise ColumnError(
            f'--column: expected "Header=source", such as "First Name=attributes.first_name", not {text!r}'
        )
    return header, source


def _say(one: "Sync", done: "Synced") -> None:
    where = plain(one.shown_to)
    for delivery, why in ((done.finished, "what was due: "), (done.delivery, "")):
        if delivery is not None:
            counts = ", ".join(
                f"{count:,} customers" if change == "full" else f"{count:,} {change}"
                for change, count in sorted(delivery.counts.items())
            )
            typer.echo(f"{where}: {why}{delivery.kind} {delivery.sequence}, {counts}; {delivery.members:,} in it")
    if done.delivery is None:
        typer.echo(f"{where}: nothing has changed; {done.members:,} in it")
    left_out = done.left_out
    reasons = (
        (left_out.refused, f"{left_out.refused:,} refused to be written to"),
        (left_out.unknown, f"of {left_out.unknown:,} it is not known whether they agreed"),
        (left_out.no_contact, f"{left_out.no_contact:,} have no usable {plain(one.shape.source)}"),
    )
    if told := ", ".join(why for count, why in reasons if count):
        typer.echo(f"{where}: left out: {told}", err=True)


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
