"""Columns of a table as what they are: numbers, categories, times, or ids and free text."""

import re
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from livesegments.explore.findings import CategoryColumn, Column, Histogram, NumberColumn, TextColumn, TimeColumn
from producer.cleaning import NO_TIME, ColumnError, clean_times

Floats = npt.NDArray[np.float64]

LEVELS_SHOWN: Final = 10
_MOST_LEVELS: Final = 100
"""A text column with more different values is free text, ..."""
_LEVEL_SHARE: Final = 0.5
"""... and so is one whose values are mostly different."""
_BINS: Final = (12, 40)
_SINGLE_VALUES: Final = 30
"""So many different whole numbers get a bar each."""
_SKEWED: Final = 3.0
"""Numbers from 0 on with a larger skewness are looked at on a logarithmic scale."""
_EXACT: Final = 2.0**50
"""Below it there is room between two whole numbers."""
_CUT: Final = (0.005, 0.995)
_FAR: Final = 3.0
"""A histogram that is not logarithmic spans these quantiles, where all values would make it so many times wider."""
_ID: Final = re.compile(r"(^|[_\W]|[a-z](?=I))(id|no|code|number|nr)$", re.IGNORECASE)
_DAYS: Final = 62
_WEEKS: Final = 730
"""Longest spans, in days, that are counted by day and by week."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """A number column of a table, ready to be compared with others."""

    found: NumberColumn
    cells: Floats
    """(rows,), NaN where missing."""

    @property
    def scaled(self) -> Floats:
        """On the scale on which values are compared: sign(x) log1p(|x|) where some lie very far out."""
        drawn = self.found.histogram
        far = drawn.log or drawn.below or drawn.above
        return np.sign(self.cells) * np.log1p(np.abs(self.cells)) if far else self.cells


@dataclass(frozen=True, slots=True)
class Categories:
    """A category column of a table."""

    found: CategoryColumn
    cells: "pd.Series[Any]"
    """(rows,) texts, None where missing."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A column of which only the description is of use."""

    found: Column


Typed = Numbers | Categories | Plain


def typed(column: "pd.Series[Any]", kind: str | None, zone: tzinfo, time_format: str | None = None) -> Typed:
    """A column as what it is; `kind` where that is known: number, category, time or text."""
    name = str(column.name)
    kind = kind or _kind(column, name)
    if kind == "time":
        return Plain(_time(column, name, zone, time_format))
    if kind == "number":
        numbers = _numeric(column)
        missing = int(column.isna().sum())
        if np.isfinite(numbers).any():
            return number(name, numbers, missing=missing, unusable=int(np.isnan(numbers).sum()) - missing)
    texts = _texts(column)
    counts = texts.value_counts()
    missing = int(texts.isna().sum())
    if kind == "category" and len(counts):
        shown = [(str(level), int(count)) for level, count in counts.head(LEVELS_SHOWN).items()]
        others = int(counts.iloc[LEVELS_SHOWN:].sum())
        return Categories(CategoryColumn(name, missing, len(counts), shown, others), texts)
    return Plain(TextColumn(name, missing, len(counts)))


def number(name: str, values: Floats, missing: int | None = None, unusable: int = 0) -> Numbers:
    """A column of numbers, NaN where there is none; infinite ones count as none."""
    values = np.where(np.isfinite(values), values, np.nan)
    there = values[~np.isnan(values)]
    places = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
    names = ("min", "p05", "p25", "median", "p75", "p95", "max")
    quantiles = np.quantile(there, places).tolist() if there.size else [0.0] * len(places)
    found = NumberColumn(
        name=name,
        missing=len(values) - there.size if missing is None else missing,
        unusable=unusable,
        distinct=len(np.unique(there)),
        mean=float(there.mean()) if there.size else 0.0,
        deviation=float(there.std()) if there.size else 0.0,
        quantiles=dict(zip(names, quantiles, strict=True)),
        histogram=histogram(there),
    )
    return Numbers(found, values)


def histogram(values: Floats) -> Histogram:
    """The histogram of finite values: a bar for each of few whole numbers, else bins on the scale that suits them."""
    distinct = np.unique(values)
    if distinct.size == 0:
        return Histogram([], [], 0, 0, log=False)
    whole = bool((distinct == np.rint(distinct)).all() and np.abs(distinct).max() < _EXACT)
    if whole and distinct[-1] - distinct[0] < _SINGLE_VALUES:
        edges = np.arange(distinct[0] - 0.5, distinct[-1] + 1)
        return Histogram(edges.tolist(), np.histogram(values, edges)[0].tolist(), 0, 0, log=False)
    if distinct[0] >= 0 and _skewness(values) > _SKEWED:
        logs = np.log1p(values)
        edges = np.expm1(np.histogram_bin_edges(logs, _bins(logs, logs.min(), logs.max())))
        if whole:  # a bin between two whole numbers would always be empty
            edges = np.unique(np.append(np.floor(edges[:-1]), distinct[-1] + 1)) - 0.5
        edges[0], edges[-1] = max(min(edges[0], distinct[0]), 0), max(edges[-1], distinct[-1])
        return Histogram(edges.tolist(), np.histogram(values, edges)[0].tolist(), 0, 0, log=True)
    low, high = np.quantile(values, _CUT)
    if low == high or distinct[-1] - distinct[0] < _FAR * (high - low):
        low, high = distinct[0], distinct[-1]
    inside = values[(values >= low) & (values <= high)]
    edges = np.unique(np.linspace(low, high, _bins(inside, low, high) + 1))
    if edges.size < 2:
        room = max(0.5, abs(low) * 1e-9)
        edges = np.array([low - room, low + room])
    counts, _ = np.histogram(inside, edges)
    beyond = int((values < low).sum()), int((values > high).sum())
    return Histogram(edges.tolist(), counts.tolist(), *beyond, log=False)


def _bins(values: Floats, low: float, high: float) -> int:
    """As many as Freedman and Diaconis would take, within limits."""
    q25, q75 = np.quantile(values, (0.25, 0.75))
    width = 2 * (q75 - q25) / values.size ** (1 / 3)
    wanted = (high - low) / width if width > 0 else _BINS[1]
    return int(np.clip(round(wanted), *_BINS))


def _skewness(values: Floats) -> float:
    deviation = values.std()
    return float(((values - values.mean()) ** 3).mean() / deviation**3) if deviation > 0 else 0.0


def _kind(column: "pd.Series[Any]", name: str) -> str:
    present = column.dropna()
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return "time"
    if pd.api.types.is_bool_dtype(column.dtype) or not len(present):
        return "category"
    distinct = present.nunique()
    named_id = _ID.search(name) is not None
    if np.isfinite(_numeric(present)).all():
        return "text" if named_id and distinct > _MOST_LEVELS else "number" if distinct > 2 else "category"
    few = distinct <= _MOST_LEVELS and (distinct <= LEVELS_SHOWN or distinct < _LEVEL_SHARE * len(present))
    return "category" if few else "text"


def _numeric(column: "pd.Series[Any]") -> Floats:
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _texts(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """As texts without outer blanks, one conversion a distinct value; None where there is nothing."""
    codes, uniques = pd.factorize(column, use_na_sentinel=True)
    texts = np.array([*(str(one).strip() or None for one in uniques), None], dtype=object)
    return pd.Series(texts[codes], dtype=object)


def _time(column: "pd.Series[Any]", name: str, zone: tzinfo, time_format: str | None) -> Column:
    missing = int(column.isna().sum())
    try:
        micros = clean_times(column, zone, time_format)
    except ColumnError:
        return TextColumn(name, missing, int(column.nunique()))
    there = micros[micros != NO_TIME]
    moments = pd.Series(pd.to_datetime(there, unit="us", utc=True)).dt.tz_convert(zone).dt.tz_localize(None)
    first, last = moments.min(), moments.max()
    days = (last - first).days
    step, frequency = ("day", "D") if days <= _DAYS else ("week", "W-MON") if days <= _WEEKS else ("month", "M")
    starts = moments.dt.to_period("W-SUN" if step == "week" else frequency).dt.start_time
    counts = starts.value_counts().sort_index()
    return TimeColumn(
        name=name,
        missing=missing,
        unusable=len(column) - len(there) - missing,
        first=first.isoformat(timespec="seconds"),
        last=last.isoformat(timespec="seconds"),
        step=step,  # type: ignore[arg-type]
        counts=[(str(start.date()), int(count)) for start, count in counts.items()],  # type: ignore[attr-defined]
    )
