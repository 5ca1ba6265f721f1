"""Times as most producers write them, `2026-11-22T09:30:00Z` with or without fractions and offset, to microseconds UTC.

Plain are those of three centuries, in capitals, with at most six digits of fractions; anything else that RFC 3339
allows is for the contract. Times of one length are read all at once.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from contracts.times import EPOCH

_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 2199
plain_time = re.compile(
    r"(?:19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
).fullmatch
"""Whether a text is a plain time; its numbers may still be out of range."""

_ONE_MICROSECOND: Final = timedelta(microseconds=1)
_MANY: Final = 64
"""From so many on it is faster to read them all at once."""
_MONTHS: Final = np.arange(f"{_FIRST_YEAR}-01", f"{_LAST_YEAR + 1}-02", dtype="datetime64[M]")
_MONTH_STARTS: Final = _MONTHS.astype("datetime64[D]").astype(np.int64)
"""Days since 1970, of every month of the three centuries and one more."""
_MONTH_DAYS: Final = np.diff(_MONTH_STARTS)


def micros_of(text: str) -> int:
    """The microseconds of one plain time. Raises ValueError where its numbers are out of range."""
    return (datetime.fromisoformat(text) - EPOCH) // _ONE_MICROSECOND


def micros_of_plain(texts: Sequence[str]) -> list[int]:
    """The microseconds of plain times. Raises ValueError where any is not plain or out of range."""
    if len(texts) >= _MANY and len(set(map(len, texts))) == 1:
        found = _of_one_length("".join(texts), len(texts[0]))
        if found is not None:
            return found
    if not all(map(plain_time, texts)):
        raise ValueError("not all are plain times")
    return [micros_of(text) for text in texts]


class _Form:
    """Where things stand in a time in UTC of some length."""

    def __init__(self, length: int) -> None:
        model = "YYYY-MM-DDThh:mm:ss" + ("." + "f" * (length - 21) if length > 20 else "") + "Z"
        self.digits = [place for place, one in enumerate(model) if one.isalpha() and one not in "TZ"]
        others = [place for place in range(length) if place not in self.digits]
        self.others = others
        self.signs = np.frombuffer("".join(model[place] for place in others).encode(), np.uint8)[:, None]
        fields = "YMDhmsf"
        self.weights = np.zeros((len(fields), len(self.digits)))
        """(fields, digits): by how much a digit counts for year, month, day, hour, minute, second and microsecond."""
        for number, place in enumerate(self.digits):
            one = model[place]
            unit = 10 ** (5 - (place - 20)) if one == "f" else 10 ** (model.rindex(one) - place)
            self.weights[fields.index(one), number] = unit


_FORMS: Final = {length: _Form(length) for length in (20, *range(22, 28))}
"""Without a fraction, and with one of one to six digits."""


def _of_one_length(text: str, length: int) -> list[int] | None:
    """The microseconds of plain times in UTC that follow each other in a text; None where any is something else."""
    form = _FORMS.get(length)
    if form is None or not text.isascii():
        return None
    signs = np.frombuffer(text.encode(), np.uint8).reshape(-1, length).T.copy()
    digits = signs[form.digits] - np.uint8(ord("0"))
    if digits.max() > 9 or not (signs[form.others] == form.signs).all():
        return None
    year, month, day, hour, minute, second, micros = (form.weights @ digits).astype(np.int64)
    if (
        year.min() < _FIRST_YEAR
        or year.max() > _LAST_YEAR
        or month.min() < 1
        or month.max() > 12
        or day.min() < 1
        or max(hour.max() - 23, minute.max() - 59, second.max() - 59) > 0
    ):
        return None
    months = (year - _FIRST_YEAR) * 12 + month - 1
    if (day > _MONTH_DAYS[months]).any():
        return None
    days = _MONTH_STARTS[months] + day - 1
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    found: list[int] = (seconds * 1_000_000 + micros).tolist()
    return found
