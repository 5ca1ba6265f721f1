"""`livesegments webhooks …`: tell other systems of changes, and deal with what they did not take in."""

import asyncio
import contextlib
import json
import signal
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.table import Table

from consumer.clock import wall_micros
from contracts.errors import LivesegmentsError
from contracts.redaction import without_password
from contracts.times import rfc3339
from livesegments.bytes_text import readable
from livesegments.flags import with_settings
from livesegments.log_output import configure
from livesegments.parts import endpoints
from livesegments.screen import literal, plain
from livesegments.settings import Settings
from livesegments.sources import Loaded

if TYPE_CHECKING:
    from livesegments.webhooks.desk import Desk
    from livesegments.webhooks.endpoints import Endpoint

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Changes told to other systems over HTTP (docs/webhooks.md)."
)
_log = structlog.get_logger("livesegments.webhooks")

Name = Annotated[str, typer.Argument(help="Of the endpoint in the settings.", metavar="NAME")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids, as `list NAME` shows them.", metavar="[LETTER…]")]
Everything = Annotated[bool, typer.Option("--all", help="All there are.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


class NoWebhooksError(LivesegmentsError):
    """The settings name no endpoint, or not this one."""


class NotTakenInError(LivesegmentsError):
    """The endpoint did not take a test in."""


class NothingChosenError(LivesegmentsError):
    """Nothing says which letters are meant, or there is no such letter."""


@app.command()
@with_settings
def run(loaded: Loaded) -> None:
    """Tell every endpoint of the settings, until told to stop. Several may run: they share the work."""
    from livesegments.app import open_deployment, open_ledger  # noqa: PLC0415
    from livesegments.monitoring.webhooks import webhooks_monitored  # noqa: PLC0415
    from livesegments.webhooks.running import Running, StatusLine, deliver  # noqa: PLC0415
    from livesegments.webhooks.signing import secret_texts  # noqa: PLC0415

    settings = loaded.settings
    found = _endpoints(settings)
    secrets = {name: secret_texts(endpoint) for name, endpoint in found.items()}
    paths = [part for one in found.values() if (part := one.url.removeprefix(one.shown_url)) not in {"", "/"}]
    configure(settings, also=[*(one for texts in secrets.values() for one in texts), *paths])
    line = StatusLine(int(settings.status_interval))
    _log.info(
        "webhooks start",
        endpoints={name: one.shown_url for name, one in found.items()},
        log=without_password(settings.event_log_url),
        redis=without_password(settings.redis_url),
    )

    async def until_stopped() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()

        def stop() -> None:
            stopping.set()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)  # the second one ends at once

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)

        def on_look(running: Sequence[Running]) -> None:
            line(running)
            monitor(running)

        await deliver(deployment, ledger, found, secrets, stopping=stopping, on_look=on_look)

    with (
        open_deployment(settings) as deployment,
        open_ledger(settings) as ledger,
        webhooks_monitored(settings.metrics_address) as monitor,
    ):
        asyncio.run(until_stopped())
    _log.info("webhooks stopped")


@app.command()
def secret() -> None:
    """Make a signing secret. Put it into a file or an environment variable, and give it to the receiver."""
    from livesegments.webhooks.signing import new_secret  # noqa: PLC0415

    typer.echo(new_secret())


@app.command()
@with_settings
def test(loaded: Loaded, name: Name) -> None:
    """Send a signed `test` event to an endpoint, and show the answer. Needs neither log nor Redis."""
    from livesegments.webhooks.messages import test_body  # noqa: PLC0415
    from livesegments.webhooks.retrying import Meaning  # noqa: PLC0415
    from livesegments.webhooks.sending import Answer, Sender, trusted  # noqa: PLC0415
    from livesegments.webhooks.signing import keys_of, secret_texts  # noqa: PLC0415

    settings = loaded.settings
    endpoint = _endpoint(settings, name)
    keys, context = keys_of(secret_texts(endpoint)), trusted(settings.webhook_ca_file)

    async def send() -> Answer:
        sender = Sender(endpoint, keys, context, settings.webhook_timeout.seconds)
        try:
            return await sender.send(f"test-{uuid.uuid4().hex}", test_body(rfc3339(wall_micros())))
        finally:
            await sender.close()

    answer = asyncio.run(send())
    outcome = answer.outcome
    if outcome.meaning is not Meaning.DELIVERED:
        told = f"\n{readable(answer.body)}" if answer.body else ""
        raise NotTakenInError(f"{name} at {endpoint.shown_url} did not take it in: {outcome.error}{told}")
    typer.echo(f"{name} at {endpoint.shown_url} took it in: {outcome.status}")
    if answer.body:
        typer.echo(readable(answer.body))


@app.command("list")
@with_settings
def list_(
    loaded: Loaded,
    *,
    name: Annotated[str | None, typer.Argument(help="An endpoint, for its dead letters.", metavar="[NAME]")] = None,
    limit: Annotated[int, typer.Option(help="Show so many of the newest.", min=0, max=10_000)] = 20,
    as_document: Json = False,
) -> None:
    """How endpoints are doing; with NAME, the newest changes that were given up for one."""
    with _desk(loaded.settings) as desk:
        rows: list[dict[str, Any]] = (
            [asdict(one) for one in desk.states()]
            if name is None
            else [asdict(one) for one in desk.dead_letters(name, 0, limit)]
        )
    for row in rows:
        for field in ("delivered_at", "failing_since", "dead_at"):
            if row.get(field) is not None:
                row[field] = rfc3339(row[field])
    if as_document:
        typer.echo(json.dumps(rows, indent=2))
        return
    console = Console(highlight=False)
    if not rows:
        console.print("no webhooks are set" if name is None else "no dead letters")
        return
    columns: tuple[str, ...] = ("id", "dead_at", "tries", "status", "error")
    if name is None:
        columns = ("name", "state", "delivered", "waiting", "failing_since", "error", "dead_letters", "lost")
    table = Table(*(column.replace("_", " ") for column in columns), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(literal(_cell(row[column])) for column in columns))
    console.print(table)


@app.command()
@with_settings
def show(loaded: Loaded, name: Name, letter: Annotated[str, typer.Argument(help="Its id.", metavar="LETTER")]) -> None:
    """One change that was given up: why, and the change itself, read again from its log."""
    with _desk(loaded.settings) as desk:
        found = desk.find(name, letter)
        if found is None:
            raise NothingChosenError(f"{name} has no dead letter {letter}: `livesegments webhooks list {name}`")
        content = desk.content(name, letter)
    typer.echo(f"{found.id}: {plain(found.error)} after {found.tries} tries")
    typer.echo("the log no longer holds it" if content is None else json.dumps(content, indent=2))


@app.command()
@with_settings
def replay(loaded: Loaded, *, name: Name, letters: Ids = None, everything: Everything = False) -> None:
    """Have dead letters sent again, once, by the `livesegments webhooks run` that runs."""
    chosen = _chosen(letters, everything=everything)
    with _desk(loaded.settings) as desk:
        count = desk.ask_again(name, chosen)
    typer.echo(f"{count:,} will be sent again; `livesegments webhooks list` shows what is left")


@app.command()
@with_settings
def drop(loaded: Loaded, *, name: Name, letters: Ids = None, everything: Everything = False) -> None:
    """Forget dead letters."""
    chosen = _chosen(letters, everything=everything)
    with _desk(loaded.settings) as desk:
        count = desk.drop(name, chosen)
    typer.echo(f"{count:,} dropped")


@contextlib.contextmanager
def _desk(settings: Settings) -> "Iterator[Desk]":
    from livesegments.app import open_deployment, open_ledger  # noqa: PLC0415
    from livesegments.webhooks.desk import Desk  # noqa: PLC0415

    with open_deployment(settings) as deployment, open_ledger(settings) as ledger:
        yield Desk(deployment, ledger)


def _endpoints(settings: Settings) -> "dict[str, Endpoint]":
    found = endpoints(settings)
    if not found:
        raise NoWebhooksError(
            'no webhooks are set: webhooks.crm = {url = "https://…", secrets = ["env:CRM_SECRET"]} in the settings'
        )
    return found


def _endpoint(settings: Settings, name: str) -> "Endpoint":
    found = _endpoints(settings)
    if name not in found:
        raise NoWebhooksError(f"there is no webhook {name!r}: the settings name {', '.join(found)}")
    return found[name]


def _chosen(letters: list[str] | None, *, everything: bool) -> list[str] | None:
    if bool(letters) == everything:
        raise NothingChosenError("name dead letters, or say --all")
    return None if everything else letters


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else f"{value:,}" if isinstance(value, int) else str(value)
