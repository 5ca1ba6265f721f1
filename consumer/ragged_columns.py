"""Profile attributes and kept lines of rows as columns."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from consumer.event_columns import Attributes
from consumer.layout import HEAD, LINE, ORDERS_HALF_LIFE
from contracts.events import AttributeValue
from contracts.times import DAY
from online_model.features import AttributeCount, TextColumn
from online_model.rhythm import Rhythm

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
_NONE: Final = -1
"""The code of an item without a category."""
_MISSING: Final = -1
"""The code of a text that a row has not."""
_NUMBERS: Final = frozenset((int, float))
_AS_OF: Final = 20_000 * DAY
"""What lines are halved as of: it cancels out of shares, and one for all rows makes each independent of its batch."""


def number_of(value: object) -> float:
    """An attribute as a number; NaN where it is none, or a truth value."""
    return float(value) if type(value) in _NUMBERS else np.nan  # type: ignore[arg-type]


def text_of(value: bool | float | str) -> str:  # noqa: FBT001 - a value, not a switch
    """An attribute as text.

    >>> text_of(True), text_of(3), text_of("Garden")
    ('true', '3', 'Garden')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


class Texts:
    """A growing list of different texts, each with its place."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        """Its place, the next one for a new text."""
        place = self._places.setdefault(text, len(self.values))
        if place == len(self.values):
            self.values.append(text)
        return place


def text_column(values: Iterable[AttributeValue | None]) -> TextColumn:
    """Attributes as text, None where a row has none."""
    texts = Texts()
    codes = [_MISSING if value is None else texts.place(text_of(value)) for value in values]
    return TextColumn(np.array(codes, np.int32), texts.values)


def count_attributes(rows: Sequence[Attributes]) -> dict[str, AttributeCount]:
    """How many rows have each attribute."""
    numbers: Counter[str] = Counter()
    texts: Counter[str] = Counter()
    for attributes in rows:
        for name, value in attributes.items():
            (texts if isinstance(value, bool | str) else numbers)[name] += 1
    return {name: AttributeCount(numbers[name], texts[name]) for name in sorted({*numbers, *texts})}


class Categories:
    """The category of each item, as the catalogue has it."""

    def __init__(self, categories: Mapping[str, str] | None = None) -> None:
        self._of: dict[str, str] = dict(categories or {})
        self.version = 0
        """Raised by every change."""

    def set(self, item_id: str, category: str | None) -> None:
        """An item is in this category from now on; None: in none."""
        if self._of.get(item_id) == category:
            return
        self.version += 1
        if category is None:
            del self._of[item_id]
        else:
            self._of[item_id] = category

    @property
    def names(self) -> list[str]:
        """Every category there is, sorted."""
        return sorted(set(self._of.values()))

    def codes(self, items: Sequence[str], chosen: Sequence[str]) -> Codes:
        """Places among the chosen categories, (items,); their number for another category, -1 for none."""
        places = {category: place for place, category in enumerate(chosen)}
        of = self._of
        return np.array(
            [_NONE if (one := of.get(item)) is None else places.get(one, len(places)) for item in items], np.int32
        )


def category_shares(heads: Sequence[bytes], lines: Sequence[bytes], codes: Sequence[Codes], categories: int) -> Floats:
    """Shares of categories in rows' kept purchase lines, (rows, categories), halved every 365 days.

    `codes` are by row those of its partition's items, as by `Categories.codes`. NaN where no line has a category.
    """
    weights: Floats = np.zeros((len(lines), categories + 1))
    packed = np.frombuffer(b"".join(lines), LINE)
    if len(packed):
        table = np.frombuffer(b"".join(heads), HEAD)
        owners = np.repeat(np.arange(len(lines)), [len(part) // LINE.itemsize for part in lines])
        weight = np.exp2((np.repeat(table["at"], table["lines"]) - _AS_OF) / ORDERS_HALF_LIFE)
        places = _item_codes(packed["item"], owners, codes)
        counted = (packed["quantity"] > 0) & (places != _NONE)
        cells = owners[counted] * (categories + 1) + places[counted]
        weights += np.bincount(cells, weight[counted], weights.size).reshape(weights.shape)
    whole = weights.sum(axis=1, keepdims=True)
    shares = np.divide(weights, whole, out=np.full(weights.shape, np.nan), where=whole > 0)
    return np.ascontiguousarray(shares[:, :categories])


def kept_purchases(heads: Sequence[bytes], lines: Sequence[bytes]) -> tuple[Integers, Integers]:
    """Of each kept purchase of rows, in the order of rows and times: the row's place, and when it was."""
    table = np.frombuffer(b"".join(heads), HEAD)
    quantities = np.frombuffer(b"".join(lines), LINE)["quantity"]
    owners = np.repeat(np.arange(len(heads)), [len(part) // HEAD.itemsize for part in heads])
    counts = table["lines"].astype(np.int64)
    bought = quantities[np.cumsum(counts) - counts] > 0 if len(table) else np.empty(0, np.bool_)
    return owners[bought], table["at"][bought]


def _item_codes(items: npt.NDArray[Any], owners: npt.NDArray[np.int64], codes: Sequence[Codes]) -> Codes:
    """The code of each line's item: rows of one partition share one array of codes."""
    arrays = {id(one): one for one in codes}
    starts: dict[int, int] = {}
    start = 0
    for key, one in arrays.items():
        starts[key] = start
        start += len(one)
    offsets = np.array([starts[id(one)] for one in codes], np.int64)
    flat = np.concatenate(list(arrays.values()))
    return np.asarray(flat[offsets[owners] + items])


class RaggedColumns(Protocol):
    """What `Columns` needs beyond row headers, for the same rows: the methods of RowColumns."""

    def numbers(self, attribute: str) -> Floats:
        """A profile attribute as numbers."""

    def labels(self, attribute: str) -> TextColumn:
        """A profile attribute as text."""

    def attribute_counts(self) -> Mapping[str, AttributeCount]:
        """Which profile attributes there are."""

    def category_shares(self, categories: Sequence[str]) -> Floats:
        """Shares of categories in the kept lines."""

    def category_counts(self) -> Mapping[str, int]:
        """Kept purchase lines by category."""

    def season_begins(self, places: Integers) -> Integers:
        """When the season of the newest purchase of rows at these places began; MISSING_TIME: no season."""

    def kept_purchases(self) -> tuple[Integers, Integers]:
        """Kept purchases: the row's place, and when."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Kept lines of rows, and what their item numbers mean."""

    heads: Sequence[bytes]
    lines: Sequence[bytes]
    partitions: Sequence[int]
    """By row."""
    items: Callable[[int], Sequence[str]]
    """The item names of a partition."""
    categories: Categories

    def codes(self, chosen: Sequence[str]) -> list[Codes]:
        """By row, the codes of its partition's items."""
        by_partition = {one: self.categories.codes(self.items(one), chosen) for one in set(self.partitions)}
        return [by_partition[one] for one in self.partitions]


@dataclass(frozen=True, eq=False)
class DecodedColumns:
    """Of rows read once, for samples and tables: everything is worked out when it is asked for."""

    decode: Callable[[], Sequence[Attributes]]
    """The attributes of all rows; called once, if at all."""
    kept: Lines | None = None
    """None: nothing is known of what was bought."""

    @classmethod
    def nothing(cls, rows: int) -> Self:
        """So many rows of which only the headers are known."""
        return cls(lambda: [{}] * rows)

    @cached_property
    def attributes(self) -> Sequence[Attributes]:
        """By row."""
        return self.decode()

    def numbers(self, attribute: str) -> Floats:
        """A profile attribute as numbers."""
        return np.array([number_of(one.get(attribute)) for one in self.attributes], np.float64)

    def labels(self, attribute: str) -> TextColumn:
        """A profile attribute as text."""
        return text_column(one.get(attribute) for one in self.attributes)

    def attribute_counts(self) -> Mapping[str, AttributeCount]:
        """Which profile attributes there are."""
        return count_attributes(self.attributes)

    def category_shares(self, categories: Sequence[str]) -> Floats:
        """Shares of categories in the kept lines."""
        if self.kept is None:
            return np.full((len(self.attributes), len(categories)), np.nan)
        return category_shares(self.kept.heads, self.kept.lines, self.kept.codes(categories), len(categories))

    def category_counts(self) -> Mapping[str, int]:
        """Kept purchase lines by category."""
        if self.kept is None:
            return {}
        return count_categories(self.kept)

    def season_begins(self, places: Integers) -> Integers:
        """When the season of the newest purchase of rows at these places began; MISSING_TIME: no season."""
        return Rhythm.of(*self.kept_purchases(), len(self.attributes)).season_begins[places]

    def kept_purchases(self) -> tuple[Integers, Integers]:
        """Kept purchases: the row's place, and when."""
        heads, lines = ((), ()) if self.kept is None else (self.kept.heads, self.kept.lines)
        return kept_purchases(heads, lines)


def count_categories(kept: Lines) -> dict[str, int]:
    """Kept purchase lines by category."""
    chosen = kept.categories.names
    packed = np.frombuffer(b"".join(kept.lines), LINE)
    if not len(packed) or not chosen:
        return {}
    owners = np.repeat(np.arange(len(kept.lines)), [len(part) // LINE.itemsize for part in kept.lines])
    places = _item_codes(packed["item"], owners, kept.codes(chosen))
    counts = np.bincount(places[(packed["quantity"] > 0) & (places != _NONE)], minlength=len(chosen))
    return {category: count for category, count in zip(chosen, counts.tolist(), strict=True) if count}
