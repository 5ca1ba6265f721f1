"""`livesegments erase CUSTOMER`: publishes the event, waits until it is applied, and shows that nothing is left."""

import json
from typing import Annotated

import typer
from rich.console import Console

from consumer.clock import wall_micros
from contracts.times import SECOND, rfc3339
from livesegments.app import Deployment, create_logs, open_deployment, open_redis
from livesegments.customers import checked_id
from livesegments.durations import Duration
from livesegments.erasing import publish, wait_until_applied
from livesegments.flags import duration, with_settings
from livesegments.key_contents import contents
from livesegments.liveness import seems_alive
from livesegments.parts import keys
from livesegments.screen import plain
from livesegments.sources import Loaded
from livesegments.traces import Proof, verify

app = typer.Typer(add_completion=False)


@app.command()
@with_settings
def erase(
    loaded: Loaded,
    *,
    customer: Annotated[str, typer.Argument(help="The customer's id, as in the events.", metavar="CUSTOMER")],
    timeout: Annotated[
        Duration, typer.Option(parser=duration, metavar="DURATION", help="How long to wait for a worker.")
    ] = Duration(60 * SECOND),  # noqa: B008 - immutable
    proof: Annotated[
        bool, typer.Option("--verify", help="Then read every key and log. Exit status 1: something of ours is left.")
    ] = False,
    only_proof: Annotated[bool, typer.Option("--only-verify", help="Erase nothing: look what is left.")] = False,
    as_document: Annotated[bool, typer.Option("--json", help="What was found as a JSON object.")] = False,
) -> None:
    """Forget a customer: row, segment, recommendations. Waits until a worker has done so."""
    checked_id(customer)
    with open_deployment(loaded.settings) as deployment:
        create_logs(loaded.settings, deployment.logs)
        if not only_proof:
            _erase(customer, deployment, timeout)
            typer.echo(f"{plain(customer)} is erased", err=as_document)
        if proof or only_proof:
            found = _verify(customer, deployment, drop=not only_proof)
            typer.echo(json.dumps(found.as_json(), indent=2) if as_document else _told(found))
            if not found.clean:
                raise typer.Exit(1)


def _erase(customer: str, deployment: Deployment, timeout: Duration) -> None:
    console = Console(stderr=True, highlight=False)
    erasure = publish(customer, deployment, wall_micros())
    with open_redis(deployment.settings) as client:
        if not seems_alive(client, deployment.settings):
            console.print("published; no worker seems to run: waiting for one", style="yellow")
    with console.status("waiting for a worker"):
        wait_until_applied(erasure, deployment, timeout.seconds)


def _verify(customer: str, deployment: Deployment, *, drop: bool) -> Proof:
    console = Console(stderr=True, highlight=False)
    with open_redis(deployment.settings) as client, console.status("reading every key and every log"):
        return verify(customer, deployment, contents(client, keys(deployment.settings)), wall_micros(), drop=drop)


def _told(proof: Proof) -> str:
    """The proof in lines."""
    lines = [f"  left: {one}" for one in proof.left] or ["  nothing is left in any key or sum"]
    lines += [f"  {one}" for one in proof.shown]
    if proof.erased_until is not None:
        lines.append(f"  events up to {rfc3339(proof.erased_until)} are refused for good, by a hash of the id")
    if proof.dropped:
        lines.append(f"  {proof.dropped:,} dead letters were dropped")
    lines.append("what logs still hold:")
    for one in proof.logs:
        held = f"{one.records:,} records, until {one.until}" if one.records else "nothing"
        lines.append(f"  {one.log}: {held}")
    return "\n".join(lines)
