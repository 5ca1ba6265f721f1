"""Names and strategies of segments: the first line of a table that is true of the members, made unique."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from online_model.arrays import Booleans, Floats, Labels
from online_model.customer_since import ATTRIBUTE, customer_since
from online_model.features import YEAR_HALF_LIFE, RowColumns, days_since, decayed
from online_model.settings import ModelSettings
from online_model.truth import Adjective
from online_model.twins import Divider, Told, percentile, told_apart
from online_model.words import Spanning, adjectives_for, as_name, as_suffix, numerics

_HYSTERESIS: Final = 0.05

HIGH_VALUE: Final = "high value"
UPSELL: Final = "upsell"
SUPPRESS: Final = "suppress"


class SegmentName(NamedTuple):
    """What a segment is called and what to do about it."""

    name: str
    strategy: str
    flags: tuple[str, ...] = ()
    """HIGH_VALUE, UPSELL, SUPPRESS."""
    active: bool = False
    """Whether the name is false of a customer who has lapsed."""
    adjectives: tuple[Adjective, ...] = ()
    """What the name says beyond its line of the table, and of which share of the members it is true."""
    lapsing: bool = False
    """Whether the name is about silence: false of a seasonal customer whose season has not come."""


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
    usual_gap: float | None = None
    """After how many days most have bought again, as by `lapse.usual_gap`; None where that is not known."""
    told_days: Floats | None = None
    """Days for which they are customers as their profiles tell; NaN where these do not; None: no profile does."""

    @classmethod
    def of(cls, columns: RowColumns, now: int) -> Self:
        """The members that rows describe."""
        return cls(
            recency=days_since(columns.last_at, now),
            tenure=days_since(columns.first_at, now),
            orders=columns.orders,
            frequency=decayed(columns.orders_decayed, columns.newest_at, now, YEAR_HALF_LIFE),
            money=decayed(columns.net_decayed, columns.newest_at, now, YEAR_HALF_LIFE),
            told_days=days_since(customer_since(columns.labels(ATTRIBUTE)), now),
        )

    @property
    def customer_days(self) -> Floats:
        """Days for which they are customers: since the first order, or for as long as their profiles tell.

        `tenure` is what says how far the history of purchases goes back, whatever profiles tell of the time before.
        """
        return self.tenure if self.told_days is None else np.fmax(self.tenure, self.told_days)


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
    flags: tuple[str, ...] = ()
    active: bool = False
    lapsing: bool = False


_LOYAL: Final = "Loyal"
_UPSELL_BELOW: Final = 0.8
TABLE: Final = (
    _Line(
        "New customers",
        "Onboarding: second-order offer within 30 days",
        lambda p, e: p.new >= 0.6 - e,
        active=True,
    ),
    _Line(
        "Champions",
        "Retain: early access, no discounts",
        lambda p, e: p.active >= 0.7 - e and p.frequency >= 0.85 - e and p.money >= 0.85 - e,
        (HIGH_VALUE,),
        active=True,
    ),
    _Line(
        _LOYAL,
        "Grow the basket: bundles, loyalty",
        lambda p, e: p.active >= 0.7 - e and p.frequency >= 0.6 - e and 1 - p.one_order >= 0.7 - e,
        active=True,
    ),
    _Line(
        "One order so far",
        "Second order: reminder, bought-together items",
        lambda p, e: p.active >= 0.7 - e and p.one_order >= 0.6 - e,
    ),
    _Line("Occasional", "Cross-sell a second category", lambda p, e: p.active >= 0.7 - e, (UPSELL,)),
    _Line(
        "Lost after one order",
        "Cheap reactivation, or suppress",
        lambda p, e: p.lapsed >= 0.7 - e and p.one_order >= 0.6 - e,
        (SUPPRESS,),
        lapsing=True,
    ),
    _Line(
        "Lapsed, valuable",
        "Win back: personal offer",
        lambda p, e: p.lapsed >= 0.7 - e and p.money >= 0.6 - e,
        (HIGH_VALUE,),
        lapsing=True,
    ),
    _Line("Lapsed", "Win-back series, then suppress", lambda p, e: p.lapsed >= 0.7 - e, (SUPPRESS,), lapsing=True),
    _Line(
        "At risk (slipping)",
        "Win back now, at the customer's own rhythm",
        lambda p, e: p.frequency >= 0.5 - e or p.money >= 0.5 - e,
        lapsing=True,
    ),
    _Line("High spenders", "Newsletter", lambda p, e: p.money >= 2 / 3 - e),
    _Line("Average spenders", "Newsletter", lambda p, e: p.money >= 1 / 3 - e),
    _Line("Low spenders", "Newsletter", lambda _p, _e: True),
)
_NOBODY: Final = SegmentName("Empty", "")
_PROFILE_STRATEGY: Final = "Newsletter"


def name_segments(
    members: Members,
    clusters: Labels,
    k: int,
    settings: ModelSettings,
    previous: Sequence[str] = (),
    *,
    previous_flags: Sequence[tuple[str, ...]] = (),
    spanning: Spanning | None = None,
    lapse_days: float | None = None,
) -> list[SegmentName]:
    """A true and unique name for each of the k clusters, in their order.

    `clusters` is (customers,), -1 for no vote. `previous` are the names so far, in the same order: such a name is kept
    until it fails, or one higher in the table passes, by more than .05; and so are `previous_flags`. While the oldest
    customer in the sample is younger than `new_days` and the days of a lapse together, the history may simply start
    there, and nobody is called new. `spanning` is what the clusters were made from, where that is more than purchases:
    attributes give words to names, and names by themselves where no purchase is needed. `lapse_days` is by default the
    settings' first.
    """
    lapse_days = settings.first_lapse_days if lapse_days is None else lapse_days
    before = ([*previous] + [""] * k)[:k]
    flagged = ([*previous_flags] + [()] * k)[:k]
    profiles_only = spanning is not None and spanning.only_profiles
    voting = clusters >= 0
    if not profiles_only:
        voting &= ~np.isnan(members.recency)
    insides = [clusters == cluster for cluster in range(k)]
    words: list[tuple[Adjective, ...]] = [
        () if spanning is None else adjectives_for(spanning, voting, inside, settings.attribute_words, previous=old)
        for inside, old in zip(insides, before, strict=True)
    ]
    if profiles_only:
        names = [_by_profile(voting & inside, said) for inside, said in zip(insides, words, strict=True)]
    else:
        oldest = float(members.tenure[voting].max()) if voting.any() else 0.0
        known = oldest >= settings.new_days + lapse_days
        names = [
            _by_purchases(
                _profile(members, voting, inside, lapse_days, settings, history_known=known), said, old, flags
            )
            for inside, said, old, flags in zip(insides, words, before, flagged, strict=True)
        ]
    return _unique(names, insides, voting, _dividers(members, spanning, profiles_only=profiles_only), before)


def _by_profile(own: Booleans, said: tuple[Adjective, ...]) -> SegmentName:
    return SegmentName(as_name(said), _PROFILE_STRATEGY, adjectives=said) if own.any() else _NOBODY


def _by_purchases(
    profile: Profile | None, said: tuple[Adjective, ...], previous: str, previous_flags: tuple[str, ...]
) -> SegmentName:
    if profile is None:
        return _NOBODY
    line = _line(profile, previous)
    flags = line.flags
    if line.name == _LOYAL:
        slack = _HYSTERESIS * (previous.startswith(_LOYAL) * (1 if UPSELL in previous_flags else -1))
        flags = (UPSELL,) if profile.money < _UPSELL_BELOW + slack else ()
    return SegmentName(line.name + as_suffix(said), line.strategy, flags, line.active, said, line.lapsing)


def _dividers(members: Members, spanning: Spanning | None, *, profiles_only: bool) -> list[Divider]:
    """What may tell twins apart."""
    of_attributes = [] if spanning is None else [Divider.of_attribute(*one) for one in numerics(spanning)]
    if profiles_only:
        return of_attributes
    return [
        Divider("spend", "higher spend", "lower spend", "highest spend", "lowest spend", members.money),
        Divider(
            "time since the last order",
            "longer ago",
            "more recent",
            "longest ago",
            "most recent",
            members.recency,
        ),
        Divider("orders", "more orders", "fewer orders", "most orders", "fewest orders", members.frequency),
        *of_attributes,
    ]


def _unique(
    names: list[SegmentName],
    insides: Sequence[Booleans],
    voting: Booleans,
    dividers: Sequence[Divider],
    before: Sequence[str],
) -> list[SegmentName]:
    """The same, with twins told apart."""
    unique = list(names)
    for name in dict.fromkeys(one.name for one in names):
        twins = [cluster for cluster, one in enumerate(names) if one.name == name]
        if len(twins) > 1:
            told = told_apart(name, [insides[one] for one in twins], voting, dividers, [before[one] for one in twins])
            for twin, apart in zip(twins, told, strict=True):
                unique[twin] = _with_words(names[twin], apart)
    return unique


def _with_words(name: SegmentName, told: Told) -> SegmentName:
    return name._replace(name=told.name, adjectives=(*name.adjectives, *told.adjectives))


def _profile(
    members: Members,
    voting: Booleans,
    inside: Booleans,
    lapse_days: float,
    settings: ModelSettings,
    *,
    history_known: bool,
) -> Profile | None:
    own = voting & inside
    if not own.any():
        return None
    return Profile(
        new=float(np.mean(members.customer_days[own] <= settings.new_days)) if history_known else 0.0,
        active=float(np.mean(members.recency[own] <= lapse_days)),
        one_order=float(np.mean(members.orders[own] == 1)),
        frequency=percentile(members.frequency[own], members.frequency[voting]),
        money=percentile(members.money[own], members.money[voting]),
        recency=percentile(members.recency[own], members.recency[voting]),
    )


def _line(profile: Profile, previous: str) -> _Line:
    found = next(line for line in TABLE if line.holds(profile, 0))
    # Of names that begin alike the longer one is meant: Lapsed, valuable is not Lapsed.
    kept = max(
        (line for line in TABLE if previous.startswith(line.name)), key=lambda line: len(line.name), default=None
    )
    if kept is None or kept is found or not kept.holds(profile, _HYSTERESIS):
        return found
    # An earlier line takes over only when it holds clearly; a later one only when the kept one has failed.
    overtaken = TABLE.index(found) < TABLE.index(kept) and found.holds(profile, -_HYSTERESIS)
    return found if overtaken else kept
