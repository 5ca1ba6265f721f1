"""Segments by rule, while there is too little data to learn any: the naming table applied to one customer at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from contracts.errors import LivesegmentsError
from contracts.times import DAY
from online_model.arrays import Booleans, Floats, Labels, frozen
from online_model.model import LAPSED, NO_PURCHASES
from online_model.names import TABLE, Members, SegmentName
from online_model.settings import ModelSettings

_IDS: Final = {
    "New customers": -101,
    "Champions": -102,
    "Loyal": -103,
    "One order so far": -104,
    "Occasional": -105,
    "Lost after one order": -106,
    "Lapsed, valuable": -107,
    "Lapsed": LAPSED,
}
"""Never changed and never used for anything else: rows and readers keep them."""
RULE_SEGMENTS: Final = {
    _IDS[line.name]: SegmentName(line.name, line.strategy, line.flags, line.active)
    for line in TABLE
    if line.name in _IDS
}
"""Names and strategies of the segments by rule, by id.

The table's last lines are not among them: a single customer is either active or lapsed, and they are for segments that
are neither.
"""
_KEPT_POINTS: Final = 1_000
"""A larger population is remembered by so many of its order statistics."""


class RulePopulationError(LivesegmentsError):
    """What is stored of a population makes no sense."""


def too_little_to_learn(buyers: int, first_at: int | None, now: int, settings: ModelSettings) -> bool:
    """Whether segments go by rule. `first_at` is the oldest purchase, None if there is none; microseconds UTC.

    Never where attributes alone are compared: the rules are about purchases.
    """
    if not settings.request.needs_purchases:
        return False
    return buyers < settings.by_rule_buyers or first_at is None or now - first_at < settings.by_rule_days * DAY


@dataclass(frozen=True, eq=False, slots=True)
class RulePopulation:
    """The customers that one customer is compared with, at some moment: what percentiles are taken in."""

    frequency: Floats
    """Of those who bought, rising, (points,): orders, halved every 365 days."""
    money: Floats
    """Of those who bought, rising, (points,): net spend, halved every 365 days."""
    history_known: bool
    """Whether the history goes back so far that who is first seen now is new."""
    new_days: float
    lapse_days: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "frequency", frozen(self.frequency))
        object.__setattr__(self, "money", frozen(self.money))

    @classmethod
    def of(cls, members: Members, *, new_days: float, lapse_days: float) -> Self:
        """From all customers, or from a sample.

        While the oldest is younger than `new_days + lapse_days` the history may simply begin there: nobody is new.
        """
        bought = ~np.isnan(members.recency)
        oldest = float(members.tenure[bought].max()) if bought.any() else 0.0
        known = oldest >= new_days + lapse_days
        return cls(_points(members.frequency[bought]), _points(members.money[bought]), known, new_days, lapse_days)

    def to_plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "frequency": self.frequency.tolist(),
            "money": self.money.tolist(),
            "history_known": self.history_known,
            "new_days": self.new_days,
            "lapse_days": self.lapse_days,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The population that `to_plain` gave. Raises RulePopulationError for something else."""
        try:
            frequency, money = (np.asarray(plain[name], np.float64) for name in ("frequency", "money"))
            known, new_days, lapse_days = (plain[name] for name in ("history_known", "new_days", "lapse_days"))
            return cls(frequency, money, bool(known), float(new_days), float(lapse_days))
        except (KeyError, TypeError, ValueError) as error:
            raise RulePopulationError(
                f"the stored population for segments by rule can not be read ({error}); take it anew from the rows"
            ) from error


def by_rule(members: Members, population: RulePopulation) -> Labels:
    """The segment ids of customers, (customers,) int32: keys of RULE_SEGMENTS, NO_PURCHASES for who never bought.

    The first line of the naming table that holds, where every share is 1 or 0, since it is that of one customer, and
    percentiles are those of the customer's own figures in the population.
    """
    bought = ~np.isnan(members.recency)
    active: Booleans = members.recency <= population.lapse_days
    one = members.orders == 1
    frequency = _percentiles(members.frequency, population.frequency)
    money = _percentiles(members.money, population.money)
    lines = {
        "New customers": (members.customer_days <= population.new_days) & population.history_known,
        "Champions": active & (frequency >= 0.85) & (money >= 0.85),
        "Loyal": active & (frequency >= 0.6) & ~one,
        "One order so far": active & one,
        "Occasional": active,
        "Lost after one order": one,
        "Lapsed, valuable": money >= 0.6,
    }
    ids: Labels = np.full(len(bought), _IDS["Lapsed"], np.int32)
    for name, holds in reversed(lines.items()):
        ids[holds] = _IDS[name]
    ids[~bought] = NO_PURCHASES
    return ids


def _points(values: Floats) -> Floats:
    """The values, rising; of many, so many evenly spread over their ranks."""
    ordered = np.sort(values)
    if len(ordered) <= _KEPT_POINTS:
        return ordered
    ranks = (np.arange(_KEPT_POINTS) + 0.5) * len(ordered) / _KEPT_POINTS
    return ordered[ranks.astype(np.int64)]


def _percentiles(values: Floats, population: Floats) -> Floats:
    """Mid-ranks in the population, 0 … 1, as the naming table has them; 0 where the population is empty."""
    below = np.searchsorted(population, values, "left")
    up_to = np.searchsorted(population, values, "right")
    return np.asarray((below + up_to) / max(2 * len(population), 1))
