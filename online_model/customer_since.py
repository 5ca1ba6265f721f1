"""Since when somebody is a customer, by the profile: the history of purchases may begin later than they did."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import numpy as np

from contracts.times import SECOND, to_micros
from online_model.arrays import Integers
from online_model.features import MISSING_TIME, TextColumn

ATTRIBUTE: Final = "customer_since"
"""The profile attribute."""
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?", re.ASCII)
_YEARS: Final = range(1900, 2200)
_MOST_SECONDS: Final = 1e11
"""Beyond the year 5000: no seconds."""


def customer_since(told: TextColumn) -> Integers:
    """Microseconds UTC, (customers,); MISSING_TIME where nothing is told that can be understood."""
    moments: Integers = np.full(len(told.codes), MISSING_TIME)
    known = np.flatnonzero(told.codes >= 0)
    if known.size:
        codes, places = np.unique(told.codes[known], return_inverse=True)
        moments[known] = np.array([moment(told.values[code]) for code in codes.tolist()], np.int64)[places]
    return moments


@lru_cache(65_536)
def moment(text: str) -> int:
    """A date, a date and time, a year, or seconds since 1970, as microseconds UTC; MISSING_TIME for anything else.

    Dates and times that name no zone are UTC's.

    >>> moment("2019-03-01") == moment("1551398400") == moment("2019-03-01T01:00:00+01:00") == 1551398400 * SECOND
    True
    >>> moment("2019") == moment("2019-01-01"), moment("last year") == MISSING_TIME
    (True, True)
    """
    try:
        if _DATE.fullmatch(text):
            at = datetime.fromisoformat(text)
            return to_micros(at if at.tzinfo else at.replace(tzinfo=UTC))
        number = float(text)
        if number in _YEARS:
            return to_micros(datetime(int(number), 1, 1, tzinfo=UTC))
        return round(number * SECOND) if abs(number) < _MOST_SECONDS else MISSING_TIME
    except (ValueError, OverflowError):
        return MISSING_TIME
