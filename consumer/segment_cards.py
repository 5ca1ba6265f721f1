"""A segment's card: what there is to say about it, from the figures that workers tell the leader."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from consumer.figures import ShopFigures
from consumer.items import ItemSums
from consumer.names import Names
from consumer.row_forecasts import SUMS
from contracts.documents import RULE_IDS, SegmentCard, SegmentForecast
from contracts.money import MILLIONTHS
from contracts.times import from_micros
from online_model.arrays import Booleans, Floats
from online_model.by_rule import RULE_SEGMENTS
from online_model.model import OUT_OF_SEASON, SPECIAL_SEGMENTS, Segment, SegmentModel
from online_model.seasons import REMIND
from online_model.statements import sets_apart
from recommender.popularity import Popular
from recommender.views import lifted_items

CARD_ITEMS: Final = 10
"""Items on a card."""
MIN_BUYERS: Final = 20
"""An item that fewer customers bought says nothing about a segment."""
_COUNTED_CUSTOMERS: Final = 10_000
_COUNTED_AGAIN: Final = 1.25
"""Buyers are counted again when so many times as much was bought."""


def known_segments(model: SegmentModel | None, shop: ShopFigures, names: Names) -> list[Segment]:
    """Learnt ones, those by rule while somebody is in them, and the special ones, as they are called now."""
    learned = model is not None and not model.by_rule
    learnt = list(model.segments) if model is not None and learned else []
    ruled = [
        Segment(one, named.name, named.strategy, named.flags)
        for one, named in RULE_SEGMENTS.items()
        if not learned or shop.sizes.get(one)
    ]
    special = [Segment(one, name, REMIND if one == OUT_OF_SEASON else "") for one, name in SPECIAL_SEGMENTS.items()]
    return [_renamed(one, names) for one in (*learnt, *ruled, *special)]


def _renamed(segment: Segment, names: Names) -> Segment:
    return Segment(
        segment.id,
        names.get(segment.id, segment.name),
        names.strategy(segment.id, segment.strategy),
        segment.flags,
        segment.adjectives,
    )


class KnownItems:
    """Which items enough customers have bought. Counting takes a while, so it is done when much has been bought."""

    def __init__(self) -> None:
        self._purchases = 0
        self._enough: Booleans = np.zeros(0, np.bool_)

    def enough(self, item_sums: ItemSums, purchases: int) -> Booleans:
        """Which items at least 20 of the customers looked at have bought, (items,): of this worker's, up to 10,000."""
        if purchases > self._purchases * _COUNTED_AGAIN:
            self._purchases = purchases
            self._enough = item_sums.buyers(_COUNTED_CUSTOMERS) >= MIN_BUYERS
        return self._enough


@dataclass(frozen=True, slots=True)
class CardWriter:
    """Makes cards as of one moment."""

    model: SegmentModel | None
    shop: ShopFigures
    popular: Popular
    item_sums: ItemSums
    known_items: Booleans
    currency: str
    now: int

    def card(self, segment: Segment) -> SegmentCard:
        """The card of a segment."""
        shop, size = self.shop, self.shop.sizes.get(segment.id, 0)
        typical = self._typical(segment.id)
        lifecycle = shop.lifecycles.get(segment.id)
        active, new, one_order = (
            None if lifecycle is None or not size else round(n / size, 4) for n in lifecycle or (0,) * 3
        )
        return SegmentCard(
            id=segment.id,
            name=segment.name,
            by_rule=segment.id in RULE_IDS,
            size=size,
            share_of_customers=_share(shop.sizes, segment.id),
            share_of_revenue=_share(shop.net_spend, segment.id),
            profile=self._profile(segment.id, typical),
            strategy=segment.strategy,
            flags=segment.flags,
            adjectives=tuple((one.word, round(one.share, 4)) for one in segment.adjectives),
            sets_apart=() if typical is None or self.model is None else sets_apart(self.model, typical, self.currency),
            active=active,
            lapsed=None if active is None else round(1 - active, 4),
            new=new,
            one_order=one_order,
            forecast=_forecast(shop.ahead.get(segment.id)),
            items=self._items(segment.id),
            as_of=from_micros(self.now),
            model_version=self.model.version if self.model else 0,
        )

    def _typical(self, segment_id: int) -> Floats | None:
        """Features of its nearest customers' mean, whatever margin holds back, (features,); None: it is not learnt."""
        model, shop = self.model, self.shop
        if model is None or model.by_rule or segment_id not in model.segment_ids:
            return None
        means = model.centroids
        if shop.sums is not None and shop.model_version == model.version:
            means = shop.sums.means(empty=means)
        return np.asarray(means[int(np.flatnonzero(model.segment_ids == segment_id)[0])])

    def _profile(self, segment_id: int, typical: Floats | None) -> dict[str, float]:
        """What is typical of the segment, in units a person knows."""
        profile: dict[str, float] = {}
        size = self.shop.sizes.get(segment_id)
        if size:
            profile["net_spend_per_customer"] = round(self.shop.net_spend.get(segment_id, 0) / MILLIONTHS / size, 2)
        if typical is None or self.model is None:
            return profile
        values = self.model.feature_set.in_units(typical[np.newaxis], self.model.order_value)[0]
        for name, value in zip(self.model.features, values.tolist(), strict=True):
            days = name in {"recency", "tenure"}
            profile[f"{name}_days" if days else name] = round(value, 1 if days else 2)
        return profile

    def _items(self, segment_id: int) -> tuple[tuple[str, float], ...]:
        """Items that it buys more than others do; none where what is popular was worked out before the segment was."""
        slot = self.item_sums.slot(segment_id)
        if not 0 <= slot < len(self.popular.shares) - 1:
            return ()
        return lifted_items(self.popular, slot, self.item_sums.items.texts, CARD_ITEMS, self.known_items)


def _forecast(totals: tuple[float, ...] | None) -> SegmentForecast | None:
    """The sums of a segment in words of the contract."""
    if totals is None:
        return None
    told = dict(zip(SUMS, totals, strict=True))
    return SegmentForecast(
        customers=round(told["customers"]),
        active=round(told["active"], 1) if told["told"] else None,
        orders_90d=round(told["orders"], 1),
        revenue_30d=round(told["spend_30"], 2),
        revenue_90d=round(told["spend_90"], 2),
        revenue_365d=round(told["spend_365"], 2),
        at_risk_90d=round(told["at_risk"], 2) if told["told"] else None,
    )


def _share(amounts: Mapping[int, int], segment_id: int) -> float:
    whole = sum(amounts.values())
    return round(amounts.get(segment_id, 0) / whole, 4) if whole > 0 else 0.0
