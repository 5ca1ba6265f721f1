"""When the leader has the items' model learnt anew, and how it reaches every worker."""

from typing import Final

import structlog

from consumer.figures import ShopFigures
from consumer.item_sample import sampled_history
from consumer.items import ItemSums
from consumer.reviews import Reviews
from consumer.row_store import RowStore
from consumer.state import State
from contracts.times import DAY
from recommender.item_model import ItemModel
from recommender.item_review import ItemReview
from recommender.settings import RecommenderSettings

TUNE_MORE: Final = 1.5
"""The blend is chosen anew when there are so many times the purchases of when it was ..."""
TUNE_INTERVAL: Final = 28 * DAY
"""... or after so long: it rests on the newest third of all purchases, which does not change in a few days."""

_log = structlog.get_logger("livesegments.items")


class ItemReviewing:
    """Asks for item reviews and publishes what they come to. Its memory is the published model."""

    def __init__(
        self, state: State, store: RowStore, items: ItemSums, settings: RecommenderSettings, reviews: Reviews[ItemModel]
    ) -> None:
        self._state = state
        self._store = store
        self._items = items
        self._settings = settings
        self._reviews = reviews
        self._number: int | None = None
        self._version = 0
        self._reviewed: tuple[int, int] | None = None
        """Purchases at the last review, and when it was asked for; None: not known."""
        self._tuned: tuple[int, int] | None = None
        """The same of the last choice of a blend."""
        self._latest: ItemModel | None = None
        """What this leader published last."""
        self._put_off = False
        self._learnt: ItemModel | None = None
        """What a review came to that is not published yet."""

    @property
    def busy(self) -> bool:
        """Whether a review is under way, is not published, or is due and had to wait for its share of the time."""
        return self._reviews.running or self._put_off or self._learnt is not None

    def decide(self, number: int, shop: ShopFigures, now: int, *, at_rest: bool) -> ItemModel | None:
        """Ask for a review if one is due; publish what the last one came to, and return that.

        `number` is how often partition 0 was claimed. A worker `at_rest` has time: a review need not wait for its
        share of it.
        """
        if self._number != number:
            self._take_over(number, shop, now)
        if self._due(shop, now):
            self._put_off = not (self._reviews.free or (at_rest and not self._reviews.running))
            if not self._put_off:
                self._ask(shop, now)
        learnt = self._learnt = self._learnt or self._reviews.take()
        if learnt is None:
            return None
        published = self._publish(number, learnt)
        self._learnt = None  # not before: where the state does not answer, it is published later
        return learnt if published else None

    def _take_over(self, number: int, shop: ShopFigures, now: int) -> None:
        """Go on where the last leader stopped: what it published is as good as what was bought until now."""
        self._version = self._state.item_model_version()
        self._reviewed = (shop.purchases, now) if self._version else None
        self._tuned = self._latest = None  # the blend is chosen anew at the first review
        self._put_off = False
        self._number = number  # last: the state may not answer

    def _due(self, shop: ShopFigures, now: int) -> bool:
        if self._reviewed is None:
            return shop.purchases > 0
        settings = self._settings
        return _passed(self._reviewed, shop, now, settings.item_review_growth, settings.item_review_interval)

    def _ask(self, shop: ShopFigures, now: int) -> None:
        customers = sum(shop.sizes.values())
        history = sampled_history(self._store, self._state, self._items, customers, shop.partitions)
        self._reviewed = (shop.purchases, now)
        known = self._latest.blend if self._latest is not None else None
        if self._tuned is None or _passed(self._tuned, shop, now, TUNE_MORE, TUNE_INTERVAL):
            self._tuned, known = self._reviewed, None
        ids, allowed = self._items.items.texts.ids, self._items.items.products_by_settings
        self._reviews.ask(ItemReview.of(history, ids, now, self._settings, allowed, known=known))

    def _publish(self, number: int, model: ItemModel) -> bool:
        version = self._version + 1
        if not self._state.publish_item_model(number, version, model.encode()):
            _log.warning("item model not published: another leader's is in force", version=version)
            self._number = None
            return False
        self._version, self._latest = version, model
        _log.info("items learnt", version=version, items=len(model.ids), customers=model.customers, note=model.note)
        return True


def _passed(since: tuple[int, int], shop: ShopFigures, now: int, more: float, interval: int) -> bool:
    """Whether there are so many times the purchases as then, or some more and the interval is over."""
    purchases, at = since
    if shop.purchases == purchases:
        return False
    return shop.purchases >= more * purchases or not 0 <= now - at < interval
