"""`livesegments web-key NAME`: a new key for the HTTP API, shown once."""

import json
from typing import Annotated, Any

import typer

from dashboard.access import SCOPES, ApiKeys, hashed, new_key

app = typer.Typer(add_completion=False)


@app.command("web-key")
def web_key(
    name: Annotated[str, typer.Argument(help="Whose key it is, such as shop or anna.", metavar="NAME")],
    role: Annotated[str | None, typer.Option(help="viewer, marketer, analyst or admin.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help=f"Instead of a role, once for each: {', '.join(SCOPES)}.")
    ] = None,
) -> None:
    """Make a key for the HTTP API. The settings get its hash; the key itself is kept nowhere."""
    key = new_key()
    chosen: dict[str, Any] = {"role": role} if role is not None else {}
    if scope:
        chosen["scopes"] = scope
    table = {"sha256": hashed(key), **chosen}
    ApiKeys.read({name: table})
    fields = ", ".join(f"{one} = {json.dumps(value)}" for one, value in table.items())
    typer.echo(f"for livesegments.toml:\n  web_keys.{json.dumps(name)} = {{{fields}}}\nthe key:", err=True)
    typer.echo(key)
