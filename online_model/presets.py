"""Which features a model is to have: what settings name, presets among it, and what the customers make of that."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from contracts.errors import LivesegmentsError
from contracts.model import FeatureColumn
from online_model.encoding import (
    PREFIX,
    SCALINGS,
    STANDARD,
    AttributeOptions,
    TooManyLevelsError,
    level_columns,
    number_column,
    range_of,
)
from online_model.features import FEATURES, FeatureSet, RowColumns, UnknownFeatureError

PRESETS: Final = {
    "rfm": ("recency", "frequency", "monetary"),
    "rfm+basket": ("recency", "frequency", "monetary", "mean_order", "basket_units"),
    "lifecycle": ("tenure", "relative_recency", "purchase_days", "recent_share"),
}
"""Presets that are declared features whoever the customers are."""
PROFILE: Final = "profile"
PREFERENCES: Final = "preferences"
SHARE: Final = "share."
"""What the names of features begin with that are shares of categories."""
MOST_ATTRIBUTES: Final = 4
MOST_CATEGORIES: Final = 8
_OUTGROWN: Final = 0.01
"""Columns are decided anew when more of the customers than this lie beyond their caps, or outside their levels ..."""
_WIDER: Final = 0.1
"""... or the range has changed by more than this share."""
_NOT_MEASURED: Final = frozenset({"customer_since", "marketing_consent"})
"""Attributes of the contract that say nothing of what a customer is like."""


class ScalingError(LivesegmentsError):
    """Settings scale something that they can not, or in a way that there is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRequest:
    """What settings ask for. Raises UnknownFeatureError or ScalingError."""

    names: tuple[str, ...]
    """Features, `attributes.<name>`, `share.<category>`, presets."""
    attributes: tuple[str, ...] = ()
    """What the preset `profile` is to be made of; empty: whatever most customers have."""
    options: Mapping[str, AttributeOptions] = field(default_factory=dict)
    """By attribute."""
    scaling: Mapping[str, str] = field(default_factory=dict)
    """`standard` or `minmax`, by feature made of purchases; `preferences` stands for each share not named itself."""

    def __post_init__(self) -> None:
        self.terms()
        for name, scaling in self.scaling.items():
            _check_scaling(name, scaling)

    def terms(self) -> tuple[str, ...]:
        """The names with fixed presets written out, each once."""
        terms: list[str] = []
        for name in self.names:
            open_ended = any(name.startswith(prefix) and name != prefix for prefix in (PREFIX, SHARE))
            if name in PRESETS:
                terms += PRESETS[name]
            elif open_ended or name in {PROFILE, PREFERENCES, *FEATURES}:
                terms.append(name)
            else:
                raise UnknownFeatureError(
                    f"there is no feature {name!r}; choose a preset ({', '.join((*PRESETS, PROFILE, PREFERENCES))}) or"
                    f" among {', '.join(FEATURES)} and {PREFIX}<name>"
                )
        if not terms or len(set(terms)) < len(terms):
            raise UnknownFeatureError("features: name each once, and at least one")
        return tuple(terms)

    @property
    def signature(self) -> tuple[str, ...]:
        """What tells one request from another: a model made for another one is to be made anew."""
        terms = self.terms()
        profile = PROFILE in terms
        chosen = (f"attributes={','.join(self.attributes)}",) if profile and self.attributes else ()
        options = tuple(
            f"{PREFIX}{name}: {self.options[name]}"
            for name in sorted(self.options)
            if (profile or PREFIX + name in terms) and self.options[name] != AttributeOptions()
        )
        return (*terms, *chosen, *options, *self._scaled())

    def scaling_of(self, name: str) -> str:
        """How a feature made of purchases is scaled."""
        return self.scaling.get(name, self._usual_scaling(name))

    def _usual_scaling(self, name: str) -> str:
        """How, if settings do not name it."""
        return self.scaling.get(PREFERENCES, STANDARD) if name.startswith(SHARE) else STANDARD

    def _scaled(self) -> tuple[str, ...]:
        """What `scaling` changes about the features that are asked for."""
        terms = self.terms()
        shares = [term for term in terms if term == PREFERENCES or term.startswith(SHARE)]
        return tuple(
            f"{name}: {scaling}"
            for name, scaling in sorted(self.scaling.items())
            if scaling != self._usual_scaling(name)
            and (
                name in terms or (shares and name == PREFERENCES) or (PREFERENCES in shares and name.startswith(SHARE))
            )
        )

    @property
    def needs_categories(self) -> bool:
        """Whether the catalogue's categories are needed."""
        return any(term == PREFERENCES or term.startswith(SHARE) for term in self.terms())

    @property
    def needs_purchases(self) -> bool:
        """Whether only customers who bought can be placed."""
        return any(term != PROFILE and not term.startswith(PREFIX) for term in self.terms())


@dataclass(frozen=True, slots=True)
class Choice:
    """The columns of a model, and in words what was left out of them."""

    columns: tuple[FeatureColumn, ...]
    """Empty where there is nothing to compare customers by yet."""
    left_out: tuple[str, ...] = ()


def choose_columns(request: FeatureRequest, rows: RowColumns, *, now: int, order_value: float) -> Choice:
    """The columns that a request comes to among these customers, a sample: a decision, kept in the model document.

    `now` and `order_value` are those by which X is to be made.
    """
    columns: dict[str, FeatureColumn] = {}
    left_out: list[str] = []
    for term in request.terms():
        for column in _columns(term, request, rows, left_out):
            columns.setdefault(column.name, _ranged(column, request, rows, now, order_value))
    return Choice(tuple(columns.values()), tuple(left_out))


def renewed_columns(
    request: FeatureRequest,
    asked: tuple[str, ...],
    columns: tuple[FeatureColumn, ...],
    rows: RowColumns,
    *,
    now: int,
    order_value: float,
) -> Choice | None:
    """What a model's columns are to become among these customers, a sample; None: they stay as they are.

    Chosen anew where the request is no longer what was `asked` then. Attributes and categories stay as they were
    chosen; what was read off the first customers, caps, ranges and levels, follows where the sample has outgrown it.
    """
    if request.signature != asked:
        return choose_columns(request, rows, now=now, order_value=order_value)
    outgrown = False
    renewed: dict[str, FeatureColumn] = {}
    left_out: list[str] = []
    for column in columns:
        if column.attribute is None:
            fresh: Sequence[FeatureColumn] = [_ranged(column, request, rows, now, order_value)]
        else:
            fresh = _of_attribute(column.attribute, request, rows, left_out)
        # An attribute that has come to have more values than can be levels stays as it was: no renewal would help.
        outgrown |= bool(fresh) and _outgrown(columns, column, fresh, rows)
        renewed.update((one.name, one) for one in fresh or [column])
    return Choice(tuple(renewed.values()), tuple(dict.fromkeys(left_out))) if outgrown else None


def _outgrown(
    columns: Sequence[FeatureColumn], column: FeatureColumn, fresh: Sequence[FeatureColumn], rows: RowColumns
) -> bool:
    """Whether what is found now differs enough from a column to be worth another version."""
    if column.attribute is None:
        return _wider(column, fresh[0])
    if column.level is not None or fresh[0].level is not None:
        known = {one.level for one in columns if one.attribute == column.attribute}
        return _share_outside(rows, column.attribute, known) > _OUTGROWN
    values = rows.numbers(column.attribute)
    values = values[~np.isnan(values)]
    now = fresh[0]
    if not len(values) or (now.low is None) != (column.low is None) or (now.span is None) != (column.span is None):
        return bool(len(values))
    wider = _wider(column, now)
    if column.low is None or column.high is None:
        return wider
    return wider or float(np.mean((values < column.low) | (values > column.high))) > _OUTGROWN


def _wider(column: FeatureColumn, now: FeatureColumn) -> bool:
    """Whether the range is another one, or narrower."""
    return column.span is not None and now.span is not None and abs(now.span - column.span) > _WIDER * column.span


def _share_outside(rows: RowColumns, attribute: str, known: Collection[str | None]) -> float:
    labels = rows.labels(attribute)
    there = labels.codes[labels.codes >= 0]
    strange = [place for place, value in enumerate(labels.values) if value not in known]
    return float(np.mean(np.isin(there, strange))) if len(there) else 0.0


def _columns(term: str, request: FeatureRequest, rows: RowColumns, left_out: list[str]) -> Sequence[FeatureColumn]:
    if term == PROFILE:
        chosen = request.attributes or _usual_attributes(request, rows)
        if not chosen:
            left_out.append("no customer has a number yet for the preset `profile`; publish `profile` events")
        return [one for name in chosen for one in _of_attribute(name, request, rows, left_out)]
    if term.startswith(PREFIX):
        return _of_attribute(term.removeprefix(PREFIX), request, rows, left_out)
    if term == PREFERENCES:
        counts = rows.category_counts()
        best = sorted((-count, category) for category, count in counts.items())[:MOST_CATEGORIES]
        if not best:
            left_out.append("no kept line has a category for the preset `preferences`; put categories on the catalogue")
        return [_share(category) for _, category in best]
    if term.startswith(SHARE):
        return [_share(term.removeprefix(SHARE))]
    return [FeatureColumn(name=term)]


def _ranged(
    column: FeatureColumn, request: FeatureRequest, rows: RowColumns, now: int, order_value: float
) -> FeatureColumn:
    """A column made of purchases with its range, where settings scale by that."""
    if column.attribute is not None or request.scaling_of(column.name) == STANDARD:
        return column
    values = FeatureSet((column,)).features(rows, now, order_value)[:, 0]
    return column.model_copy(update={"span": range_of(values)})


def _check_scaling(name: str, scaling: str) -> None:
    """Raise ScalingError."""
    if name.startswith(PREFIX) or name == PROFILE:
        attribute = name.removeprefix(PREFIX) if name.startswith(PREFIX) else "<name>"
        raise ScalingError(
            f'scaling of an attribute is one of its options: attribute_options.{attribute}.scaling = "minmax"'
        )
    if name not in FEATURES and name != PREFERENCES and not (name.startswith(SHARE) and name != SHARE):
        raise ScalingError(
            f"scaling: there is no feature {name!r}; choose among {', '.join(FEATURES)}, {SHARE}<category> and"
            f" {PREFERENCES} (every share)"
        )
    if scaling not in SCALINGS:
        raise ScalingError(f"scaling of {name} must be {' or '.join(SCALINGS)}, not {scaling!r}")


def _share(category: str) -> FeatureColumn:
    return FeatureColumn(name=SHARE + category, category=category)


def _of_attribute(name: str, request: FeatureRequest, rows: RowColumns, left_out: list[str]) -> Sequence[FeatureColumn]:
    options = request.options.get(name, AttributeOptions())
    count = rows.attribute_counts().get(name)
    if count is None:
        left_out.append(f"no customer has the attribute {name!r} yet")
        return []
    if options.categorical or count.texts > count.numbers:
        labels = rows.labels(name)
        try:
            return level_columns(name, labels.codes, labels.values)
        except TooManyLevelsError as error:
            left_out.append(str(error))
            return []
    return [number_column(name, rows.numbers(name), options)]


def _usual_attributes(request: FeatureRequest, rows: RowColumns) -> list[str]:
    """The numeric attributes that most customers have, and the categorical ones that settings call so."""
    counts = rows.attribute_counts()
    asked = [name for name, options in sorted(request.options.items()) if options.categorical and name in counts]
    numeric = sorted(
        (-count.numbers, name)
        for name, count in counts.items()
        if count.numbers > count.texts and name not in _NOT_MEASURED and name not in asked
    )
    return [*(name for _, name in numeric[:MOST_ATTRIBUTES]), *asked]
