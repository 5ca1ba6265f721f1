"""Looking at one table: every column by itself, then the columns together."""

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from livesegments.explore.columns import Categories, Numbers, Typed, typed
from livesegments.explore.comparing import age_groups, correlations, groups, label_of, outliers, pairs
from livesegments.explore.findings import Groups, Table

if TYPE_CHECKING:
    import pandas as pd

SAMPLE: Final = 50_000
"""Most rows that are looked at for what takes longer than one pass."""


def look(
    title: str,
    about: str,
    names: Sequence[str],
    column: Callable[[str], "pd.Series[Any]"],
    *,
    zone: tzinfo,
    seed: int,
    kinds: Mapping[str, str] | None = None,
    time_format: str | None = None,
    ids: Sequence[Any] | None = None,
    label: str | None = None,
) -> Table:
    """What there is to find in a table whose columns are asked for one by one.

    Args:
        title: Of the table.
        about: What a row is.
        names: Of the columns, in the order in which they are shown.
        column: Gives a column by name, all rows.
        zone: Of times that name none.
        seed: Of the sample, where there are more rows than SAMPLE.
        kinds: `number`, `category`, `time` or `text`, of columns for which that is known.
        time_format: As for strptime; guessed otherwise.
        ids: What rows are called, (rows,).
        label: The category column whose groups are compared.
    """
    found: list[Typed] = []
    rows = 0
    for name in names:
        cells = column(name)
        rows = len(cells)
        found.append(typed(cells, (kinds or {}).get(name), zone, time_format))
    numbers = [one for one in found if isinstance(one, Numbers)]
    categories = [one for one in found if isinstance(one, Categories)]
    sample = _sample(rows, seed)
    labelled = label_of(categories, label)
    return Table(
        title=title,
        about=about,
        rows=rows,
        looked_at=len(sample),
        columns=[one.found for one in found],
        correlations=correlations(numbers, sample),
        pairs=pairs(numbers, labelled, sample),
        groups=_groups(numbers, categories, label),
        outliers=outliers(numbers, ids),
    )


def _sample(rows: int, seed: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    if rows <= SAMPLE:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, SAMPLE, replace=False))


def _groups(numbers: Sequence[Numbers], categories: Sequence[Categories], label: str | None) -> list[Groups]:
    few = label_of([one for one in categories if one.found.name != label])
    by_age = age_groups(numbers, few)
    found = [by_age] if by_age is not None else []
    for one in categories:
        if one.found.name == label and one.found.distinct >= 2:
            found.insert(0, groups(label, one.cells, [level for level, _ in one.found.levels], numbers, None))
    return found
