"""Words for what spans a segmentation besides purchases: profile attributes, their levels, shares of categories."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from contracts.model import FeatureColumn
from online_model.arrays import Booleans, Floats
from online_model.truth import HYSTERESIS, Adjective, holds, share_beyond

WordPair = tuple[str, str]
"""For a segment that is low in an attribute, and for one that is high. A word that begins small is a noun and stands
last ("low spenders"); another stands before it ("Younger")."""

DEFAULT_WORDS: Final[Mapping[str, WordPair]] = {
    "income": ("Low-income", "High-income"),
    "age": ("Younger", "Older"),
    "score": ("low spenders", "high spenders"),
    "spending": ("low spenders", "high spenders"),
}
"""By a word in the attribute's name."""
_LEAST_Z: Final = 0.5
"""How far, in standard deviations, the members' mean must lie from everybody's."""
_MOST_WORDS: Final = 2
_WORD: Final = re.compile(r"[a-z]+|[A-Z][a-z]*|\d+")


@dataclass(frozen=True, eq=False, slots=True)
class Spanning:
    """What a segmentation was made from."""

    X: Floats
    """(customers, features)"""
    columns: tuple[FeatureColumn, ...]
    """How each feature is made; declared features, which are about purchases, have other words."""

    @property
    def only_profiles(self) -> bool:
        """Whether no purchase is needed to be in a segment."""
        return bool(self.columns) and all(column.attribute is not None for column in self.columns)


class Numeric(NamedTuple):
    """An attribute's number, or a category's share, as it is compared."""

    noun: str
    values: Floats
    """(customers,)"""


class _Candidate(NamedTuple):
    z: float
    adjective: Adjective


def spoken(name: str) -> str:
    """An attribute's name as people say it.

    >>> spoken("annual_income"), spoken("loyaltyPoints")
    ('annual income', 'loyalty points')
    """
    return " ".join(part.lower() for part in _WORD.findall(name)) or name


def words_for(attribute: str, settled: Mapping[str, WordPair]) -> WordPair:
    """The words for low and high: as settled by name, by a word in the name, else made of the name.

    >>> words_for("annual_income", {}), words_for("visits", {})
    (('Low-income', 'High-income'), ('Low-visits', 'High-visits'))
    """
    if attribute in settled:
        return settled[attribute]
    said = spoken(attribute)
    for part in said.split():
        if part in DEFAULT_WORDS:
            return DEFAULT_WORDS[part]
    compound = said.replace(" ", "-")
    return f"Low-{compound}", f"High-{compound}"


def numerics(spanning: Spanning) -> list[Numeric]:
    """The columns that a "higher" and a "lower" make sense of."""
    found = []
    for column, values in zip(spanning.columns, spanning.X.T, strict=True):
        if column.attribute is not None and column.level is None:
            found.append(Numeric(spoken(column.attribute), values))
        elif column.category is not None:
            found.append(Numeric(f"share of {column.category}", values))
    return found


def adjectives_for(
    spanning: Spanning, voting: Booleans, inside: Booleans, settled: Mapping[str, WordPair], previous: str = ""
) -> tuple[Adjective, ...]:
    """The words that are true of a segment, those that set it apart most first, two at most.

    `voting` are the customers in any segment, `inside` those in this one, (customers,) both. A word needs members whose
    mean lies half a standard deviation from everybody's, and to be true of 70 % of them; slightly less where it is in
    the `previous` name.
    """
    found: dict[str, _Candidate] = {}
    for column, values in zip(spanning.columns, spanning.X.T, strict=True):
        candidate = _candidate(column, values[voting], values[voting & inside], settled, previous)
        if candidate is not None:
            known = found.get(candidate.adjective.word)
            if known is None or abs(candidate.z) > abs(known.z):
                found[candidate.adjective.word] = candidate
    ordered = sorted(found.values(), key=lambda one: (-abs(one.z), one.adjective.word))
    return tuple(one.adjective for one in ordered[:_MOST_WORDS])


def as_name(adjectives: Sequence[Adjective]) -> str:
    """The name of a segment that is known by its profile alone.

    >>> as_name([Adjective("low spenders", 0.9), Adjective("High-income", 0.8)])
    'High-income low spenders'
    >>> as_name([Adjective("Older", 0.9)]), as_name([])
    ('Older customers', 'Average customers')
    """
    words = [one.word for one in adjectives]
    if not words:
        return "Average customers"
    before = [word for word in words if not word[:1].islower()]
    nouns = [word for word in words if word[:1].islower()] or ["customers"]
    name = " ".join([*before[:1], *(_small(word) for word in before[1:]), " and ".join(nouns)])
    return name[:1].upper() + name[1:]


def as_suffix(adjectives: Sequence[Adjective]) -> str:
    """What follows a name that purchases have given."""
    return "".join(f", {_small(one.word)}" for one in adjectives)


def _candidate(
    column: FeatureColumn, population: Floats, own: Floats, settled: Mapping[str, WordPair], previous: str
) -> _Candidate | None:
    if column.attribute is None and column.category is None:
        return None
    known, members = population[~np.isnan(population)], own[~np.isnan(own)]
    spread = float(known.std()) if len(known) else 0.0
    if not len(members) or not spread > 0:
        return None
    z = float((members.mean() - known.mean()) / spread)
    high = z > 0
    if column.level is not None:
        word, share = _level_word(column), float(members.mean())
    elif column.category is not None:
        word = f"{'more' if high else 'less'} {column.category}"
        share = share_beyond(members, known, above=high)
    else:
        word = words_for(column.attribute or "", settled)[high]
        share = share_beyond(members, known, above=high)
    in_use = _small(word) in _small(previous) or word in previous
    far = abs(z) >= _LEAST_Z - HYSTERESIS * in_use and (high or column.level is None)
    return _Candidate(z, Adjective(word, round(share, 4))) if far and holds(share, in_use=in_use) else None


def _level_word(column: FeatureColumn) -> str:
    level = column.level or ""
    return level if level.isalpha() and level not in {"true", "false"} else f"{column.attribute}={level}"


def _small(word: str) -> str:
    return word[:1].lower() + word[1:]
