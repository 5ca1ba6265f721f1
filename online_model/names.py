"""Names and strategies of segments: the first line of a table that is true of the members, made unique."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from online_model.arrays import Booleans, Floats, Labels
from online_model.features import YEAR_HALF_LIFE, RowColumns, days_since, decayed
from online_model.settings import ModelSettings

_HYSTERESIS: Final = 0.05


class SegmentName(NamedTuple):
    """What a segment is called and what to do about it."""

    name: str
    strategy: str


@dataclass(frozen=True, eq=False, slots=True)
class Members:
    """What names are made from: columns of customers who have bought or not, all (customers,)."""

    recency: Floats
    """Days since the last order; NaN where nothing was bought."""
    tenure: Floats
    """Days since the first order; NaN where nothing was bought."""
    orders: npt.NDArray[np.integer]
    """Orders ever."""
    frequency: Floats
    """Orders, halved every 365 days."""
    money: Floats
    """Net spend, halved every 365 days."""

    @classmethod
    def of(cls, columns: RowColumns, now: int) -> Self:
        """The members that rows describe."""
        return cls(
            recency=days_since(columns.last_at, now),
            tenure=days_since(columns.first_at, now),
            orders=columns.orders,
            frequency=decayed(columns.orders_decayed, columns.newest_at, now, YEAR_HALF_LIFE),
            money=decayed(columns.net_decayed, columns.newest_at, now, YEAR_HALF_LIFE),
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """The figures of one segment that the table looks at: shares of members, and percentiles of its medians."""

    new: float
    active: float
    one_order: float
    frequency: float
    money: float
    recency: float

    @property
    def lapsed(self) -> float:
        """The share without an order for longer than `lapse_days`."""
        return 1 - self.active


class _Line(NamedTuple):
    name: str
    strategy: str
    holds: Callable[[Profile, float], bool]
    """(profile, slack): every threshold is met to within `slack`."""


_UPSELL_BELOW: Final = 0.8
_TABLE: Final = (
    _Line("New customers", "Onboarding: second-order offer within 30 days", lambda p, e: p.new >= 0.6 - e),
    _Line(
        "Champions",
        "Retain: early access, no discounts (high value)",
        lambda p, e: p.active >= 0.7 - e and p.frequency >= 0.85 - e and p.money >= 0.85 - e,
    ),
    _Line(
        "Loyal",
        "Grow the basket: bundles, loyalty",
        lambda p, e: p.active >= 0.7 - e and p.frequency >= 0.6 - e and 1 - p.one_order >= 0.7 - e,
    ),
    _Line(
        "One order so far",
        "Second order: reminder, bought-together items",
        lambda p, e: p.active >= 0.7 - e and p.one_order >= 0.6 - e,
    ),
    _Line("Occasional", "Cross-sell a second category (upsell)", lambda p, e: p.active >= 0.7 - e),
    _Line(
        "Lost after one order",
        "Cheap reactivation, or suppress",
        lambda p, e: p.lapsed >= 0.7 - e and p.one_order >= 0.6 - e,
    ),
    _Line(
        "Lapsed, valuable",
        "Win back: personal offer (high value)",
        lambda p, e: p.lapsed >= 0.7 - e and p.money >= 0.6 - e,
    ),
    _Line("Lapsed", "Win-back series, then suppress", lambda p, e: p.lapsed >= 0.7 - e),
    _Line(
        "At risk (slipping)",
        "Win back now, at the customer's own rhythm",
        lambda p, e: p.frequency >= 0.5 - e or p.money >= 0.5 - e,
    ),
    _Line("High spenders", "Newsletter", lambda p, e: p.money >= 2 / 3 - e),
    _Line("Average spenders", "Newsletter", lambda p, e: p.money >= 1 / 3 - e),
    _Line("Low spenders", "Newsletter", lambda _p, _e: True),
)
_NOBODY: Final = SegmentName("Empty", "")


class _Divider(NamedTuple):
    """What can tell twins apart: an attribute of Profile and the words for it."""

    attribute: str
    noun: str
    more: str
    less: str
    most: str
    least: str


_DIVIDERS: Final = (
    _Divider("money", "spend", "higher spend", "lower spend", "highest spend", "lowest spend"),
    _Divider("recency", "time since the last order", "longer ago", "more recent", "longest ago", "most recent"),
    _Divider("frequency", "orders", "more orders", "fewer orders", "most orders", "fewest orders"),
)


def name_segments(
    members: Members, clusters: Labels, k: int, settings: ModelSettings, previous: Sequence[str] = ()
) -> list[SegmentName]:
    """A true and unique name for each of the k clusters, in their order.

    `clusters` is (customers,), -1 for no vote. `previous` are the names so far, in the same order: such a name is kept
    until it fails, or one higher in the table passes, by more than .05. While the oldest customer in the sample is
    younger than `new_days + lapse_days` the history may simply start there, and nobody is called new.
    """
    voting = (clusters >= 0) & ~np.isnan(members.recency)
    known = bool(voting.any()) and float(members.tenure[voting].max()) >= settings.new_days + settings.lapse_days
    profiles = [_profile(members, voting, clusters == cluster, settings, history_known=known) for cluster in range(k)]
    before = ([*previous] + [""] * k)[:k]
    lines = [None if one is None else _line(one, old) for one, old in zip(profiles, before, strict=True)]
    names = [_NOBODY if line is None else SegmentName(line.name, line.strategy) for line in lines]
    for name in dict.fromkeys(one.name for one in names):
        twins = [cluster for cluster in range(k) if names[cluster].name == name]
        if len(twins) > 1:
            apart = _told_apart(name, [profiles[twin] for twin in twins], [before[twin] for twin in twins])
            for cluster, unique in zip(twins, apart, strict=True):
                names[cluster] = names[cluster]._replace(name=unique)
    return [
        one._replace(strategy=one.strategy + " (upsell)")
        if line is not None and line.name == "Loyal" and profile is not None and profile.money < _UPSELL_BELOW
        else one
        for one, line, profile in zip(names, lines, profiles, strict=True)
    ]


def _profile(
    members: Members, voting: Booleans, inside: Booleans, settings: ModelSettings, *, history_known: bool
) -> Profile | None:
    own = voting & inside
    if not own.any():
        return None

    def percentile(values: Floats) -> float:
        population, median = values[voting], np.median(values[own])
        return float((np.mean(population < median) + np.mean(population <= median)) / 2)

    return Profile(
        new=float(np.mean(members.tenure[own] <= settings.new_days)) if history_known else 0.0,
        active=float(np.mean(members.recency[own] <= settings.lapse_days)),
        one_order=float(np.mean(members.orders[own] == 1)),
        frequency=percentile(members.frequency),
        money=percentile(members.money),
        recency=percentile(members.recency),
    )


def _line(profile: Profile, previous: str) -> _Line:
    found = next(line for line in _TABLE if line.holds(profile, 0))
    # Of names that begin alike the longer one is meant: Lapsed, valuable is not Lapsed.
    kept = max(
        (line for line in _TABLE if previous.startswith(line.name)), key=lambda line: len(line.name), default=None
    )
    if kept is None or kept is found or not kept.holds(profile, _HYSTERESIS):
        return found
    # An earlier line takes over only when it holds clearly; a later one only when the kept one has failed.
    overtaken = _TABLE.index(found) < _TABLE.index(kept) and found.holds(profile, -_HYSTERESIS)
    return found if overtaken else kept


def _told_apart(name: str, twins: Sequence[Profile | None], before: Sequence[str]) -> list[str]:
    """Names for twins by the figure in which they differ most; as before while that is still true."""
    known = [twin for twin in twins if twin is not None]
    by_spread: list[tuple[float, list[str]]] = []
    for divider in _DIVIDERS:
        values = [float(getattr(twin, divider.attribute)) for twin in known]
        if len(set(values)) == len(twins):
            ranks = [sorted(values, reverse=True).index(value) for value in values]
            words = [f"{name}, {_word(divider, rank, len(twins))}" for rank in ranks]
            if words == before:
                return words
            by_spread.append((max(values) - min(values), words))
    if not by_spread:
        return [f"{name}, group {number}" for number in range(1, len(twins) + 1)]
    return max(by_spread, key=lambda pair: pair[0])[1]


def _word(divider: _Divider, rank: int, twins: int) -> str:
    if twins == 2:
        return (divider.more, divider.less)[rank]
    if rank in (0, twins - 1):
        return divider.most if rank == 0 else divider.least
    return f"middle {divider.noun}" if twins == 3 else f"{divider.noun} {rank + 1} of {twins}"
