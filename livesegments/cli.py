"""The command line: which commands there are, and what becomes of errors. Each command is a module of its own."""

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from typer.core import TyperCommand, TyperGroup

from contracts.errors import LivesegmentsError
from livesegments import __version__
from livesegments.named import Named
from livesegments.screen import plain

COMMANDS: Final = (
    "demo",
    "worker",
    "web",
    "web-key",
    "webhooks",
    "import",
    "replay",
    "simulate",
    "catalog",
    "items",
    "show",
    "segments",
    "audiences",
    "audience",
    "outliers",
    "history",
    "feedback",
    "lift",
    "model",
    "tree",
    "map",
    "watch",
    "explore",
    "alias",
    "erase",
    "dead-letters",
    "audit",
    "check",
    "acl",
    "export",
    "campaign",
    "forecast",
    "snapshot",
    "repartition",
    "rebuild",
    "settings",
    "schema",
)
_MODULES: Final = {"import": "import_tables"}
"""Of commands whose names are words of the language."""
FAILED: Final = 1


class Commands(TyperGroup):
    """Imports a command's module when it is called: `check` is not to wait for what `worker` needs."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002
        """All commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand | TyperGroup | None:  # type: ignore[override]  # noqa: ARG002
        """The command of that name; None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"livesegments.commands.{_MODULES.get(cmd_name, cmd_name.replace('-', '_'))}")
        command = typer.main.get_command(module.app)
        assert isinstance(command, TyperCommand | TyperGroup)
        command.name = cmd_name
        return command


app = typer.Typer(cls=Commands, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        typer.echo(f"livesegments {__version__}")
        raise typer.Exit


@app.callback()
def livesegments(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", help="The settings file; ./livesegments.toml by default.")
    ] = None,
    shop: Annotated[str | None, typer.Option("--shop", help="One of the file's shops (docs/shops.md).")] = None,
    version: Annotated[  # noqa: ARG001, FBT002 - handled by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Purchase events in, live customer segments and recommendations out."""
    ctx.obj = Named(config, shop)


def main() -> None:
    """Run the command line: what a user can act on is a line on stderr, a fault of ours a traceback."""
    try:
        app()
    except LivesegmentsError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"livesegments: {plain(line)}\n")
        sys.exit(FAILED)
    except BrokenPipeError:
        # Whoever reads has seen enough (`livesegments segments | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
