"""The options that say what stands where in a table: the same for every command that reads one."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from producer.mapping import FIELDS, SETTABLE, MappingRequest, parse_assignments

Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FIELD=COLUMN",
        help=f"Which column is which field: {', '.join(FIELDS)}. Online Retail I and II are known.",
    ),
]
Constants = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help=f"A value for all rows, of {', '.join(SETTABLE)}."),
]
TimeFormat = Annotated[
    str | None,
    typer.Option(
        "--time-format",
        metavar="FORMAT",
        help="dmy, mdy, ymd; as for strptime; or s, ms, us since 1970; guessed otherwise.",
    ),
]
Sheet = Annotated[
    str | None, typer.Option("--sheet", metavar="SHEET", help="Of a workbook, by name or number; the first otherwise.")
]
NoHeader = Annotated[
    bool,
    typer.Option("--no-header", help="Of a text file: the first line is a row; columns are called 1, 2, 3 and so on."),
]


def mapping_request(columns: Sequence[str] | None, constants: Sequence[str] | None, **more: Any) -> MappingRequest:
    """What the options ask for; `more` are fields of MappingRequest. Raises what a wrong assignment raises."""
    return MappingRequest(
        columns=parse_assignments(columns or (), "--map"), constants=parse_assignments(constants or (), "--set"), **more
    )
