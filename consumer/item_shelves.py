"""What the leader shows of items: what sells best, in all and by category, and what goes with each item."""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from pydantic import ValidationError

from consumer.items import Items
from contracts.documents import PopularItems, SimilarItems
from contracts.keys import Keys
from contracts.times import from_micros
from recommender.item_model import ItemModel
from recommender.popularity import Popular
from recommender.store import ViewStore

POPULAR_ITEMS: Final = 50
"""In each list of what sells best."""
SIMILAR_ITEMS: Final = 20
"""In each list of what goes with an item."""
TOGETHER: Final = 1_000
"""Lists of what goes with items that are written in one go: a shop may have a hundred thousand."""


class PopularShelves:
    """Writes `popular` and `popular:<category>` when other items, or in another order, sell best."""

    def __init__(self, views: ViewStore, keys: Keys) -> None:
        self._views = views
        self._keys = keys
        self._shown: dict[str | None, list[int]] | None = None
        """What was written last, by category; None before we know of any."""
        self._categories: tuple[str, ...] = ()

    def show(self, popular: Popular, items: Items, now: int) -> None:
        """Write what differs from what was written last; delete lists of categories that nothing is left of."""
        shown = self._known() if self._shown is None else self._shown
        shares = popular.shares[-1]
        best = np.argsort(-shares, kind="stable")
        best = best[shares[best] > 0]
        lists: dict[str | None, list[int]] = {None: best[:POPULAR_ITEMS].tolist()}
        names = items.category_names
        for code, numbers in _by_category(best, items.category_codes):
            lists[names[code]] = numbers[:POPULAR_ITEMS].tolist()
        gone = [category for category in shown if category not in lists]
        if gone:  # before the list of all says that there is none
            self._views.delete_many([self._keys.popular(category) for category in gone])
        categories = tuple(sorted(category for category in lists if category is not None))
        news = [category for category, numbers in lists.items() if shown.get(category) != numbers]
        if categories != self._categories:
            news = [None, *(category for category in news if category is not None)]
        if news:
            documents = {
                category: PopularItems(
                    category=category,
                    items=tuple(
                        (items.texts.ids[item], round(float(shares[item]), 4), "popular") for item in lists[category]
                    ),
                    as_of=from_micros(now),
                    categories=categories if category is None else (),
                )
                for category in news
            }
            self._views.set_many({self._keys.popular(one): document.encode() for one, document in documents.items()})
        self._shown, self._categories = lists, categories

    def forget(self) -> None:
        """Somebody else may have written meanwhile."""
        self._shown, self._categories = None, ()

    def _known(self) -> dict[str | None, list[int]]:
        """Lists that an earlier leader may have left, of which we do not know the items."""
        document = self._views.get(self._keys.popular())
        if document is None:
            return {}
        try:
            return {category: [] for category in PopularItems.model_validate_json(document).categories}
        except ValidationError:  # of another version: it is written anew
            return {}


def _by_category(best: np.ndarray, codes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The items of each category, in their order."""
    best = best[best < len(codes)]
    own = codes[best]
    best, own = best[own >= 0], own[own >= 0]
    order = np.argsort(own, kind="stable")
    best, own = best[order], own[order]
    starts = np.flatnonzero(np.diff(own, prepend=-1))
    yield from zip(own[starts].tolist(), np.split(best, starts[1:]) if len(starts) else (), strict=True)


class SimilarShelves:
    """Writes `similar:<item id>` of every item of an item model, some at a time."""

    def __init__(self, views: ViewStore, keys: Keys) -> None:
        self._views = views
        self._keys = keys
        self._model: ItemModel | None = None
        self._written: set[str] = set()
        """Items that have a list, as far as this leader knows."""
        self._left: list[str] = []
        self._gone: list[str] = []

    @property
    def behind(self) -> bool:
        """Whether there are lists to be written."""
        return self._model is not None

    def begin(self, model: ItemModel, before: Iterable[str] = ()) -> None:
        """Write the lists of a newer model; those of items `before` that it no longer knows go."""
        self._written.update(before)
        known = [item_id for item_id, count in zip(model.ids, model.neighbours.counts.tolist(), strict=True) if count]
        self._model = model
        self._left = known[::-1]  # taken from the end, once they are written
        self._gone = sorted(self._written.difference(known))

    def write(self) -> None:
        """Write the next ones, or delete them. Raises ViewsUnavailableError."""
        if self._model is None:
            return
        if some := self._left[-TOGETHER:]:
            self._views.set_many({self._keys.similar(one): _similar(self._model, one) for one in some})
            self._written.update(some)
            del self._left[-TOGETHER:]
        elif gone := self._gone[-TOGETHER:]:
            self._views.delete_many([self._keys.similar(one) for one in gone])
            self._written.difference_update(gone)
            del self._gone[-TOGETHER:]
        else:
            self._model = None


def _similar(model: ItemModel, item_id: str) -> bytes:
    return SimilarItems(
        item_id=item_id, items=tuple(model.similar(item_id, SIMILAR_ITEMS)), as_of=from_micros(model.as_of)
    ).encode()
