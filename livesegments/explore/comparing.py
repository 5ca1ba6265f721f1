"""What several columns of a table say together: correlations, points, groups, outliers."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from livesegments.explore.columns import Categories, Floats, Numbers
from livesegments.explore.findings import Correlations, Group, Groups, Outlier, Outliers, Pairs
from online_model.outliers import OUTLIER_Z, OutlierBounds

Places = npt.NDArray[np.int64]

MOST_CORRELATED: Final = 14
"""Most columns of a matrix: more can not be read."""
MOST_PAIRED: Final = 4
POINTS: Final = 2_000
FARTHEST: Final = 15
_MOST_LABELS: Final = 8
AGES: Final = (0, 18, 25, 35, 45, 55, 65)
"""Where age groups begin."""
_AGE: Final = re.compile(r"(^|[_\W])(age|alter)($|[_\W])", re.IGNORECASE)
_OLDEST: Final = 130


def correlations(numbers: Sequence[Numbers], rows: Places) -> Correlations | None:
    """Of each two number columns; None where there are not two."""
    chosen = [one for one in numbers if one.found.distinct > 1][:MOST_CORRELATED]
    if len(chosen) < 2:
        return None
    frame = pd.DataFrame({place: one.cells[rows] for place, one in enumerate(chosen)})
    matrix = frame.corr(method="spearman", min_periods=3).to_numpy()
    found = [[None if np.isnan(one) else round(float(one), 4) for one in line] for line in matrix]
    return Correlations([one.found.name for one in chosen], found)


def pairs(numbers: Sequence[Numbers], label: Categories | None, rows: Places) -> Pairs | None:
    """Points of the first few number columns, at most so many; None where there are not two columns."""
    chosen = [one for one in numbers if one.found.distinct > 2][:MOST_PAIRED]
    if len(chosen) < 2:
        return None
    rows = rows[np.linspace(0, len(rows) - 1, min(POINTS, len(rows))).astype(np.int64)]
    labels = None
    if label is not None:
        shown = {level for level, _ in label.found.levels[:_MOST_LABELS]}
        labels = [one if one in shown else "others" for one in label.cells.to_numpy()[rows]]
    return Pairs(
        names=[one.found.name for one in chosen],
        points=[_plain(one.cells[rows]) for one in chosen],
        log=[one.found.histogram.log for one in chosen],
        spans=[(one.found.histogram.edges[0], one.found.histogram.edges[-1]) for one in chosen],
        labels=labels,
        labelled_by=label.found.name if label is not None else None,
    )


def label_of(categories: Sequence[Categories], preferred: str | None = None) -> Categories | None:
    """The column whose groups are worth a colour: the preferred one, else the first of few levels."""
    few = [one for one in categories if 2 <= one.found.distinct <= _MOST_LABELS]
    named = [one for one in categories if one.found.name == preferred and one.found.distinct >= 2]
    return next(iter([*named, *few]), None)


def age_groups(numbers: Sequence[Numbers], by: Categories | None) -> Groups | None:
    """Rows by age group, where there is a column of ages."""
    for one in numbers:
        quantiles = one.found.quantiles
        if _AGE.search(one.found.name) and quantiles["min"] >= 0 and quantiles["max"] <= _OLDEST:
            group = np.searchsorted(AGES, one.cells, side="right") - 1
            labels = [f"{a}–{b - 1}" for a, b in pairwise(AGES)] + [f"{AGES[-1]}+"]
            named = np.array([f"under {AGES[1]}", *labels[1:], None], dtype=object)
            texts = pd.Series(named[np.where(np.isnan(one.cells), len(labels), group)], dtype=object)
            others = [other for other in numbers if other is not one]
            return groups(one.found.name, texts, [str(label) for label in named[:-1]], others, by, ranges=True)
    return None


def groups(
    column: str,
    labels: "pd.Series[Any]",
    order: Sequence[str],
    numbers: Sequence[Numbers],
    by: Categories | None,
    *,
    ranges: bool = False,
) -> Groups:
    """Rows by label, in this order, with the medians of the number columns. Empty groups are left out."""
    places: Mapping[Any, Any] = labels.groupby(labels).indices
    found = []
    for label in order:
        rows = places.get(label)
        if rows is None:
            continue
        parts = by.cells.iloc[rows].value_counts() if by is not None else {}
        found.append(
            Group(
                label=label,
                rows=len(rows),
                medians={one.found.name: _median(one.cells[rows]) for one in numbers},
                parts={str(level): int(count) for level, count in parts.items()},
            )
        )
    return Groups(column, by.found.name if by is not None else None, ranges, found)


def outliers(numbers: Sequence[Numbers], ids: Sequence[Any] | None) -> Outliers | None:
    """Rows that lie far from the others in some column; None where there is no column of numbers."""
    chosen = [one for one in numbers if one.found.distinct > 2]
    if not chosen:
        return None
    names = [one.found.name for one in chosen]
    X = np.column_stack([one.scaled for one in chosen])
    z = OutlierBounds.of(X, tuple(names)).z(X)
    out = np.abs(z) > OUTLIER_Z
    strength = np.nanmax(np.where(out, np.abs(z), 0), axis=1)
    farthest = np.argsort(-strength, kind="stable")[:FARTHEST]
    return Outliers(
        threshold=OUTLIER_Z,
        rows=int(out.any(axis=1).sum()),
        low={name: int((z[:, place] < -OUTLIER_Z).sum()) for place, name in enumerate(names)},
        high={name: int((z[:, place] > OUTLIER_Z).sum()) for place, name in enumerate(names)},
        farthest=[
            Outlier(
                row=str(row + 1 if ids is None else ids[row]),
                values={names[place]: float(chosen[place].cells[row]) for place in np.flatnonzero(out[row])},
                z={names[place]: round(float(z[row, place]), 2) for place in np.flatnonzero(out[row])},
            )
            for row in farthest.tolist()
            if strength[row] > 0
        ],
    )


def _median(values: Floats) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmedian(values))


def _plain(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else float(f"{value:.6g}") for value in values.tolist()]
