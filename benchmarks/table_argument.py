"""The table that a benchmark streams in, as `livesegments replay` takes it, and settings on the command line."""

import argparse
from pathlib import Path
from typing import Any, Final

from benchmarks.in_time_order import ReplayError
from consumer.clock import wall_micros
from livesegments.settings import Settings
from livesegments.sources import replaced
from producer.mapping import MappingRequest, parse_assignments
from producer.replay import Replay, read_events

_NO_CURRENCY: Final = "XXX"
"""ISO 4217's own code: what is measured is the same in any currency, where the table names none."""


def add_table_arguments(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """FILE, which may be optional, --no-header, --map, --set, --time-format and --setting."""
    nargs = "?" if optional else None
    parser.add_argument(
        "file", type=Path, nargs=nargs, metavar="FILE", help="a table as `livesegments replay` reads it"
    )
    parser.add_argument("--no-header", action="store_true", help="as for `replay`")
    parser.add_argument("--map", action="append", default=[], metavar="FIELD=COLUMN", help="as for `replay`")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="as for `replay`")
    parser.add_argument("--time-format", help="as for `replay`")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="any setting of a worker")


def request_of(arguments: argparse.Namespace) -> MappingRequest:
    """What is said of the table's columns. Raises MappingError."""
    return MappingRequest(
        columns=parse_assignments(arguments.map, "--map"),
        constants=parse_assignments(arguments.set, "--set"),
        currency=_NO_CURRENCY,
        time_format=arguments.time_format,
        header=not arguments.no_header,
    )


def read_table(arguments: argparse.Namespace) -> Replay:
    """The table's events. Raises ReplayError where there are none, and what read_events raises."""
    table = read_events(arguments.file, request_of(arguments), now=wall_micros())
    if len(table) == 0:
        raise ReplayError(f"{arguments.file}: holds no event that can be used")
    return table


def settings_for(table: Replay, arguments: argparse.Namespace, **chosen: Any) -> Settings:
    """Settings with the table's currency and those chosen (None: not), unless --setting says otherwise.

    Raises ReplayError, SettingsError.
    """
    given: dict[str, Any] = dict(parse_assignments(arguments.setting, "--setting"))
    for name in given:
        if name not in Settings.model_fields:
            raise ReplayError(
                f"--setting {name}: there is no such setting; `livesegments settings` lists all there are"
            )
    chosen["currency"] = table.mapping.constants.get("currency")
    given = {name: value for name, value in chosen.items() if value is not None} | given
    return replaced(Settings.model_validate({"clock": "event", "review_inline": True}), **given)
