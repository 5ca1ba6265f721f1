"""Files of one kind, and what of them is looked at before anything is decided."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from producer.importing.facts import Facts, facts_of
from producer.table import TableError, TableFile, look_at

SAMPLE_ROWS = 20_000


@dataclass(frozen=True)
class Files:
    """Files that have the same columns: an export, or several of one kind, such as one a month."""

    tables: Sequence[TableFile]

    @property
    def columns(self) -> tuple[str, ...]:
        """Of all."""
        return self.tables[0].columns

    @property
    def names(self) -> str:
        """Of the files."""
        return ", ".join(table.path.name for table in self.tables)

    @cached_property
    def sample(self) -> pd.DataFrame:
        """The first rows of the first file, as text."""
        return next(piece for piece in self.tables[0].pieces(self.columns, SAMPLE_ROWS) if len(piece))

    @cached_property
    def facts(self) -> dict[str, Facts]:
        """By column, of the sample."""
        return {name: facts_of(self.sample[name]) for name in self.columns}

    def look_through(self, columns: Collection[str], look: Callable[[pd.DataFrame], bool]) -> None:
        """Show all rows of these columns, piece by piece, until `look` says that it has seen enough."""
        for table in self.tables:
            for piece in table.pieces(columns):
                if look(piece):
                    return


def open_files(
    paths: Iterable[Path],
    *,
    encoding: str | None = None,
    separator: str | None = None,
    header: bool | None = None,
    sheet: str | None = None,
) -> list[Files]:
    """Files by kind, in the order given. Raises TableError."""
    kinds: dict[tuple[str, ...], list[TableFile]] = {}
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise TableError(f"{path} is named twice")
        seen.add(path.resolve())
        table = look_at(path, sheet, encoding=encoding, separator=separator, header=header)
        kinds.setdefault(tuple(sorted(table.columns)), []).append(table)
    return [Files(tables) for tables in kinds.values()]
