"""The table through the real worker, once: at each cut, what is known and what apps read; on some days, every order."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from benchmarks.in_time_order import TimeOrdered
from benchmarks.recommendation.blend import Blender, in_blocks
from benchmarks.recommendation.cases import TARGETS, Case, Order, Orders, Target, case, order_of, truth_of
from benchmarks.recommendation.inputs import Inputs
from benchmarks.recommendation.metrics import LENGTH, NO_ITEM, Truth
from contracts.catalog import CatalogItem
from contracts.times import DAY, to_micros
from online_model.arrays import Integers
from producer.message import Message
from recommender.answers import Shelf
from recommender.reader import CustomerReader

SHELVES: Final[dict[Target, Shelf]] = {"all": "recommendations", "new": "discover"}
POPULAR_DAYS: Final = 30


@dataclass(frozen=True)
class Judged:
    """A cut at which ours is judged: the questions, and what the views answered."""

    case: Case
    ours: dict[Target, Integers]
    """(customers, 10) item numbers."""
    cold: Integers
    """(cold customers, 10): what somebody unknown is recommended."""


@dataclass
class Asked:
    """Orders that were predicted before they were learnt; one entry each."""

    customers: list[str] = field(default_factory=list)
    known: list[bool] = field(default_factory=list)
    """Whether the customer had bought before."""
    bought: dict[Target, list[frozenset[str]]] = field(default_factory=lambda: {target: [] for target in TARGETS})
    ours: dict[Target, list[tuple[str, ...]]] = field(default_factory=lambda: {target: [] for target in TARGETS})
    popular: dict[Target, list[tuple[str, ...]]] = field(default_factory=lambda: {target: [] for target in TARGETS})
    """What sold most in 30 days, as of the beginning of the order's day."""
    days: int = 0

    def questions(self, target: Target) -> tuple[Truth, Integers, Integers]:
        """Truth, our lists and the popular ones, in numbers of their own."""
        names = {item for one in (self.bought, self.ours, self.popular) for items in one[target] for item in items}
        numbers = {item: number for number, item in enumerate(sorted(names))}
        truth = truth_of(self.bought[target], numbers)
        return truth, numbered(self.ours[target], numbers), numbered(self.popular[target], numbers)


def numbered(lists: Sequence[Sequence[str]], numbers: dict[str, int]) -> Integers:
    """Lists of items as numbers, (lists, 10), -1 where one is shorter."""
    table = np.full((len(lists), LENGTH), NO_ITEM, np.int64)
    for row, items in enumerate(lists):
        table[row, : len(items)] = [numbers[item] for item in items]
    return table


def inputs_of(deployment: TimeOrdered) -> Inputs:
    """The kept histories of all customers of the worker, as its own ranking gets them."""
    memory = deployment.worker.memory
    store, item_sums = memory.store, memory.item_sums
    rows = np.flatnonzero(store.partition[: store.used] >= 0)
    history = item_sums.history(rows)
    return Inputs(
        now=deployment.worker.clock.now,
        customers=tuple(store.ids[row] for row in rows.tolist()),
        items=tuple(item_sums.items.texts.ids),
        allowed=item_sums.items.allowed.copy(),
        history=history,
    )


class Stream:
    """Replays a table and stops where it is told.

    Parameters:
        orders: every purchase of the table.
        items: of the catalogue; each becomes known with the first event of its time, or nobody could tell what is new.
        tuning: cuts at which only what is known is taken; their answers come from before the first of `cuts`.
        cuts: rising, microseconds UTC.
        days: stream days (days since 1970) whose every order is predicted before it is learnt.
        most: events that the worker gets at once.
    """

    def __init__(
        self,
        deployment: TimeOrdered,
        reader: CustomerReader,
        orders: Orders,
        *,
        items: Iterable[CatalogItem],
        is_product: Callable[[str], bool],
        tuning: Sequence[int],
        cuts: Sequence[int],
        days: Iterable[int],
        most: int,
    ) -> None:
        self.tuning: list[Case] = []
        self.judged: list[Judged] = []
        self.asked = Asked()
        self._deployment = deployment
        self._reader = reader
        self._orders = orders
        self._items = deque(sorted((to_micros(one.since), place, one) for place, one in enumerate(items) if one.since))
        self._is_product = is_product
        self._until = cuts[0]
        self._stops = sorted({*tuning, *cuts})
        self._cuts = frozenset(cuts)
        self._days = frozenset(days)
        self._most = most
        self._part: list[Message] = []
        self._within: set[bytes] = set()
        self._day = -1
        self._popular: tuple[Inputs, dict[str, int]] | None = None

    def run(self, messages: Iterable[Message]) -> None:
        """Replay messages, sorted by time."""
        for message in messages:
            if self._part and not self._fits(message):
                self._flush()
            while self._stops and message.occurred_at >= self._stops[0]:
                self._stop(self._stops.pop(0))
            if message.occurred_at // DAY != self._day:
                self._dawn(message.occurred_at // DAY)
            self._part.append(message)
            self._within.add(message.key)
        self._flush()

    def _fits(self, message: Message) -> bool:
        """Whether a message may be learnt together with those before it."""
        return (
            len(self._part) < self._most
            and message.occurred_at // DAY == self._day
            and not (self._stops and message.occurred_at >= self._stops[0])
            and not (self._popular and message.key in self._within)  # its view is to have the order before
        )

    def _flush(self) -> None:
        if self._popular is not None:
            self._ask(self._popular[0], self._popular[1])
        known = []
        while self._part and self._items and self._items[0][0] <= self._part[-1].occurred_at:
            known.append(self._items.popleft()[-1])
        self._deployment.publish(self._part, known)
        self._part = []
        self._within.clear()

    def _stop(self, cut: int) -> None:
        if cut not in self._cuts:
            self.tuning.append(case(cut, inputs_of(self._deployment), self._orders, self._until))
            return
        self._deployment.refresh_views()
        at_cut = case(cut, inputs_of(self._deployment), self._orders)
        numbers = {item: number for number, item in enumerate(at_cut.inputs.items)}
        ours = {target: numbered(self._read(at_cut.customers, target), numbers) for target in TARGETS}
        self.judged.append(Judged(at_cut, ours, numbered(self._read(at_cut.cold, "all"), numbers)))

    def _dawn(self, day: int) -> None:
        self._day, self._popular = day, None
        if day in self._days:
            self._deployment.refresh_views()
            inputs = inputs_of(self._deployment)
            self._popular = inputs, {customer: place for place, customer in enumerate(inputs.customers)}
            self.asked.days += 1

    def _ask(self, inputs: Inputs, places: dict[str, int]) -> None:
        """Predict the orders of the part, whose customers are all different."""
        orders = [order for message in self._part if (order := order_of(message, self._is_product)) and order.items]
        if not orders:
            return
        asked, customers = self.asked, [order.customer for order in orders]
        asked.customers += customers
        asked.known += [self._orders.is_customer(order.customer, order.at) for order in orders]
        for target in TARGETS:
            asked.bought[target] += [self._wanted(order, target) for order in orders]
            asked.ours[target] += self._read(customers, target)
            asked.popular[target] += _popular(inputs, [places.get(one, -1) for one in customers], target)

    def _wanted(self, order: Order, target: Target) -> frozenset[str]:
        return order.items if target == "all" else order.items - self._orders.bought_before(order.customer, order.at)

    def _read(self, customers: Sequence[str], target: Target) -> list[tuple[str, ...]]:
        """The first ten of a shelf, as an app reads it."""
        answers = self._reader.get_many(customers, n=LENGTH, shelf=SHELVES[target])
        return [tuple(item.item_id for item in answers[customer].items) for customer in customers]


def popular_30_days(inputs: Inputs, rows: Integers, target: Target) -> Integers:
    """What sold most in the last 30 days, (rows, 10), for places of customers."""
    share = inputs.sold_since(inputs.now - POPULAR_DAYS * DAY)
    parts = [Blender(inputs, part).everybody(share, new=target == "new") for part in in_blocks(inputs, rows)]
    return np.concatenate(parts)


def _popular(inputs: Inputs, places: Sequence[int], target: Target) -> list[tuple[str, ...]]:
    """The same by item id; -1 is somebody who knows nothing yet."""
    if not inputs.customers:
        return [() for _ in places]
    rows = np.array(places)
    lists = popular_30_days(inputs, np.maximum(rows, 0), target)
    everybody = popular_30_days(inputs, np.zeros(1, np.int64), "all")
    table = np.where(rows[:, None] >= 0, lists, everybody)
    return [tuple(inputs.items[item] for item in row if item >= 0) for row in table.tolist()]
