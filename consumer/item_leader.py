"""What the leader does about items: it has them learnt, publishes that for every worker, and shows lists of items."""

from consumer.figures import ShopFigures
from consumer.item_reviewing import ItemReviewing
from consumer.item_shelves import PopularShelves, SimilarShelves
from consumer.items import ItemSums
from consumer.reviews import Reviews
from consumer.row_store import RowStore
from consumer.state import State
from contracts.keys import Keys
from recommender.item_model import ItemModel
from recommender.popularity import Popular
from recommender.settings import RecommenderSettings
from recommender.store import ViewStore


class ItemLeader:
    """The owner of partition 0 asks it whenever the figures of all partitions are new."""

    def __init__(
        self,
        state: State,
        views: ViewStore,
        store: RowStore,
        items: ItemSums,
        reviews: Reviews[ItemModel],
        *,
        settings: RecommenderSettings,
        keys: Keys,
    ) -> None:
        self._reviewing = ItemReviewing(state, store, items, settings, reviews)
        self._popular = PopularShelves(views, keys)
        self._similar = SimilarShelves(views, keys)
        self._items = items.items

    @property
    def busy(self) -> bool:
        """Whether a review is under way or due, or lists of what goes with items are still to be written."""
        return self._reviewing.busy or self._similar.behind

    def decide(
        self, number: int, shop: ShopFigures, known: ItemModel | None, now: int, *, at_rest: bool
    ) -> ItemModel | None:
        """The next item model, published, if there is one now. `number` is how often partition 0 was claimed."""
        learnt = self._reviewing.decide(number, shop, now, at_rest=at_rest)
        if learnt is not None:
            self._similar.begin(learnt, known.ids if known is not None else ())
        return learnt

    def forget(self) -> None:
        """Trust nothing of popular items that was written before: write it again."""
        self._popular.forget()

    def show(self, popular: Popular, now: int) -> None:
        """Write lists of items that have changed. Raises ViewsUnavailableError."""
        self._popular.show(popular, self._items, now)
        self._similar.write()
