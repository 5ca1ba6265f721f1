"""How profile attributes become columns of features: options, the choice of a column, its values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, get_args

import numpy as np

from contracts.errors import LivesegmentsError
from contracts.model import FeatureColumn, Transform
from online_model.arrays import Floats, Labels

MAX_LEVELS: Final = 8
PREFIX: Final = "attributes."
"""What the names of features begin with that are profile attributes."""
STANDARD: Final = "standard"
"""Scaling by which distances divide by the standard deviation."""
MINMAX: Final = "minmax"
"""Scaling by which they divide by the range."""
SCALINGS: Final = (STANDARD, MINMAX)
_CAPS: Final = (0.001, 0.999)
_LARGEST: Final = 1e15
"""A number farther from 0 is no measurement, and its square would drown all others: it counts as missing."""


class AttributeOptionsError(LivesegmentsError):
    """Settings ask for something that can not be done with an attribute."""


class TooManyLevelsError(LivesegmentsError):
    """An attribute has more different values than can be told apart by indicators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeOptions:
    """What settings say of one profile attribute as a feature. Raises AttributeOptionsError."""

    transform: Transform = "none"
    scaling: str = STANDARD
    """`standard`: distances divide by the standard deviation; `minmax`: by the range."""
    bins: tuple[float, ...] = ()
    """Rising edges that make groups of numbers: below the first is 0, from the last on their count."""
    categorical: bool = False
    """Each value is a level with an indicator of its own."""
    identity: bool | None = None
    """The number as it is, capped at the sample's 0.1 and 99.9 % quantiles; so it is where nothing else is said."""

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.bins, self.bins[1:], strict=False))
        rules = (
            (self.transform in get_args(Transform), f"transform must be none, log1p or sqrt, not {self.transform!r}"),
            (self.scaling in SCALINGS, f"scaling must be {' or '.join(SCALINGS)}, not {self.scaling!r}"),
            (rising and bool(np.isfinite(self.bins).all()), "bins must be rising numbers, such as [18, 30, 45, 60]"),
            (
                not (self.identity and (self.transform != "none" or self.bins or self.categorical)),
                "identity leaves the number as it is: leave out transform, bins and categorical",
            ),
            (
                not (self.categorical and (self.transform != "none" or self.bins or self.scaling != STANDARD)),
                "categorical makes indicators: leave out transform, scaling and bins",
            ),
            (not (self.bins and self.transform != "none"), "bins make small numbers: leave out transform"),
        )
        for holds, message in rules:
            if not holds:
                raise AttributeOptionsError(message)

    @property
    def capped(self) -> bool:
        """Whether what is extreme counts as what is only just usual."""
        return self.transform == "none" and not self.bins and self.identity is not False


def number_column(attribute: str, values: Floats, options: AttributeOptions) -> FeatureColumn:
    """The column for a numeric attribute, decided on a sample of its values, (customers,), NaN where missing."""
    values = _measured(values)
    values = values[~np.isnan(values)]
    low = high = None
    if options.capped and len(values):
        # Values of customers, not between two of them: among few, everybody's number stays what it is.
        low = float(np.quantile(values, _CAPS[0], method="lower"))
        high = float(np.quantile(values, _CAPS[1], method="higher"))
    column = FeatureColumn(
        name=PREFIX + attribute,
        attribute=attribute,
        transform=options.transform,
        bins=tuple(float(edge) for edge in options.bins),
        low=low,
        high=high,
    )
    if options.scaling == STANDARD:
        return column
    return column.model_copy(update={"span": range_of(encode_numbers(column, values))})


def range_of(values: Floats) -> float:
    """The largest less the smallest of a column's values, (customers,); 0 where none is observed."""
    observed = values[~np.isnan(values)]
    return float(np.ptp(observed)) if len(observed) else 0.0


def level_columns(attribute: str, codes: Labels, values: Sequence[str]) -> tuple[FeatureColumn, ...]:
    """An indicator for each level in a sample, the most frequent first.

    `codes`, (customers,), are places in `values`; -1 where missing. Raises TooManyLevelsError above MAX_LEVELS levels.
    """
    counts = np.bincount(codes[codes >= 0], minlength=len(values)).tolist()
    levels = sorted((-count, value) for count, value in zip(counts, values, strict=True) if count)
    if len(levels) > MAX_LEVELS:
        raise TooManyLevelsError(
            f"the attribute {attribute!r} has {len(levels)} different values, more than the {MAX_LEVELS} that can span"
            " segments; send broader groups, or leave it out of `features` (it still describes segments)"
        )
    return tuple(
        FeatureColumn(name=f"{PREFIX}{attribute}={value}", attribute=attribute, level=value) for _, value in levels
    )


def encode_numbers(column: FeatureColumn, values: Floats) -> Floats:
    """The column's values, (customers,), of an attribute's; NaN where missing."""
    encoded = _measured(values)
    if column.bins:
        binned = np.searchsorted(np.array(column.bins), encoded, side="right").astype(np.float64)
        binned[np.isnan(encoded)] = np.nan
        return binned
    if column.low is not None or column.high is not None:
        encoded = np.clip(encoded, column.low, column.high)
    if column.transform == "log1p":
        return np.log1p(np.maximum(0, encoded))
    if column.transform == "sqrt":
        return np.sqrt(np.maximum(0, encoded))
    return encoded


def decode_numbers(column: FeatureColumn, values: Floats) -> Floats:
    """The transform taken back; bins stay numbers of bins."""
    if column.transform == "log1p":
        return np.expm1(values)
    return values**2 if column.transform == "sqrt" else values


def encode_levels(levels: Sequence[str], codes: Labels, values: Sequence[str]) -> Floats:
    """Indicators of an attribute's levels, (customers, levels).

    A value that is none of them is missing, as none at all: zeros would be a level that the model has never seen, as
    near to one segment's mixture as to another's only by chance, and would pull means about.
    """
    place = {level: number for number, level in enumerate(levels)}
    # One place more, for code -1.
    places = np.array([*(place.get(value, -1) for value in values), -1])[codes]
    indicators: Floats = (places[:, np.newaxis] == np.arange(len(levels))).astype(np.float64)
    indicators[places < 0] = np.nan
    return indicators


def options_of(tables: Mapping[str, Mapping[str, object]]) -> dict[str, AttributeOptions]:
    """Options by attribute from plain tables. Raises AttributeOptionsError, which names the attribute."""
    return {name: _options(name, table) for name, table in tables.items()}


def _options(name: str, table: Mapping[str, object]) -> AttributeOptions:
    known = {"transform": str, "scaling": str, "bins": (list, tuple), "categorical": bool, "identity": bool}
    for key, value in table.items():
        if key not in known:
            raise AttributeOptionsError(f"attribute_options.{name}: there is no option {key!r}; choose {_list(known)}")
        if not isinstance(value, known[key]):  # type: ignore[arg-type]
            raise AttributeOptionsError(f"attribute_options.{name}: {key} can not be {value!r}")
    given = dict(table)
    try:
        if "bins" in given:
            given["bins"] = tuple(float(edge) for edge in given["bins"])  # type: ignore[attr-defined]
        return AttributeOptions(**given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise AttributeOptionsError(f"attribute_options.{name}: bins must be numbers") from None
    except AttributeOptionsError as error:
        raise AttributeOptionsError(f"attribute_options.{name}: {error}") from None


def _list(names: Mapping[str, object]) -> str:
    return ", ".join(names)


def _measured(values: Floats) -> Floats:
    return np.where(np.abs(values) <= _LARGEST, values, np.nan)
