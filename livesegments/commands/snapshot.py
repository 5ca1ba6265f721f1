"""`livesegments snapshot save|restore FILE`: everything that a deployment keeps, in one file."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from consumer.clock import wall_micros
from consumer.redis_images import RedisImages
from consumer.redis_state import RedisState
from consumer.snapshot import restore as restore_snapshot
from consumer.snapshot import save as save_snapshot
from consumer.snapshot_file import Manifest
from livesegments import __version__
from livesegments.app import open_logs, open_redis
from livesegments.flags import with_settings
from livesegments.offline import refuse_rows, refuse_workers
from livesegments.parts import keys, log_names
from livesegments.sources import Loaded

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Save everything into one file, and restore it.")

File = Annotated[Path, typer.Argument(help="A zip of Parquet tables and a manifest.")]


@app.command()
@with_settings
def save(loaded: Loaded, file: File) -> None:
    """Save rows, positions, models and all else that can not be made anew from them. Workers may go on."""
    settings = loaded.settings
    logs = open_logs(settings)
    try:
        log = logs.describe(log_names(settings).events)
    finally:
        logs.close()
    with open_redis(settings) as client, Console(stderr=True).status(f"writing {file.name}"):
        images = RedisImages(client, keys(settings))
        saved = save_snapshot(file, images, log, prefix=settings.key_prefix, version=__version__, now=wall_micros())
    typer.echo(f"{_said(saved)} in {file}")


@app.command()
@with_settings
def restore(
    loaded: Loaded,
    file: File,
    replace: Annotated[bool, typer.Option("--replace", help="Let go of what is under the prefix.")] = False,  # noqa: FBT002 - a flag
    accept_log: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--accept-log", help="The log is a copy: the same records at the same positions.")
    ] = False,
) -> None:
    """Write a snapshot's rows under the prefix, while no worker works. Workers then go on from its positions."""
    settings = loaded.settings
    names = keys(settings)
    logs = open_logs(settings)
    try:
        log = logs.describe(log_names(settings).events)
    finally:
        logs.close()
    with open_redis(settings) as client, Console(stderr=True).status(f"reading {file.name}"):
        state = RedisState(client, names)

        def before(_: Manifest) -> None:
            refuse_workers(state, wall_micros())
            if not replace:
                refuse_rows(state, names, log.partitions)

        restored = restore_snapshot(file, RedisImages(client, names), log, accept_log=accept_log, before=before)
    typer.echo(f"{_said(restored)} under {names.prefix!r}; start workers to go on from there")


def _said(manifest: Manifest) -> str:
    return f"{manifest.customers:,} customers in {len(manifest.partitions)} partitions, as of {manifest.taken_at},"
