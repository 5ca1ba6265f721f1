"""What the leader shows of all segments: their list, a card each, and recommendations for somebody unknown."""

from consumer.figures import ShopFigures
from consumer.items import ItemSums
from consumer.names import Names
from consumer.segment_cards import CardWriter, KnownItems, known_segments
from contracts.documents import RULE_IDS, RuleThresholds, SegmentList, SegmentSize
from contracts.keys import Keys
from contracts.money import MILLIONTHS
from contracts.times import from_micros
from online_model.model import Segment, SegmentModel
from recommender.popularity import Popular
from recommender.settings import RecommenderSettings
from recommender.store import ViewStore
from recommender.views import Stamp, cold_start


class ShopWindow:
    """Writes the public documents about segments, when they have changed."""

    def __init__(self, views: ViewStore, keys: Keys, settings: RecommenderSettings, currency: str = "") -> None:
        self._views = views
        self._keys = keys
        self._settings = settings
        self._currency = currency
        self._known_items = KnownItems()
        self._shown: dict[str, bytes] = {}

    def forget(self) -> None:
        """Trust nothing that was written before: write all of it again."""
        self._shown = {}

    def show(
        self,
        model: SegmentModel | None,
        shop: ShopFigures,
        popular: Popular,
        item_sums: ItemSums,
        now: int,
        *,
        names: Names,
        quiet_since: int | None = None,
        rules: RuleThresholds | None = None,
    ) -> None:
        """Write what differs from what was written last, apart from its time."""
        stamp = Stamp(now, model.version if model else 0, 0, "")
        segments = known_segments(model, shop, names)
        enough = self._known_items.enough(item_sums, shop.purchases)
        cards = CardWriter(model, shop, popular, item_sums, enough, self._currency, now)
        documents = {
            self._keys.cold_start(): cold_start(popular, item_sums.items.texts, stamp, self._settings.list_length),
            self._keys.segments(): _list(segments, stamp, shop, quiet_since, rules),
            **{self._keys.segment(segment.id): cards.card(segment) for segment in segments},
        }
        timeless = {
            key: document.model_copy(update={"as_of": from_micros(0)}).encode() for key, document in documents.items()
        }
        news = {key: documents[key].encode() for key, body in timeless.items() if self._shown.get(key) != body}
        if news:
            self._views.set_many(news)
            self._shown = timeless


def _list(
    segments: list[Segment], stamp: Stamp, shop: ShopFigures, quiet_since: int | None, rules: RuleThresholds | None
) -> SegmentList:
    return SegmentList(
        segments=tuple(
            SegmentSize(id=one.id, name=one.name, size=shop.sizes.get(one.id, 0), by_rule=one.id in RULE_IDS)
            for one in segments
        ),
        history_start=None if shop.oldest is None else from_micros(shop.oldest),
        held_back=shop.held_back,
        quiet_since=None if quiet_since is None else from_micros(quiet_since),
        rules=rules,
        guest_orders=shop.guests[0],
        guest_net_spend=shop.guests[1] / MILLIONTHS,
        guest_share_of_revenue=_guest_share(shop),
        as_of=from_micros(stamp.as_of),
        model_version=stamp.model_version,
    )


def _guest_share(shop: ShopFigures) -> float | None:
    whole = sum(shop.net_spend.values()) + shop.guests[1]
    return round(shop.guests[1] / whole, 4) if shop.guests[0] and whole > 0 else None
