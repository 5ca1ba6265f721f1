"""Conditions on customers as a tree: frozen, and printed in the language that they are read from."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from contracts.times import DAY, HOUR, MINUTE, SECOND

ATTRIBUTES: Final = "attributes."
"""What the names of fields begin with that are profile attributes."""
Operator = Literal["=", "!=", "<", "<=", ">", ">="]
MEDIAN: Final = 50.0
DURATION_UNITS: Final = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": SECOND // 1000, "us": 1}
"""As in settings."""
_PLAIN: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number."""

    value: float

    def __str__(self) -> str:
        return repr(float(self.value)).removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time, for fields in days."""

    microseconds: int

    @property
    def days(self) -> float:
        """The same in days."""
        return self.microseconds / DAY

    def __str__(self) -> str:
        left, parts = self.microseconds, []
        for unit, size in DURATION_UNITS.items():
            count, left = divmod(left, size)
            if count:
                parts.append(f"{count}{unit}")
        return "".join(parts) or "0s"


@dataclass(frozen=True, slots=True)
class Text:
    """A text."""

    value: str

    def __str__(self) -> str:
        return quoted(self.value)


@dataclass(frozen=True, slots=True)
class Flag:
    """A truth value."""

    value: bool

    def __str__(self) -> str:
        return str(self.value).lower()


@dataclass(frozen=True, slots=True)
class Relative:
    """A multiple of a percentile of the field itself, among the customers."""

    factor: float
    percent: float
    """0 … 100; 50 is the median."""

    def __str__(self) -> str:
        name = "median" if self.percent == MEDIAN else f"p{Number(self.percent)}"
        return name if self.factor == 1 else f"{Number(self.factor)} * {name}"


Value = Number | Duration | Text | Flag | Relative


@dataclass(frozen=True, slots=True)
class Compare:
    """A field compared with a value."""

    field: str
    operator: Operator
    value: Value

    def __str__(self) -> str:
        return f"{field_text(self.field)} {self.operator} {self.value}"


@dataclass(frozen=True, slots=True)
class Between:
    """A field within two values, both included."""

    field: str
    low: Value
    high: Value

    def __str__(self) -> str:
        return f"{field_text(self.field)} between {self.low} and {self.high}"


@dataclass(frozen=True, slots=True)
class Among:
    """A field equal to one of some values."""

    field: str
    values: tuple[Value, ...]

    def __str__(self) -> str:
        return f"{field_text(self.field)} in ({', '.join(map(str, self.values))})"


@dataclass(frozen=True, slots=True)
class Missing:
    """A field that is not known of a customer."""

    field: str

    def __str__(self) -> str:
        return f"{field_text(self.field)} is missing"


@dataclass(frozen=True, slots=True)
class Not:
    """What does not hold; what can not be said stays so."""

    part: "Condition"

    def __str__(self) -> str:
        return f"not {_inner(self.part)}"


@dataclass(frozen=True, slots=True)
class And:
    """What holds in every part."""

    parts: tuple["Condition", ...]

    def __str__(self) -> str:
        return " and ".join(map(_inner, self.parts))


@dataclass(frozen=True, slots=True)
class Or:
    """What holds in some part."""

    parts: tuple["Condition", ...]

    def __str__(self) -> str:
        return " or ".join(str(one) if isinstance(one, And) else _inner(one) for one in self.parts)


Leaf = Compare | Between | Among | Missing
Condition = Leaf | Not | And | Or


def leaves(condition: Condition) -> tuple[Leaf, ...]:
    """The comparisons of a condition, from left to right."""
    match condition:
        case Not(part):
            return leaves(part)
        case And(parts) | Or(parts):
            return tuple(leaf for part in parts for leaf in leaves(part))
        case _:
            return (condition,)


def values_of(leaf: Leaf) -> tuple[Value, ...]:
    """What a field is compared with."""
    match leaf:
        case Compare(value=value):
            return (value,)
        case Between(low=low, high=high):
            return (low, high)
        case Among(values=values):
            return values
        case Missing():
            return ()


def quoted(text: str) -> str:
    r"""A text as it stands in a condition.

    >>> print(quoted('19" rack'))
    "19\" rack"
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def field_text(field: str) -> str:
    """A field as it stands in a condition: names of attributes that are no plain names in quotation marks."""
    if not field.startswith(ATTRIBUTES):
        return field
    name = field.removeprefix(ATTRIBUTES)
    return ATTRIBUTES + (name if _PLAIN.fullmatch(name) else quoted(name))


def _inner(condition: Condition) -> str:
    """As a part of something that binds more tightly, or of its own kind."""
    return f"({condition})" if isinstance(condition, And | Or) else str(condition)
