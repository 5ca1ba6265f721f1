"""What happened in the synthetic shop in a stretch of time, as columns, and its events as bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contracts.times import rfc3339
from producer.assortment import Assortment
from producer.customers import Customers, customer_id
from producer.message import PURCHASE, RETURN, LineJson, Message, OrderJson, ProfileJson, encode

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Baskets:
    """Orders, or returns, as columns of one length (baskets,); items and quantities (lines,), basket by basket."""

    customer: Ints
    at: Ints
    """Microseconds UTC."""
    number: Ints
    """Of the order, counted from the shop's first."""
    counts: Ints
    """Lines."""
    item: Ints
    quantity: Ints

    def __len__(self) -> int:
        return len(self.customer)

    def select(self, chosen: NDArray[np.bool_]) -> "Baskets":
        """Only some of them; `chosen` is (baskets,)."""
        lines = np.repeat(chosen, self.counts)
        return Baskets(
            self.customer[chosen],
            self.at[chosen],
            self.number[chosen],
            self.counts[chosen],
            self.item[lines],
            self.quantity[lines],
        )

    def joined(self, others: "Baskets") -> "Baskets":
        """These, then the others."""
        return Baskets(
            *(
                np.concatenate([getattr(self, column), getattr(others, column)])
                for column in ("customer", "at", "number", "counts", "item", "quantity")
            )
        )

    def lines(self, assortment: Assortment) -> list[list[LineJson]]:
        """The lines of each basket."""
        prices = assortment.cents[self.item] / 100
        ids = assortment.item_ids
        made = list(map(LineJson, [ids[item] for item in self.item.tolist()], self.quantity.tolist(), prices.tolist()))
        ends = np.cumsum(self.counts).tolist()
        return [made[end - count : end] for end, count in zip(ends, self.counts.tolist(), strict=True)]


def no_baskets() -> Baskets:
    """Nothing."""
    none = np.zeros(0, dtype=np.int64)
    return Baskets(none, none, none, none, none, none)


@dataclass(frozen=True)
class ShopEvents:
    """Events of a stretch of time: purchases, returns, and a profile before a customer's first purchase.

    Places run over the profiles, one per purchase whether it is published or not, then the purchases, then the returns.
    """

    prefix: str
    """Of ids: names the shop and its start."""
    currency: str
    assortment: Assortment
    customers: Customers
    purchases: Baskets
    returns: Baskets
    delay: Ints
    """(places,): how much later than it happened an event is published, in microseconds."""
    repeat: Ints
    """(places,): after how much more time it is published again; 0 for never."""

    def by_time(self) -> Iterator[tuple[int, int, int, int]]:
        """Place, time, delay and repeat of each event, by time."""
        at = np.concatenate([self.purchases.at, self.purchases.at, self.returns.at])
        order = np.argsort(at, kind="stable")
        order = order[self._published()[order]]
        columns = (order, at[order], self.delay[order], self.repeat[order])
        return zip(*(column.tolist() for column in columns), strict=True)

    def _published(self) -> NDArray[np.bool_]:
        """(places,): all but the profiles of customers who have one."""
        published = np.ones(2 * len(self.purchases) + len(self.returns), dtype=bool)
        by_time = np.argsort(self.purchases.at, kind="stable")
        unique, first = np.unique(self.purchases.customer[by_time], return_index=True)
        published[: len(self.purchases)] = False
        published[by_time[first[~self.customers.known[unique]]]] = True
        self.customers.known[unique] = True
        return published

    @cached_property
    def _lines(self) -> list[list[LineJson]]:
        return self.purchases.lines(self.assortment) + self.returns.lines(self.assortment)

    @cached_property
    def _who(self) -> list[int]:
        who: list[int] = np.concatenate([self.purchases.customer, self.returns.customer]).tolist()
        return who

    @cached_property
    def _numbers(self) -> list[int]:
        numbers: list[int] = np.concatenate([self.purchases.number, self.returns.number]).tolist()
        return numbers

    def message(self, place: int, occurred_at: int) -> Message:
        """The event at a place, said to have happened at a time."""
        profiles = len(self.purchases)
        if place < profiles:
            return self._profile(self._who[place], occurred_at)
        basket = place - profiles
        kind = PURCHASE if basket < profiles else RETURN
        order_id = f"{self.prefix}-{self._numbers[basket]}"
        customer = customer_id(self._who[basket])
        event_id = f"{order_id}:{kind}"
        body = OrderJson(
            event_id=event_id,
            customer_id=customer,
            occurred_at=rfc3339(occurred_at),
            order_id=order_id,
            lines=self._lines[basket],
            currency=self.currency,
            type=kind,
        )
        return Message(occurred_at, event_id, customer.encode(), encode(body))

    def _profile(self, number: int, occurred_at: int) -> Message:
        customer = customer_id(number)
        event_id = f"{self.prefix}-{customer}:profile"
        body = ProfileJson(
            event_id=event_id,
            customer_id=customer,
            occurred_at=rfc3339(occurred_at),
            attributes=self.customers.attributes(number, occurred_at),
        )
        return Message(occurred_at, event_id, customer.encode(), encode(body))
