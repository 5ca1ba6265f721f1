"""What a column's cells look like."""

import re
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from producer.day_order import OrderEvidence
from producer.numbers import currency_sign, looks_like_number

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_CODE: Final = re.compile(r"[A-Z]{3}")
_EPOCH: Final = re.compile(r"\d{10}|\d{13}|\d{16}")
_COMPACT: Final = re.compile(r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])(?:\d{6})?")
_PERSON: Final = re.compile(r"[^\W\d_]+(?:[ .'-]+[^\W\d_]+)+")
_LOOKED_AT: Final = 2_000
"""Distinct cells of a column that are looked at."""
_LONGEST: Final = 300
"""Characters of a cell that are looked at: more are no number, date, address or name."""
MOSTLY: Final = 0.9


@dataclass(frozen=True, slots=True)
class Facts:
    """Shares are of distinct cells that are not empty."""

    filled: float
    """Share of rows that are not empty."""
    distinct: int
    numbers: float
    dates: float
    """Also times since 1970, and dates without anything between their digits."""
    with_months: float
    """Dates with names of months, in English."""
    emails: float
    currencies: float
    persons: float
    """Words and blanks alone: names of people, as it may be."""
    signs: frozenset[str]
    """Currencies that stand beside numbers."""


def facts_of(column: "pd.Series[Any]") -> Facts:
    """Look at a sample of a column, as text."""
    present = column.dropna()
    cells = [text for text in (str(cell).strip()[:_LONGEST] for cell in present.unique()[:_LOOKED_AT]) if text]
    count = max(1, len(cells))
    dates = OrderEvidence()
    dates.look(cells)
    compact = sum(bool(_EPOCH.fullmatch(cell) or _COMPACT.fullmatch(cell)) for cell in cells)
    numbers = [cell for cell in cells if looks_like_number(cell)]
    signs = {sign for cell in numbers if (sign := currency_sign(cell)) is not None}
    digits = dates.seen + compact
    worded = (
        [cell for cell in cells if re.search(r"\d", cell) and re.search(r"[A-Za-z]{3}", cell)] if not digits else []
    )
    named = pd.to_datetime(pd.Series(worded, dtype=str), format="mixed", errors="coerce", utc=True) if worded else None
    return Facts(
        filled=len(present) / max(1, len(column)),
        distinct=int(present.nunique()),
        numbers=len(numbers) / count,
        dates=digits / count,
        with_months=0.0 if named is None else float(named.notna().sum()) / count,
        emails=sum(bool(_EMAIL.fullmatch(cell)) for cell in cells) / count,
        currencies=sum(bool(_CODE.fullmatch(cell.upper())) for cell in cells) / count,
        persons=sum(bool(_PERSON.fullmatch(cell)) for cell in cells) / count,
        signs=frozenset(signs),
    )
