"""Times: integer microseconds since 1970-01-01 UTC inside, RFC 3339 text at every border."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

MICROSECOND: Final = 1
SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ONE: Final = timedelta(microseconds=1)
_TWO_DIGITS: Final = [f"{number:02}" for number in range(60)]

# RFC 3339 section 5.6; its note allows a lower-case t and z and a space for the T.
RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def to_micros(moment: datetime) -> int:
    """Microseconds since the epoch of a time with a zone.

    >>> to_micros(datetime(1970, 1, 2, tzinfo=UTC)) == DAY
    True
    """
    return (moment - EPOCH) // _ONE


def from_micros(micros: int) -> datetime:
    """The time, in UTC, that lies so many microseconds after the epoch."""
    return EPOCH + timedelta(microseconds=micros)


def rfc3339(micros: int) -> str:
    """The time as RFC 3339 text in UTC, with a fraction only where there is one.

    >>> rfc3339(0), rfc3339(1_500_000)
    ('1970-01-01T00:00:00Z', '1970-01-01T00:00:01.500000Z')
    """
    return from_micros(micros).isoformat().replace("+00:00", "Z")


def rfc3339_each(moments: Iterable[int]) -> list[str]:
    """The same of many, in a third of the time: dates come again.

    >>> rfc3339_each([0, 1_500_000, -1]) == [rfc3339(0), rfc3339(1_500_000), rfc3339(-1)]
    True
    """
    texts = []
    for micros in moments:
        day, rest = divmod(micros, DAY)
        second, fraction = divmod(rest, SECOND)
        minute, second = divmod(second, 60)
        hour, minute = divmod(minute, 60)
        end = f".{fraction:06}Z" if fraction else "Z"
        texts.append(f"{_date(day)}T{_TWO_DIGITS[hour]}:{_TWO_DIGITS[minute]}:{_TWO_DIGITS[second]}{end}")
    return texts


@lru_cache(maxsize=20_000)
def _date(day: int) -> str:
    return (EPOCH + timedelta(days=day)).date().isoformat()


def parse_rfc3339(text: str) -> datetime:
    """The time that an RFC 3339 text names; digits beyond microseconds are cut off.

    Raises ValueError where the text is not RFC 3339 or names no zone.
    """
    if RFC3339.fullmatch(text) is None:
        raise ValueError("expected an RFC 3339 time with a zone, such as 2026-05-04T10:15:00Z")
    moment = datetime.fromisoformat(text.upper())
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is outside the years 1 to 9999 in UTC") from None
