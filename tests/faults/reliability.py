"""The table of docs/reliability.md: what every fault test did and found, written by the run that did it."""

import ast
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- begin of the run -->", "<!-- end of the run -->"
HEAD = "| test | what happened | back after | what was found |\n|---|---|---|---|\n"


@dataclass(frozen=True)
class Entry:
    """What one test found."""

    test: str
    happened: str
    back_after: float | None
    """Seconds from the end of the fault until every published event counted; None where nothing had to come back."""
    found: str

    def line(self) -> str:
        back = "–" if self.back_after is None else f"{self.back_after:.1f} s"
        return f"| `{self.test}` | {self.happened} | {back} | {self.found} |\n"


def fault_tests() -> set[str]:
    """Names of the functions that are fault tests."""
    files = FOLDER.glob("test_*.py")
    return {
        node.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def table(entries: Iterable[Entry]) -> str:
    return HEAD + "".join(entry.line() for entry in entries)


def named(page: str) -> set[str]:
    """Functions that the page's table names."""
    lines = page.partition(BEGIN)[2].partition(END)[0].splitlines()
    return {line.split("`")[1].partition("[")[0] for line in lines if line.startswith("| `")}


def written(page: str, entries: Iterable[Entry]) -> str:
    """The page with the entries in place of its table."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(entries)}{END}{after}"


def save(entries: Iterable[Entry], file: Path) -> None:
    """Keep what a run found, beside what an earlier run of other tests found."""
    known: Mapping[str, dict] = json.loads(file.read_text()) if file.exists() else {}
    new = {entry.test: asdict(entry) for entry in entries}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**known, **new}, indent=1, sort_keys=True))


def load(file: Path) -> list[Entry]:
    known = json.loads(file.read_text()) if file.exists() else {}
    return [Entry(**known[test]) for test in sorted(known) if test.partition("[")[0] in fault_tests()]
