"""Segments by rule, while there is too little data to learn any: the naming table applied to one customer at a time."""

from typing import Final

import numpy as np

from contracts.documents import RuleThresholds
from contracts.times import DAY, from_micros, to_micros
from online_model.arrays import Booleans, Floats, Integers, Labels
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
    _IDS[line.name]: SegmentName(line.name, line.strategy, line.flags, line.active, lapsing=line.lapsing)
    for line in TABLE
    if line.name in _IDS
}
"""Names and strategies of the segments by rule, by id.

The table's last lines are not among them: a single customer is either active or lapsed, and they are for segments that
are neither.
"""


def too_little_to_learn(buyers: int, first_at: int | None, now: int, settings: ModelSettings) -> bool:
    """Whether segments go by rule. `first_at` is the oldest purchase, None if there is none; microseconds UTC.

    Never where attributes alone are compared: the rules are about purchases.
    """
    if not settings.request.needs_purchases:
        return False
    return buyers < settings.by_rule_buyers or first_at is None or now - first_at < settings.by_rule_days * DAY


def thresholds(members: Members, now: int, *, new_days: float, lapse_days: float) -> RuleThresholds:
    """What the naming table's percentiles come to among these customers, all or a sample, as of `now` (microseconds).

    While the oldest is younger than `new_days + lapse_days` the history may simply begin there: nobody is new.
    """
    bought = ~np.isnan(members.recency)
    frequency, money = members.frequency[bought], members.money[bought]
    oldest = float(members.tenure[bought].max()) if bought.any() else None
    known = None if oldest is None else now + round((new_days + lapse_days - oldest) * DAY)
    return RuleThresholds(
        loyal_orders=_least(frequency, 0.6),
        champion_orders=_least(frequency, 0.85),
        champion_net=_least(money, 0.85),
        valuable_net=_least(money, 0.6),
        lapse_days=lapse_days,
        new_days=new_days,
        new_from=None if known is None else from_micros(known),
    )


def by_rule(members: Members, asked: RuleThresholds, now: int | Integers) -> Labels:
    """The segment ids of customers, (customers,) int32: keys of RULE_SEGMENTS, NO_PURCHASES for who never bought.

    The first line of the naming table that holds, where every share is 1 or 0, since it is that of one customer, and
    percentiles are those of the customer's own figures in the population. `now`: microseconds, one or (customers,).
    """
    bought = ~np.isnan(members.recency)
    active: Booleans = members.recency <= asked.lapse_days
    one = members.orders == 1
    known = asked.new_from is not None and np.asarray(now) >= to_micros(asked.new_from)
    lines = {
        "New customers": (members.customer_days <= asked.new_days) & known,
        "Champions": active
        & _reached(members.frequency, asked.champion_orders)
        & _reached(members.money, asked.champion_net),
        "Loyal": active & _reached(members.frequency, asked.loyal_orders) & ~one,
        "One order so far": active & one,
        "Occasional": active,
        "Lost after one order": one,
        "Lapsed, valuable": _reached(members.money, asked.valuable_net),
    }
    ids: Labels = np.full(len(bought), _IDS["Lapsed"], np.int32)
    for name, holds in reversed(lines.items()):
        ids[holds] = _IDS[name]
    ids[~bought] = NO_PURCHASES
    return ids


def _reached(values: Floats, least: float | None) -> Booleans:
    return np.asarray(values >= (np.inf if least is None else least))


def _least(population: Floats, percentile: float) -> float | None:
    """The least figure with that percentile in the population or a higher one; None where that is empty.

    Percentiles are mid-ranks, as the naming table has them. They jump at each figure that somebody has, to the middle
    of the jump at it and to its top beyond: hence the next float where only that is enough.
    """
    figures, customers = np.unique(population, return_counts=True)
    if not len(figures):
        return None
    up_to = np.cumsum(customers)
    beyond = 2 * up_to / (2 * len(population))
    at = (2 * up_to - customers) / (2 * len(population))
    place = int(np.argmax(beyond >= percentile))
    figure = figures[place]
    return float(figure if at[place] >= percentile else np.nextafter(figure, np.inf))
