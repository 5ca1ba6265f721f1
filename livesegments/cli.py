"""The command line: which commands there are, and what becomes of errors. Each command is a module of its own."""

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from contracts.errors import LivesegmentsError
from livesegments import __version__
from livesegments.named import Named
from livesegments.screen import plain

COMMANDS: Final = {
    "demo": "Watch a synthetic shop's customers being segmented, live; needs nothing but Python.",
    "worker": "Keep rows, segments and recommendations up with the log. Start as many as there are partitions.",
    "web": "Serve the pages for people (docs/dashboard.md) and the HTTP API for programs (docs/http-api.md).",
    "web-key": "Make a key for the HTTP API. The settings get its hash; the key itself is kept nowhere.",
    "webhooks": "Changes told to other systems over HTTP (docs/webhooks.md).",
    "import": "Publish a shop's own exports as events; what is unclear is asked. Doing it twice changes nothing.",
    "replay": "Publish a table as events, sorted by time. Doing it twice changes nothing.",
    "simulate": "Publish a synthetic shop: its history at once, then its present until told to stop.",
    "catalog": "What is known of items: names, categories, stock.",
    "items": "Show what was learnt about items and how recommendations are blended; with an ITEM, what goes with it.",
    "show": "Show one customer: segment and why, what would change it, ten recommendations, and what was counted.",
    "segments": "All segments, the card of one, names of your own.",
    "audiences": "Show the size of each audience; or the ids of the customers in one, a line each.",
    "audience": "Keep an audience in step elsewhere; find who is like it (docs/audiences.md).",
    "outliers": (
        "List customers that are marked as outliers, the most extreme first. They go on counting like everybody."
    ),
    "history": "Show sizes, orders and net revenue by segment and day, and who moved for what cause.",
    "feedback": "Show how often recommended items were clicked and bought, with 95 % intervals.",
    "lift": "Show orders and net spend of customers with recommendations against those held out, with 95 % intervals.",
    "model": "Model versions: list, pin, roll back, try out other segments.",
    "tree": "Show which segments are alike: Ward's hierarchy, weighted by size. Heights are distances.",
    "map": "Show the principal components of the features, and where the segments lie in them.",
    "watch": "Watch segments change: sizes, events per second, lag, freshness, moves by cause. Ends with Ctrl-C.",
    "explore": "Explore data: what is missing, distributions, correlations, pairs, age groups, outliers.",
    "alias": "Join an id to a customer: everything of it counts for the customer, until it is split off again.",
    "erase": "Forget a customer: row, segment, recommendations. Waits until a worker has done so.",
    "dead-letters": "Events that could not be used, and why.",
    "audit": "Show who did what through the HTTP API and the pages, the newest last.",
    "check": "Check settings, servers, logs and workers. Exits with 1 if anything that is needed fails.",
    "acl": "Print access control lists: who may do what in this deployment's Redis and Kafka.",
    "export": "Write a table with a row per customer: what was counted, segment, attributes, features.",
    "campaign": "Campaigns whose effect is measured: freeze an audience, hold some back, compare (docs/campaigns.md).",
    "forecast": (
        "Forecast orders and net spend of 30, 90 and 365 days from the rows as they are now (docs/forecasts.md)."
    ),
    "snapshot": "Save everything into one file, and restore it.",
    "repartition": (
        "Move rows to where their customers belong, once `customer-events` has --partitions partitions. Offline."
    ),
    "rebuild": "Rows made anew from the log: run, compare, switch over.",
    "settings": "Show the settings in force, and whether file, environment, flag or default says so.",
    "schema": "Print the JSON Schema of all event types.",
}
"""With what `--help` says of each: its own first paragraph, without importing it."""
_MODULES: Final = {"import": "import_tables"}
"""Of commands whose names are words of the language."""
FAILED: Final = 1


class Commands(TyperGroup):
    """Imports a command's module when it is called: `check` is not to wait for what `worker` needs.

    `--help` imports none.
    """

    _describes = False
    """Whether commands are only to be described."""

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Say which commands there are."""
        self._describes = True
        super().format_help(ctx, formatter)

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002
        """All commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand | TyperGroup | None:  # type: ignore[override]  # noqa: ARG002
        """The command of that name; None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        if self._describes:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name])
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
