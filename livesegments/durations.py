"""Durations as people write them: `90d`, `12h`, `1h30m`, `5s`."""

import re
from typing import Any, Final, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from contracts.times import DAY, HOUR, MINUTE, SECOND

_UNITS: Final = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": SECOND // 1000, "us": 1}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(d|h|ms|m|us|s)")
_WHOLE: Final = re.compile(rf"(?:{_PART.pattern})+")
_LONGEST: Final = 36_500 * DAY


class Duration(int):
    """Microseconds that read and print as text.

    >>> Duration.parse("1h30m") == 90 * MINUTE, str(Duration(30 * DAY)), str(Duration.parse("0.5s"))
    (True, '30d', '500ms')
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Self:
        """The duration that a text names. Raises ValueError, whose text shows how one looks."""
        if isinstance(text, cls):
            return text
        if text == "0" or text == 0:  # noqa: PLR1714 - not in a set: a list from a settings file has no hash
            return cls(0)
        compact = text.replace(" ", "") if isinstance(text, str) else ""
        if _WHOLE.fullmatch(compact) is None:
            raise ValueError("expected a duration such as 30d, 12h, 5m, 1.5s or 200ms")
        micros = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(compact))  # may be infinite
        if micros > _LONGEST:
            raise ValueError("a duration may be 100 years at most")
        return cls(round(micros))

    @property
    def seconds(self) -> float:
        """As seconds."""
        return self / SECOND

    @property
    def milliseconds(self) -> int:
        """As whole milliseconds."""
        return self // 1000

    def __str__(self) -> str:
        # Up to days only in whole steps: 90d says more than 12w6d.
        left, parts = int(self), []
        for unit, size in _UNITS.items():
            count, left = divmod(left, size)
            if count:
                parts.append(f"{count}{unit}")
        return "".join(parts) or "0s"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse)
