"""What is true of customers: conditions over columns, in Kleene's three-valued logic."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.documents import NO_SEGMENT
from online_model.arrays import Booleans, Floats
from online_model.condition import (
    ATTRIBUTES,
    Among,
    And,
    Between,
    Compare,
    Condition,
    Duration,
    Flag,
    Leaf,
    Missing,
    Not,
    Number,
    Operator,
    Or,
    Relative,
    Text,
    Value,
)
from online_model.condition_fields import FEATURE, FIGURES, SEGMENT, SEGMENT_ID, ConditionColumns, kind_of
from online_model.features import FEATURES, TextColumn, bought
from online_model.names import TABLE

_COMPARE: Final[dict[Operator, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_FAMILIES: Final = sorted((line.name.casefold() for line in TABLE), key=len, reverse=True)
"""Names of the naming table; a comma and what tells twins apart may follow them."""


class Truth(NamedTuple):
    """Of whom something is true and of whom it is false, (customers,) each; of the others it is not known."""

    yes: Booleans
    no: Booleans


@dataclass(frozen=True, slots=True)
class Customers:
    """Customers' columns and what else conditions look at; what is computed is kept for the next comparison."""

    columns: ConditionColumns
    now: int
    segment_names: Mapping[int, str]
    """Of all segments, by id; a customer in another one has none."""
    population: Mapping[str, float] = field(default_factory=dict)
    """By `statistic`; a percentile that is not there is not known."""
    order_value: float = 1.0
    """The model version's, for features."""
    _numbers: dict[str, Floats] = field(default_factory=dict)
    _labels: dict[str, TextColumn] = field(default_factory=dict)

    def numbers(self, name: str) -> Floats:
        """A field as numbers, (customers,); NaN where it is not known or no number."""
        if name not in self._numbers:
            self._numbers[name] = self._computed(name)
        return self._numbers[name]

    def labels(self, name: str) -> TextColumn:
        """An attribute or the segment as text."""
        if name not in self._labels:
            found = self._segments() if name == SEGMENT else self.columns.labels(name.removeprefix(ATTRIBUTES))
            self._labels[name] = found
        return self._labels[name]

    def _computed(self, name: str) -> Floats:
        columns = self.columns
        if name in FIGURES:
            return FIGURES[name].figure(columns, self.now)
        if name == SEGMENT_ID:
            return np.where(columns.segment == NO_SEGMENT, np.nan, columns.segment)
        if name.startswith(FEATURE):
            values = FEATURES[name.removeprefix(FEATURE)].function(columns, self.now, self.order_value)
            return np.where(bought(columns), values, np.nan)
        return columns.numbers(name.removeprefix(ATTRIBUTES))

    def _segments(self) -> TextColumn:
        ids = np.array(sorted(self.segment_names), np.int64)
        own = self.columns.segment
        if not ids.size:
            return TextColumn(np.full(len(own), -1, np.int32), ())
        places = np.minimum(np.searchsorted(ids, own), len(ids) - 1).astype(np.int32)
        places[ids[places] != own] = -1
        return TextColumn(places, [self.segment_names[one] for one in ids.tolist()])


def statistic(name: str, percent: float) -> str:
    """How a percentile of a field is called in a population.

    >>> statistic("units_per_order", 50.0)
    'p50 units_per_order'
    """
    return f"p{percent:g} {name}"


def truth(condition: Condition, customers: Customers) -> Truth:
    """Of whom a condition is true, and of whom false."""
    match condition:
        case Not(part):
            inner = truth(part, customers)
            return Truth(inner.no, inner.yes)
        case And(parts):
            return _every([truth(part, customers) for part in parts])
        case Or(parts):
            return _some([truth(part, customers) for part in parts])
        case _:
            return _of_leaf(condition, customers)


def _of_leaf(leaf: Leaf, customers: Customers) -> Truth:
    match leaf:
        case Compare(name, sign, value):
            return _compare(name, sign, value, customers)
        case Between(name, low, high):
            return _every([_compare(name, ">=", low, customers), _compare(name, "<=", high, customers)])
        case Among(name, values):
            return _some([_compare(name, "=", value, customers) for value in values])
        case Missing(name):
            missing = _missing(name, customers)
            return Truth(missing, ~missing)


def _every(parts: list[Truth]) -> Truth:
    yes = np.logical_and.reduce([part.yes for part in parts])
    return Truth(yes, np.logical_or.reduce([part.no for part in parts]))


def _some(parts: list[Truth]) -> Truth:
    yes = np.logical_or.reduce([part.yes for part in parts])
    return Truth(yes, np.logical_and.reduce([part.no for part in parts]))


def _missing(name: str, customers: Customers) -> Booleans:
    if kind_of(name) in ("segment", "attribute"):
        return np.asarray(customers.labels(name).codes < 0)
    return np.isnan(customers.numbers(name))


def _compare(name: str, sign: Operator, value: Value, customers: Customers) -> Truth:
    if isinstance(value, Text | Flag):
        return _compare_text(name, sign, value, customers)
    values = customers.numbers(name)
    number = _number(name, value, customers)
    known = ~np.isnan(values) & (number is not None)
    yes = known & _COMPARE[sign](values, number if number is not None else 0.0)
    return Truth(yes, known & ~yes)


def _number(name: str, value: Number | Duration | Relative, customers: Customers) -> float | None:
    if isinstance(value, Number):
        return value.value
    if isinstance(value, Duration):
        return value.days
    measured = customers.population.get(statistic(name, value.percent))
    return None if measured is None else value.factor * measured


def _compare_text(name: str, sign: Operator, value: Text | Flag, customers: Customers) -> Truth:
    """Texts as they are written, truth values and names of segments in any case; decided once for each text."""
    labels = customers.labels(name)
    codes: npt.NDArray[np.integer] = labels.codes
    texts = labels.values
    if len(texts) > len(codes):
        # Texts are those of all rows there are; of ids and the like each customer has another one.
        own = np.unique(codes[codes >= 0])
        codes = np.where(codes >= 0, np.searchsorted(own, codes), -1)
        texts = [texts[place] for place in own.tolist()]
    yes = np.array([*_decide(name, sign, value, texts), False], np.bool_)[codes]  # the last one for code -1
    return Truth(yes, (codes >= 0) & ~yes)


def _decide(name: str, sign: Operator, value: Text | Flag, texts: Sequence[str]) -> list[bool]:
    if name == SEGMENT:
        return [_is_segment(one, str(value.value)) == (sign == "=") for one in texts]
    if isinstance(value, Flag):
        return [_COMPARE[sign](one.lower(), str(value)) for one in texts]
    return [_COMPARE[sign](one, value.value) for one in texts]


def _is_segment(name: str, asked: str) -> bool:
    """Whether a segment is the one asked for, or a twin of it: `Loyal` is `Loyal, higher spend`, too."""
    name, asked = name.casefold(), asked.casefold()
    if name == asked:
        return True
    # Of names that begin alike the longer one is meant: "Lapsed, valuable" is no twin of "Lapsed".
    return next((one for one in _FAMILIES if f"{name}, ".startswith(f"{one}, ")), name) == asked
