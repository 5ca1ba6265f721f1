"""What the leader shows of all segments: their list, a card each, and recommendations for somebody unknown."""

from collections.abc import Mapping

import numpy as np

from consumer.figures import ShopFigures
from consumer.items import ItemSums
from contracts.documents import SegmentCard, SegmentList, SegmentSize
from contracts.keys import Keys
from contracts.money import MILLIONTHS
from contracts.times import from_micros
from online_model.by_rule import RULE_SEGMENTS
from online_model.model import SPECIAL_SEGMENTS, SegmentModel
from recommender.popularity import Popular
from recommender.settings import RecommenderSettings
from recommender.store import ViewStore
from recommender.views import Stamp, cold_start, lifted_items

CARD_ITEMS = 10
"""Items on a card."""


class ShopWindow:
    """Writes the public documents about segments, when they have changed."""

    def __init__(self, views: ViewStore, keys: Keys, settings: RecommenderSettings) -> None:
        self._views = views
        self._keys = keys
        self._settings = settings
        self._shown: dict[str, bytes] = {}

    def show(
        self,
        model: SegmentModel | None,
        shop: ShopFigures,
        popular: Popular,
        item_sums: ItemSums,
        now: int,
        *,
        names: Mapping[int, str],
        quiet_since: int | None = None,
    ) -> None:
        """Write what differs from what was written last, apart from its time."""
        version = model.version if model else 0
        documents = {
            self._keys.cold_start(): cold_start(
                popular, item_sums.items.texts, Stamp(now, version, 0, ""), self._settings.list_length
            ),
            self._keys.segments(): _list(model, shop, names, now, quiet_since),
        }
        for segment_id, name, strategy in _segments(model, shop, names):
            documents[self._keys.segment(segment_id)] = SegmentCard(
                id=segment_id,
                name=name,
                size=shop.sizes.get(segment_id, 0),
                share_of_customers=_share(shop.sizes, segment_id),
                share_of_revenue=_share(shop.net_spend, segment_id),
                profile=_profile(model, shop, segment_id),
                strategy=strategy,
                items=_typical_items(popular, item_sums, segment_id),
                as_of=from_micros(now),
                model_version=version,
            )
        timeless = {
            key: document.model_copy(update={"as_of": from_micros(0)}).encode() for key, document in documents.items()
        }
        news = {key: documents[key].encode() for key, body in timeless.items() if self._shown.get(key) != body}
        if news:
            self._views.set_many(news)
            self._shown = timeless


def _typical_items(popular: Popular, item_sums: ItemSums, segment_id: int) -> tuple[tuple[str, float], ...]:
    """Items that the segment buys more than others do; none where what is popular was worked out before it was."""
    slot = item_sums.slot(segment_id)
    if not 0 <= slot < len(popular.shares) - 1:
        return ()
    return lifted_items(popular, slot, item_sums.items.texts, CARD_ITEMS)


def _segments(model: SegmentModel | None, shop: ShopFigures, names: Mapping[int, str]) -> list[tuple[int, str, str]]:
    """Id, name and strategy: learnt ones, those by rule while somebody is in them, and the special ones."""
    learned = model is not None and not model.by_rule
    learnt = [(one.id, one.name, one.strategy) for one in model.segments] if model and learned else []
    ruled = [
        (one, named.name, named.strategy) for one, named in RULE_SEGMENTS.items() if not learned or shop.sizes.get(one)
    ]
    return [*learnt, *ruled, *((one, names.get(one, name), "") for one, name in SPECIAL_SEGMENTS.items())]


def _list(
    model: SegmentModel | None, shop: ShopFigures, names: Mapping[int, str], now: int, quiet_since: int | None
) -> SegmentList:
    return SegmentList(
        segments=tuple(
            SegmentSize(id=segment_id, name=name, size=shop.sizes.get(segment_id, 0))
            for segment_id, name, _ in _segments(model, shop, names)
        ),
        history_start=None if shop.oldest is None else from_micros(shop.oldest),
        held_back=shop.held_back,
        quiet_since=None if quiet_since is None else from_micros(quiet_since),
        as_of=from_micros(now),
        model_version=model.version if model else 0,
    )


def _share(amounts: Mapping[int, int], segment_id: int) -> float:
    whole = sum(amounts.values())
    return round(amounts.get(segment_id, 0) / whole, 4) if whole > 0 else 0.0


def _profile(model: SegmentModel | None, shop: ShopFigures, segment_id: int) -> dict[str, float]:
    """What is typical of the segment, in units a person knows; of its nearest customers, whatever margin holds back."""
    profile: dict[str, float] = {}
    if shop.sizes.get(segment_id):
        profile["net_spend_per_customer"] = round(
            shop.net_spend.get(segment_id, 0) / MILLIONTHS / shop.sizes[segment_id], 2
        )
    if model is None or segment_id not in model.segment_ids:
        return profile
    cluster = int(np.flatnonzero(model.segment_ids == segment_id)[0])
    means = model.centroids
    if shop.sums is not None and shop.model_version == model.version:
        means = shop.sums.means(empty=means)
    typical = model.feature_set.in_units(means[cluster : cluster + 1], model.order_value)[0]
    for name, value in zip(model.features, typical.tolist(), strict=True):
        days = name in {"recency", "tenure"}
        profile[f"{name}_days" if days else name] = round(value, 1 if days else 2)
    return profile
