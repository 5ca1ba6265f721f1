"""Every setting is a flag of every command: `--k 6`, `--allowed-lateness 10d`. `Settings` is the only list."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer
from rich.markup import escape

from livesegments.durations import Duration
from livesegments.named import Named
from livesegments.settings import Settings
from livesegments.sources import Loaded, load_settings

Parameters = ParamSpec("Parameters")

PANEL: Final = "Settings (every other one is a flag, too: see `livesegments settings`)"
SHOWN: Final = ("redis_url", "log_url", "clock")
"""Flags that stand in every --help."""


def duration(text: str) -> Duration:
    """What typer calls to read a duration."""
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def with_settings(command: Callable[Concatenate[Loaded, Parameters], None]) -> Callable[..., None]:
    """A command for typer whose first argument, the settings, is made of flags, environment and file."""

    @functools.wraps(command)
    def flagged(ctx: typer.Context, config: Path | None, shop: str | None, **given: Any) -> None:
        flags = {name: given.pop(name) for name in Settings.model_fields}
        named: Named = ctx.obj or Named()
        command(load_settings(config or named.config, flags, shop or named.shop), **given)  # type: ignore[call-arg]

    _, *own = inspect.signature(command).parameters.values()
    flagged.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            _keyword("ctx", typer.Context),
            *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own),
            _config(),
            _shop(),
            *(_flag(name) for name in Settings.model_fields),
        ]
    )
    flagged.__annotations__ = {}
    return flagged


def _keyword(name: str, annotation: Any, **default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, **default)


def _config() -> inspect.Parameter:
    option = typer.Option("--config", help="The settings file; ./livesegments.toml by default.", rich_help_panel=PANEL)
    return _keyword("config", Annotated[Path | None, option], default=None)


def _shop() -> inspect.Parameter:
    option = typer.Option("--shop", help="One of the file's shops (docs/shops.md).", rich_help_panel=PANEL)
    return _keyword("shop", Annotated[str | None, option], default=None)


def _flag(name: str) -> inspect.Parameter:
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        help=escape(Settings.model_fields[name].description or ""),
        hidden=name not in SHOWN,
        rich_help_panel=PANEL,
        show_default=False,
    )
    return _keyword(name, Annotated[str | None, option], default=None)
