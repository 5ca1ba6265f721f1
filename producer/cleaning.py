"""Columns as people write them, made into ids, times, numbers and money; what cannot be is marked, never guessed.

Ids and times are cleaned once per distinct value: half a million lines of a shop hold a few thousand of each.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import LivesegmentsError
from contracts.events import MAX_ID_LENGTH
from contracts.money import MAX_LINE_MILLIONTHS, MILLIONTHS
from producer.day_order import ORDERS, parse_dates
from producer.numbers import DecimalSign, parse_number

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MISSING: Final = -1
INVALID: Final = -2
NO_TIME: Final = np.iinfo(np.int64).min

_WHOLE_FLOAT = re.compile(r"(-?\d+)\.0+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_ZONE = re.compile(r":\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:?\d{2})$")
_FIRST_YEAR: Final = 2
_LAST_YEAR: Final = 9998
_LOOKED_AT: Final = 50
_EPOCH_UNITS: Final = ("s", "ms", "us")


class ColumnError(LivesegmentsError):
    """A column does not hold what it was mapped to; the text names it and shows a value.

    Parameters:
        told: the text.
        reason: the same without any value.
    """

    def __init__(self, told: str, reason: str = "a column does not hold what it was mapped to") -> None:
        super().__init__(told)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Ids:
    """A column of ids: `texts[codes[i]]` is the id in row i, where the code is not MISSING or INVALID."""

    codes: Ints
    texts: list[str]

    def rows(self, holds: Sequence[bool]) -> Mask:
        """Rows whose id is one that something holds for; not those without an id. One `holds` for each text."""
        return np.array([*holds, False, False], dtype=bool)[self.codes]  # the last two are INVALID and MISSING


def clean_ids(column: "pd.Series[Any]") -> Ids:
    """Text without outer blanks, case kept; 17850.0 becomes 17850, as spreadsheets make floats of ids with gaps."""
    codes, uniques = pd.factorize(column, use_na_sentinel=True)
    texts: dict[str, int] = {}
    renumbered = np.empty(len(uniques) + 1, dtype=np.int64)
    for place, unique in enumerate(uniques):
        text = clean_id(unique)
        if not text:
            renumbered[place] = MISSING
        elif len(text) > MAX_ID_LENGTH or _CONTROL.search(text):
            renumbered[place] = INVALID
        else:
            renumbered[place] = texts.setdefault(text, len(texts))
    renumbered[-1] = MISSING
    return Ids(renumbered[codes], list(texts))


def clean_id(value: object) -> str:
    """One id as text.

    >>> clean_id(17850.0), clean_id(" 17850.0 "), clean_id("85123a")
    ('17850', '17850', '85123a')
    """
    text = str(value).strip()
    whole = _WHOLE_FLOAT.fullmatch(text)
    return whole[1] if whole else text


def clean_numbers(column: "pd.Series[Any]", decimal: DecimalSign | None = None) -> Floats:
    """Numbers, NaN where there is none; with a decimal sign, also such as shops write them: see parse_number.

    Raises ColumnError where no row has one.
    """
    if decimal is None:
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        codes, uniques = pd.factorize(column, use_na_sentinel=True)
        numbers = np.array([*(parse_number(str(unique), decimal) for unique in uniques), np.nan])[codes]
    _check_some(column, ~np.isnan(numbers), "number")
    return numbers


def to_millionths(amounts: Floats) -> Ints:
    """Money rounded to six decimals, as integer millionths; shape kept.

    What is not finite, or beyond what a line may be worth, becomes -1 or the limit plus one: both are refused later.
    """
    limit = float(MAX_LINE_MILLIONTHS)
    scaled = np.clip(np.rint(amounts * MILLIONTHS), -limit - 1e6, limit + 1e6)
    return np.where(np.isfinite(scaled), scaled, -1).astype(np.int64)


def clean_times(column: "pd.Series[Any]", zone: tzinfo, time_format: str | None = None) -> Ints:
    """Microseconds UTC, NO_TIME where there is none.

    The format is as for strptime; `s`, `ms`, `us` since 1970; or `dmy`, `mdy`, `ymd`: what comes first in a date.
    Times without a zone are taken in `zone`: of an hour that happened twice the first, of one that never did the moment
    at which the clocks went on. Raises ColumnError where no row has a time.
    """
    codes, uniques = pd.factorize(column, use_na_sentinel=True)
    moments = _moments(pd.Series(uniques), zone, time_format)
    # NaT is the smallest integer in every unit.
    micros = np.append(moments.astype("datetime64[us, UTC]").astype(np.int64).to_numpy(), NO_TIME)
    times: Ints = micros[codes]
    _check_some(column, times != NO_TIME, "time")
    return times


def _moments(texts: "pd.Series[Any]", zone: tzinfo, time_format: str | None) -> "pd.Series[Any]":
    """Distinct values of a column as times in UTC."""
    if time_format in _EPOCH_UNITS:
        numbers = pd.to_numeric(texts, errors="coerce")
        since_1970: Any = pd.to_datetime(numbers, unit=cast("Any", time_format), errors="coerce", utc=True)
        return _in_utc(since_1970, zone)
    if pd.api.types.is_datetime64_any_dtype(texts.dtype):
        return _in_utc(texts.astype("datetime64[us]") if texts.dt.tz is None else texts, zone)
    texts = texts.astype(str).str.strip()
    if time_format in ORDERS:
        texts, named = parse_dates(texts, cast("Any", time_format))
        zoned, time_format = named.to_numpy(dtype=bool), "ISO8601"
    else:
        zoned = texts.str.contains(_ZONE).to_numpy(dtype=bool)
    moments = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[us, UTC]")
    if zoned.any():
        moments[zoned] = pd.to_datetime(texts[zoned], format=time_format or "ISO8601", errors="coerce", utc=True)
    if not zoned.all():
        moments[~zoned] = _in_utc(_parse_naive(texts[~zoned], time_format), zone)
    return moments


def _parse_naive(texts: "pd.Series[Any]", time_format: str | None) -> "pd.Series[Any]":
    """Times without a zone, all in one format, so that 13/1 and 1/12 are not read by two rules.

    ISO 8601 if any is; else the format that reads most of them, month before day if that reads as many.
    """
    if time_format is not None:
        return pd.to_datetime(texts, format=time_format, errors="coerce")
    parsed = pd.to_datetime(texts, format="ISO8601", errors="coerce")
    if parsed.notna().any():
        return parsed
    for found in formats_of(texts):
        reading = pd.to_datetime(texts, format=found, errors="coerce")
        if reading.notna().sum() > parsed.notna().sum():
            parsed = reading
    return parsed


def formats_of(texts: "pd.Series[Any]") -> list[str]:
    """Formats that the first texts may be in, month before day first."""
    guess: Any = pd.tseries.api.guess_datetime_format
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where a text shows that the day comes first
        found = [guess(text, dayfirst=day_first) for day_first in (False, True) for text in texts.head(_LOOKED_AT)]
    return [known for known in dict.fromkeys(found) if known is not None]


def _in_utc(moments: "pd.Series[Any]", zone: tzinfo) -> "pd.Series[Any]":
    # At the ends of the calendar, where 9999-12-31 stands for "never", no zone can be applied.
    moments = moments.where(moments.dt.year.between(_FIRST_YEAR, _LAST_YEAR))
    if moments.dt.tz is None:
        first = np.ones(len(moments), dtype=bool)
        moments = moments.dt.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    in_utc: pd.Series[Any] = moments.dt.tz_convert("UTC")
    return in_utc


def _check_some(column: "pd.Series[Any]", usable: Mask, wanted: str) -> None:
    if len(column) and not usable.any():
        present = column.dropna()
        seen = f"such as {str(present.iloc[0])[:40]!r}" if len(present) else "it is empty"
        hint = " Say --time-format, as for strptime." if wanted == "time" else ""
        reason = f"column {column.name!r} holds no {wanted}"
        raise ColumnError(f"{reason}: {seen}.{hint}", reason)
