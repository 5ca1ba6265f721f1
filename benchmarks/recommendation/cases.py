"""What was bought before and after a cut: the questions that recommenders are asked, and their right answers."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec
import numpy as np

from benchmarks.recommendation.inputs import Inputs
from benchmarks.recommendation.metrics import NO_ITEM, Truth
from online_model.arrays import Integers
from producer.message import PURCHASE, Message

Target = Literal["all", "new"]
TARGETS: Final[tuple[Target, ...]] = ("all", "new")
"""All products of the order, or only those that the customer has never bought before."""


class _Line(msgspec.Struct):
    item_id: str


class _Event(msgspec.Struct):
    type: str
    customer_id: str
    lines: list[_Line] = []


_event = msgspec.json.Decoder(_Event).decode


@dataclass(frozen=True, slots=True)
class Order:
    """One purchase, of products alone."""

    at: int
    """Microseconds UTC."""
    customer: str
    items: frozenset[str]
    """Empty where only postage and the like was paid for."""


def order_of(message: Message, is_product: Callable[[str], bool]) -> Order | None:
    """The purchase in a message; None where it is another event."""
    event = _event(message.value)
    if event.type != PURCHASE:
        return None
    items = frozenset(line.item_id for line in event.lines if is_product(line.item_id))
    return Order(message.occurred_at, event.customer_id, items)


class Orders:
    """Every purchase of a table, by customer and time."""

    def __init__(self, orders: Iterable[Order]) -> None:
        self._by_customer: dict[str, list[Order]] = defaultdict(list)
        for order in orders:
            self._by_customer[order.customer].append(order)
        for theirs in self._by_customer.values():
            theirs.sort(key=lambda order: order.at)

    @property
    def customers(self) -> tuple[str, ...]:
        """Everybody who ever bought."""
        return tuple(self._by_customer)

    def first_after(self, cut: int, until: int | None) -> dict[str, Order]:
        """By customer the first order of any product at or after `cut`, and before `until`."""
        found = {}
        for customer, orders in self._by_customer.items():
            for order in orders[bisect_left(orders, cut, key=lambda one: one.at) :]:
                if until is not None and order.at >= until:
                    break
                if order.items:
                    found[customer] = order
                    break
        return found

    def bought_before(self, customer: str, cut: int) -> frozenset[str]:
        """Products that the customer bought before; also those returned or long forgotten."""
        orders = self._by_customer.get(customer, [])
        earlier = orders[: bisect_left(orders, cut, key=lambda one: one.at)]
        return frozenset().union(*(order.items for order in earlier))

    def is_customer(self, customer: str, cut: int) -> bool:
        """Whether there was any purchase before."""
        orders = self._by_customer.get(customer)
        return bool(orders) and orders[0].at < cut  # type: ignore[index]


@dataclass(frozen=True)
class Case:
    """One cut: who bought afterwards, and what."""

    cut: int
    inputs: Inputs
    customers: tuple[str, ...]
    """Who had bought before."""
    rows: Integers
    """(customers,): their places in the inputs."""
    truth: Mapping[Target, Truth]
    cold: tuple[str, ...]
    """Who had not."""
    cold_truth: Truth

    def only(self, chosen: Integers) -> "Case":
        """The case with some of its customers; `chosen` are places, rising."""
        return replace(
            self,
            customers=tuple(self.customers[place] for place in chosen.tolist()),
            rows=self.rows[chosen],
            truth={target: truth.only(chosen) for target, truth in self.truth.items()},
        )


def case(cut: int, inputs: Inputs, orders: Orders, until: int | None = None) -> Case:
    """The questions at a cut; answers come from orders before `until` alone."""
    first = orders.first_after(cut, until)
    places = {customer: place for place, customer in enumerate(inputs.customers)}
    warm = tuple(sorted(who for who in first if who in places and orders.is_customer(who, cut)))
    cold = tuple(sorted(who for who in first if not orders.is_customer(who, cut)))
    numbers = {item: number for number, item in enumerate(inputs.items)}
    return Case(
        cut=cut,
        inputs=inputs,
        customers=warm,
        rows=np.array([places[who] for who in warm], np.int64),
        truth={
            "all": truth_of([first[who].items for who in warm], numbers),
            "new": truth_of([first[who].items - orders.bought_before(who, cut) for who in warm], numbers),
        },
        cold=cold,
        cold_truth=truth_of([first[who].items for who in cold], numbers),
    )


def truth_of(items: Sequence[frozenset[str]], numbers: Mapping[str, int]) -> Truth:
    """What each bought, as numbers; -1 for an item without one."""
    return Truth(
        customers=np.repeat(np.arange(len(items)), [len(one) for one in items]),
        items=np.array([numbers.get(item, NO_ITEM) for one in items for item in sorted(one)], np.int64),
        size=len(items),
    )
