"""`livesegments check`: settings and connections, with a clear verdict each."""

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from livesegments.checks import check as findings
from livesegments.flags import with_settings
from livesegments.screen import literal
from livesegments.sources import Loaded

app = typer.Typer(add_completion=False)
_STYLES = {"ok": "green", "note": "yellow", "failed": "bold red"}


@app.command()
@with_settings
def check(
    loaded: Loaded,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what failed.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Check settings, servers, logs and workers. Exits with 1 if anything that is needed fails."""
    console = Console(highlight=False, soft_wrap=True)
    said = [f"{len(loaded.origins)} set, the others are defaults"]
    said += [f"{variable} is no setting: did you mean {meant}?" for variable, meant in loaded.unknown_variables.items()]
    lines = [("settings", "note" if place else "ok", text) for place, text in enumerate(said)]
    lines += ((one.subject, one.verdict, one.text) for one in findings(loaded.settings))
    for subject, verdict, text in lines:
        if not quiet or verdict == "failed":
            console.print(Text.assemble(f"{subject:<9}", (f"{verdict:<7}", _STYLES[verdict]), literal(text)))
    if any(verdict == "failed" for _, verdict, _ in lines):
        raise typer.Exit(1)
