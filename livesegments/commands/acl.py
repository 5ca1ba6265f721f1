"""`livesegments acl`: ready access control lists for the users of this deployment."""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from contracts.errors import LivesegmentsError
from livesegments.access import users
from livesegments.flags import with_settings
from livesegments.kafka_access import commands
from livesegments.parts import keys, log_names
from livesegments.sources import Loaded

app = typer.Typer(add_completion=False)


class PasswordFileError(LivesegmentsError):
    """The file of passwords can not be used."""


@app.command()
@with_settings
def acl(
    loaded: Loaded,
    as_file: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--file", help="Lines for redis.conf or its aclfile, rather than commands for redis-cli.")
    ] = False,
    kafka: Annotated[bool, typer.Option("--kafka", help="Commands for Kafka's kafka-acls.sh instead.")] = False,  # noqa: FBT002
    passwords: Annotated[
        Path | None,
        typer.Option(
            help="A file with lines `role password`, made with new passwords where it is missing. Only their hashes "
            "are printed; without it, a place to put one."
        ),
    ] = None,
    tracking: Annotated[  # noqa: FBT002 - a flag
        bool,
        typer.Option(help="Let readers have a near-cache: CLIENT TRACKING tells names of keys of the whole server."),
    ] = True,
    *,
    redis_6: Annotated[
        bool,
        typer.Option(
            "--redis-6", help="For Redis 6.2, which can not keep webhooks from writing to all that they read."
        ),
    ] = False,
) -> None:
    """Print access control lists: who may do what in this deployment's Redis and Kafka.

    The worker reads and writes the deployment's keys, the reader reads public views, the dashboard reads everything.

    In a Redis Cluster every node has to be told: redis-cli --cluster call HOST:PORT ACL SETUSER …
    """
    settings = loaded.settings
    names = log_names(settings)
    if kafka:
        typer.echo("\n".join(commands(names, settings.group, settings.key_prefix, webhooks=bool(settings.webhooks))))
        return
    found = users(
        keys(settings),
        names,
        log_in_redis=not settings.event_log_url.startswith("kafka:"),
        near_cache=tracking,
        cluster="+cluster:" in settings.redis_url,
        webhooks=bool(settings.webhooks),
        selectors=not redis_6,
    )
    known = {} if passwords is None else _passwords(passwords, found)
    for role, user in found.items():
        typer.echo(f"{'user' if as_file else 'ACL SETUSER'} {user.name} {user.rules(known.get(role))}")


def _passwords(path: Path, roles: Iterable[str]) -> dict[str, str]:
    """By role; drawn and written down where there is no such file yet."""
    if not path.exists():
        drawn = {role: secrets.token_urlsafe(32) for role in roles}
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.writelines(f"{role} {password}\n" for role, password in drawn.items())
        return drawn
    try:
        read = dict(line.split() for line in path.read_text().splitlines() if line.strip())
    except (OSError, ValueError):
        raise PasswordFileError(f"{path} can not be read: it has a line `role password` for each user") from None
    if missing := [role for role in roles if role not in read]:
        raise PasswordFileError(f"{path} has no password for {', '.join(missing)}: add a line `{missing[0]} PASSWORD`")
    return read
