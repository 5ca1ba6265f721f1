"""Dates in digits: whether day, month or year comes first is seen from the dates themselves, or not said at all."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import pandas as pd

DayOrder = Literal["dmy", "mdy", "ymd"]
ORDERS: Final[tuple[DayOrder, ...]] = ("dmy", "mdy", "ymd")

_DATE: Final = re.compile(
    r"(?P<a>\d{1,4})[./-](?P<b>\d{1,2})[./-](?P<c>\d{1,4})\.?"
    r"(?:(?:,?\s*[Tt]?\s*)(?P<H>\d{1,2})[:.h](?P<M>\d{2})(?:[:.](?P<S>\d{2})(?P<f>\.\d{1,9})?)?"
    r"\s*(?P<half>[AaPp])?(?:\.?\s?[Mm]\.?)?)?"
    r"\s*(?P<zone>[Zz]|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
_LONGEST: Final = 60
"""Characters of a date; what is longer is none, and may take for ever to be looked at."""
_MONTHS: Final = 12
_DAYS: Final = 31
_NOON: Final = 12
_CENTURY: Final = 69
"""Years of two digits are of 1969 to 2068, as everywhere."""
_YEAR_DIGITS: Final = 4


@dataclass(slots=True)
class OrderEvidence:
    """What dates have shown so far."""

    dmy: str = ""
    """A date whose day comes first; empty: none seen. Likewise the others."""
    mdy: str = ""
    ymd: str = ""
    unclear: str = ""
    """A date that is another one if month and day change places."""
    seen: int = 0
    others: int = 0
    """Texts that are no such date."""

    def look(self, texts: Iterable[str]) -> None:
        """Take in more dates."""
        for text in texts:
            found = _matched(text)
            if found is None:
                self.others += 1
                continue
            self.seen += 1
            a, b = int(found["a"]), int(found["b"])
            if len(found["a"]) == _YEAR_DIGITS or (a > _DAYS and len(found["c"]) < _YEAR_DIGITS):
                self.ymd = self.ymd or text
            elif a > _MONTHS >= b:
                self.dmy = self.dmy or text
            elif b > _MONTHS >= a:
                self.mdy = self.mdy or text
            else:
                self.unclear = self.unclear or text

    @property
    def decided(self) -> bool:
        """Whether looking on can change nothing for the better."""
        return bool(self.dmy or self.mdy or (self.ymd and not self.unclear))

    @property
    def order(self) -> DayOrder | None:
        """What comes first; None where it is unclear, or dates contradict each other."""
        shown = [order for order in ORDERS if getattr(self, order)]
        if len(shown) == 1 and (shown[0] != "ymd" or not self.unclear):
            return shown[0]
        return None


def parse_dates(texts: "pd.Series[Any]", order: DayOrder) -> tuple["pd.Series[Any]", "pd.Series[Any]"]:
    """Texts as ISO 8601, empty where they are no such date, and which of them name a zone."""
    import pandas as pd  # noqa: PLC0415 - settings name orders of dates, and most commands read no table

    iso, zoned = [], []
    for text in texts:
        found = _matched(str(text))
        written = _iso(found, order) if found is not None else ""
        iso.append(written)
        zoned.append(bool(written and found is not None and found["zone"]))
    return pd.Series(iso, index=texts.index, dtype=str), pd.Series(zoned, index=texts.index, dtype=bool)


def _matched(text: str) -> re.Match[str] | None:
    text = text.strip()
    return _DATE.fullmatch(text) if len(text) <= _LONGEST else None


def _iso(found: re.Match[str], order: DayOrder) -> str:
    parts = dict(zip(order, (found["a"], found["b"], found["c"]), strict=True))
    if len(parts["m"]) > 2 or len(parts["d"]) > 2 or len(parts["y"]) not in {2, _YEAR_DIGITS}:
        return ""
    year = int(parts["y"])
    if len(parts["y"]) == 2:
        year += 1900 if year >= _CENTURY else 2000
    hour = int(found["H"] or 0)
    if found["half"]:
        if not 1 <= hour <= _NOON:
            return ""
        hour = hour % _NOON + (_NOON if found["half"] in "Pp" else 0)
    zone = found["zone"] or ""
    if zone in {"UTC", "GMT", "z", "Z"}:
        zone = "Z"
    elif zone and ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    time = f"{hour:02d}:{found['M'] or '00'}:{found['S'] or '00'}{(found['f'] or '')[:7]}"
    return f"{year:04d}-{int(parts['m']):02d}-{int(parts['d']):02d}T{time}{zone}"
