"""Segments with the same name, told apart by what divides them most and is true of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from online_model.arrays import Booleans, Floats
from online_model.truth import Adjective, holds, share_beyond

_PAIR: Final = 2
_ORDINALS: Final = ("1st", "2nd", "3rd")


@dataclass(frozen=True, eq=False, slots=True)
class Divider:
    """What may tell twins apart, and the words for it."""

    noun: str
    more: str
    less: str
    most: str
    least: str
    values: Floats
    """(customers,); NaN where not known."""

    @classmethod
    def of_attribute(cls, noun: str, values: Floats) -> "Divider":
        """With the words that suit any number."""
        return cls(noun, f"higher {noun}", f"lower {noun}", f"highest {noun}", f"lowest {noun}", values)


class Told(NamedTuple):
    """A name that no twin has, and what it says beyond the common one."""

    name: str
    adjectives: tuple[Adjective, ...] = ()


class _Attempt(NamedTuple):
    spread: float
    told: list[Told]

    @property
    def says_something(self) -> bool:
        return any(one.adjectives for one in self.told)


def told_apart(
    name: str, twins: Sequence[Booleans], voting: Booleans, dividers: Sequence[Divider], before: Sequence[str]
) -> list[Told]:
    """Names for twins, each a mask of members (customers,), by the figure in which they differ most.

    A word must be true of 70 % of the members: they lie on that side of the population's median. One twin without such
    a word keeps the plain name; several are told apart by the other figures, and counted where none of these says
    anything ("Occasional, 2nd of 3 by spend"). Names stay as they were `before` while that is true.
    """
    attempts: list[_Attempt] = []
    for divider in dividers:
        attempt = _by(divider, name, twins, voting, dividers, before)
        if attempt is None:
            continue
        if [one.name for one in attempt.told] == list(before):
            return attempt.told
        attempts.append(attempt)
    if not attempts:
        return [Told(f"{name}, group {number}") for number in range(1, len(twins) + 1)]
    return max(attempts, key=lambda one: (one.says_something, one.spread)).told


def _by(  # noqa: PLR0917
    divider: Divider,
    name: str,
    twins: Sequence[Booleans],
    voting: Booleans,
    dividers: Sequence[Divider],
    before: Sequence[str],
) -> _Attempt | None:
    """The names by one figure; None where it does not differ between all twins."""
    population = divider.values[voting]
    members = [divider.values[voting & inside] for inside in twins]
    figures = [percentile(one, population) for one in members]
    if len(set(figures)) < len(twins) or any(np.isnan(figures)):
        return None
    order = sorted(figures, reverse=True)
    ranks = [order.index(figure) for figure in figures]
    words = [
        _word(divider, rank, len(twins), own, population, old)
        for rank, own, old in zip(ranks, members, before, strict=True)
    ]
    told = [
        Told(f"{name}, {_ordinal(rank + 1)} of {len(twins)} by {divider.noun}")
        if word is None
        else Told(f"{name}, {word.word}", (word,))
        for rank, word in zip(ranks, words, strict=True)
    ]
    wordless = [place for place, word in enumerate(words) if word is None]
    if len(wordless) == 1:
        told[wordless[0]] = Told(name)
    elif wordless:
        others = [one for one in dividers if one is not divider]
        again = told_apart(
            name, [twins[place] for place in wordless], voting, others, [before[place] for place in wordless]
        )
        if any(one.adjectives for one in again):
            for place, one in zip(wordless, again, strict=True):
                told[place] = one
    return _Attempt(order[0] - order[-1], told)


def percentile(members: Floats, population: Floats) -> float:
    """Where the members' median lies among the population's values, 0 … 1; NaN without any."""
    members, population = members[~np.isnan(members)], population[~np.isnan(population)]
    if not len(members):
        return float("nan")
    median = np.median(members)
    return float((np.mean(population < median) + np.mean(population <= median)) / 2)


def _word(divider: Divider, rank: int, twins: int, own: Floats, population: Floats, before: str) -> Adjective | None:  # noqa: PLR0917
    """The word for a twin of that rank, if there is one and it is true of the members."""
    if rank not in {0, twins - 1}:
        return None
    above = rank == 0
    pair = (divider.more, divider.less) if twins == _PAIR else (divider.most, divider.least)
    word = pair[0] if above else pair[1]
    share = share_beyond(own, population, above=above)
    return Adjective(word, round(share, 4)) if holds(share, in_use=before.endswith(word)) else None


def _ordinal(number: int) -> str:
    return _ORDINALS[number - 1] if number <= len(_ORDINALS) else f"{number}th"
