"""What an application shows of an answer: its items by shelf, category and number, without those it must not show."""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from recommender.answers import AGAIN, Item, Recommendations, Shelf

FULL_LIST: Final = 20
"""So many items has a list that is filled up and of which no number is asked for."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which items of an answer are asked for."""

    n: int | None = None
    exclude: Collection[str] = ()
    shelf: Shelf = "recommendations"
    category: str | None = None

    def of(self, answer: Recommendations) -> tuple[Item, ...]:
        """The items chosen from an answer; the category is not looked at."""
        return first(answer.shelf(self.shelf), self.n, self.exclude)

    def in_category(
        self, answer: Recommendations, categories: Mapping[str, str | None], popular: Collection[Item]
    ) -> tuple[Item, ...]:
        """The customer's items of the category, then what sells best in it.

        Parameters:
            answer: where the customer's items are.
            categories: of these items; one that is not named is in none.
            popular: of the category, best first. On the shelf `discover` without what the customer bought before,
                as far as the answer says so; on `buy_again` there is nothing to fill up with.
        """
        own = [item for item in answer.shelf(self.shelf) if categories.get(item.item_id) == self.category]
        there = {item.item_id for item in own}
        if self.shelf == "discover":
            there |= {item.item_id for item in answer.items if item.reason == AGAIN}
        filling = () if self.shelf == "buy_again" else popular
        own.extend(item for item in filling if item.item_id not in there)
        return first(own, FULL_LIST if self.n is None else self.n, self.exclude)


def first(items: Collection[Item], n: int | None, exclude: Collection[str] = ()) -> tuple[Item, ...]:
    """The first n items that are not excluded, or all of them."""
    if exclude:
        without = exclude if isinstance(exclude, AbstractSet) else frozenset(exclude)
        items = [item for item in items if item.item_id not in without]
    return tuple(items) if n is None else tuple(items)[: max(n, 0)]


def offered(items: tuple[Item, ...], withdrawn: frozenset[str]) -> tuple[Item, ...]:
    """The items that may be recommended; the same tuple where those are all."""
    if withdrawn.isdisjoint([item.item_id for item in items]):
        return items
    return tuple(item for item in items if item.item_id not in withdrawn)
