"""`livesegments model …`: which versions there are; pinning, rolling back, trying out, reviewing."""

import json
import time
from functools import partial
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from consumer.clock import wall_micros
from consumer.state import State
from contracts.documents import ReviewDocument
from contracts.model_requests import ModelRequest, ShadowOrder
from contracts.times import SECOND
from livesegments.app import Deployment, open_deployment, open_redis
from livesegments.categories import catalogue_categories
from livesegments.durations import Duration
from livesegments.flags import duration, with_settings
from livesegments.liveness import seems_alive
from livesegments.model_tables import (
    as_json,
    review_json,
    show_review,
    show_trial,
    show_version,
    show_versions,
    trial_json,
)
from livesegments.models import ask, pinned_version, version_of, versions, wait_until_answered
from livesegments.screen import plain
from livesegments.settings import Settings
from livesegments.sources import Loaded
from livesegments.trials import try_out

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Model versions: list, pin, roll back, try out other segments."
)
TRIED_CUSTOMERS: Final = 20_000

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Timeout = Annotated[Duration, typer.Option(parser=duration, metavar="DURATION", help="How long to wait for a worker.")]
MINUTE: Final = Duration(60 * SECOND)


@app.command("list")
@with_settings
def list_versions(loaded: Loaded, as_document: Json = False) -> None:  # noqa: FBT002 - a flag
    """List the versions that are kept, the newest first: when, why, and what each gained."""
    with open_deployment(loaded.settings) as deployment:
        found, pinned = list(versions(deployment.state)), pinned_version(deployment.state)
    if as_document:
        _echo([as_json(one) for one in found])
        return
    show_versions(found, pinned, Console(highlight=False))


@app.command()
@with_settings
def show(
    loaded: Loaded,
    version: Annotated[int | None, typer.Argument(help="The one in force by default.", min=1)] = None,
    as_document: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Show one version: its segments, where they come from, and why it was adopted."""
    with open_deployment(loaded.settings) as deployment:
        found, pinned = version_of(deployment.state, version), pinned_version(deployment.state)
    if as_document:
        _echo(as_json(found))
        return
    show_version(found, pinned, Console(highlight=False))


@app.command()
@with_settings
def pin(
    loaded: Loaded,
    version: Annotated[int | None, typer.Argument(help="The one in force by default.", min=1)] = None,
    timeout: Timeout = MINUTE,
) -> None:
    """Adopt nothing more until `unpin`. An older version is brought back first, as a new one."""
    _ask(loaded.settings, ModelRequest(kind="pin", asked_at=wall_micros(), version=version), timeout)


@app.command()
@with_settings
def unpin(loaded: Loaded, timeout: Timeout = MINUTE) -> None:
    """Let the model learn again."""
    _ask(loaded.settings, ModelRequest(kind="unpin", asked_at=wall_micros()), timeout)


@app.command()
@with_settings
def rollback(
    loaded: Loaded,
    version: Annotated[int, typer.Argument(help="The version to bring back.", min=1)],
    timeout: Timeout = MINUTE,
) -> None:
    """Bring an old version back, as a new one. It goes on learning from there: `pin VERSION` holds it."""
    _ask(loaded.settings, ModelRequest(kind="rollback", asked_at=wall_micros(), version=version), timeout)


@app.command("try")
@with_settings
def try_(
    loaded: Loaded,
    adopt: Annotated[bool, typer.Option("--adopt", help="Adopt what was tried.")] = False,  # noqa: FBT002 - a flag
    customers: Annotated[int, typer.Option(help="Look at about so many.", min=10)] = TRIED_CUSTOMERS,
    as_document: Json = False,  # noqa: FBT002 - a flag
    timeout: Timeout = MINUTE,
) -> None:
    """Try out other segments, as `--k 6` and `--features recency,monetary` name them: names, sizes, who would move."""
    settings = loaded.settings
    console = Console(highlight=False)
    with open_deployment(settings) as deployment:
        categories = partial(catalogue_categories, deployment.logs, settings)
        trial = try_out(deployment.state, settings, wall_micros(), customers, categories)
        if as_document:
            _echo(trial_json(trial))
        else:
            show_trial(trial, settings.currency, console)
        if adopt:
            request = ModelRequest(
                kind="adopt", asked_at=wall_micros(), candidate=trial.model.to_document(), k=str(settings.k)
            )
            _carry_out(deployment, request, timeout, quiet=as_document)


@app.command()
@with_settings
def shadow(
    loaded: Loaded,
    off: Annotated[bool, typer.Option("--off", help="End it.")] = False,  # noqa: FBT002 - a flag
    timeout: Timeout = MINUTE,
) -> None:
    """Let segments as `--k` and `--features` name them learn beside the live ones; `review` shows how they do."""
    settings = loaded.settings
    order = None
    if not off:
        features = settings.features if "features" in loaded.origins else ()
        k = settings.k_default if settings.k == "auto" else settings.k
        order = ShadowOrder(k=k, features=features)
    _ask(
        settings,
        ModelRequest(kind="shadow-off" if off else "shadow", asked_at=wall_micros(), shadow=order),
        timeout,
    )


@app.command()
@with_settings
def review(
    loaded: Loaded,
    now: Annotated[bool, typer.Option("--now", help="Ask for a new one first.")] = False,  # noqa: FBT002 - a flag
    as_document: Json = False,  # noqa: FBT002 - a flag
    timeout: Timeout = MINUTE,
) -> None:
    """Show what the last review found: how many segments there could be, and how a shadow does."""
    with open_deployment(loaded.settings) as deployment:
        before = deployment.state.review()
        if now:
            _carry_out(deployment, ModelRequest(kind="review", asked_at=wall_micros()), timeout, quiet=True)
            _wait_for_review(deployment.state, before, timeout)
        stored = deployment.state.review()
    if stored is None:
        typer.echo("no review yet: the first comes some time after the first model; `--now` asks for one")
        return
    document = ReviewDocument.model_validate_json(stored)
    if as_document:
        _echo(review_json(document))
        return
    show_review(document, Console(highlight=False))


def _wait_for_review(state: State, before: bytes | None, timeout: Duration) -> None:
    deadline = time.monotonic() + timeout.seconds
    while state.review() == before and time.monotonic() < deadline:
        time.sleep(0.05)


def _ask(settings: Settings, request: ModelRequest, timeout: Duration) -> None:
    with open_deployment(settings) as deployment:
        _carry_out(deployment, request, timeout)


def _carry_out(deployment: Deployment, request: ModelRequest, timeout: Duration, *, quiet: bool = False) -> None:
    """Ask the leader and say what came of it. Raises NotDoneError."""
    console = Console(stderr=True, highlight=False)
    request_id = ask(deployment.state, request)
    with open_redis(deployment.settings) as client:
        if not seems_alive(client, deployment.settings):
            console.print("no worker seems to run: waiting for one", style="yellow")
    with console.status("waiting for the leader"):
        answer = wait_until_answered(deployment.state, request_id, timeout.seconds)
    if not quiet:
        typer.echo(plain(answer.message))


def _echo(document: Any) -> None:
    typer.echo(json.dumps(document, indent=2))
