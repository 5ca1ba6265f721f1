"""A synthetic shop whose truth is known: customers of hidden types buy and return; some events come late or twice."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.errors import LivesegmentsError
from contracts.times import DAY, HOUR, SECOND
from producer.assortment import Assortment, assortment
from producer.baskets import Baskets, Ints, ShopEvents, no_baskets
from producer.customers import NEVER, NEWCOMER, TYPES, Customers, CustomerType, arrivals, customer_number, founders
from producer.message import Message
from producer.season import following

MAX_DELAY: Final = 5 * DAY
"""How late a late event is at most: well within the allowed lateness. Repeats come within it too."""
_ARRIVALS_PER_DAY: Final = 0.0015
"""New customers a day while the shop is live, as a share of its founders."""
_MAX_LINES: Final = 30
_ONCE: Final = np.array([kind.once for kind in TYPES])


class ShopError(LivesegmentsError):
    """The shop cannot be opened as asked."""


@dataclass(frozen=True, slots=True)
class ShopSettings:
    """All that decides the stream of events: the same settings give the same bytes."""

    now: int
    """Where history ends and live begins, microseconds UTC; cut to whole seconds."""
    customers: int = 1_000
    seed: int = 1
    history_days: int = 365
    """Types differ in the last year; below some 240 days there are no lapsed customers to find."""
    items: int = 400
    currency: str = "EUR"
    late_share: float = 0.02
    repeat_share: float = 0.01
    return_share: float = 0.06
    change_at: int | None = None
    """From the first midnight, by the shop's own time, not before this moment on, ..."""
    changed: tuple[CustomerType, ...] = ()
    """... these types' customers buy as said here: gap_days, lines and quantity. Types are known by their names."""

    def __post_init__(self) -> None:
        if self.customers < 1 or self.items < 1 or self.history_days < 0 or self.seed < 0:
            raise ShopError("a shop needs at least 1 customer and 1 item, and no negative history_days or seed")
        for share in (self.late_share, self.repeat_share, self.return_share):
            if not 0 <= share <= 1:
                raise ShopError(f"a share lies between 0 and 1, not at {share}")
        for kind in self.changed:
            if kind.name not in {known.name for known in TYPES}:
                raise ShopError(f"there is no type {kind.name!r} that could change")
            if kind.gap_days <= 0 or kind.lines < 1 or not 1 <= kind.quantity[0] <= kind.quantity[1]:
                raise ShopError(f"type {kind.name!r}: gap_days is above 0, lines and quantity are 1 at least")
        if bool(self.changed) != (self.change_at is not None):
            raise ShopError("change_at and changed go together: when types change, and what they change into")


class Shop:
    """Generates events without end and without keeping them. Take `history` to its end before `live`."""

    def __init__(self, settings: ShopSettings) -> None:
        self.settings = settings
        self._now = settings.now // SECOND * SECOND
        # Up to here customers have bought. While the shop is live this is a time of its own, faster or slower.
        self._time = self._now - settings.history_days * DAY
        self._rng = np.random.default_rng(settings.seed)
        self._prefix = f"sim{settings.seed}-{self._time // SECOND:x}"
        self._assortment: Assortment = assortment(settings.items, len(TYPES), self._rng)
        self._customers: Customers = founders(settings.customers, self._time, self._now, self._rng)
        self._changed = False
        self._pace = np.ones(len(TYPES))
        self._behave(TYPES)
        self._orders = 0
        self._returns = no_baskets()
        # A heap: when to publish, a number that settles ties, and what.
        self._deferred: list[tuple[int, int, Message]] = []
        self._deferrals = 0

    def type_of(self, customer_id: str) -> str:
        """The hidden truth: a name in customers.TYPES."""
        return TYPES[self._customers.type[customer_number(customer_id)]].name

    def history(self) -> Iterator[Message]:
        """What was published before `now`, in order; late events stand where they arrived."""
        while self._time < self._now:
            events = self._events(min((self._time // DAY + 1) * DAY, self._now))
            for place, at, delay, repeat in events.by_time():
                yield from self._due(at)
                message = events.message(place, at)
                if delay:
                    self._defer(at + delay, message)
                else:
                    yield message
                if repeat:
                    self._defer(at + delay + repeat, message)
        yield from self._due(NEVER)

    def live(self, clock: Callable[[], int]) -> Iterator[Message]:
        """Events without end, each stamped by `clock` when it is taken, or a little before if it is a late one.

        Customers buy in the order in which they would after `history`, however fast or slowly events are taken; new
        ones arrive all the time.
        """
        while True:
            until = (self._time // DAY + 1) * DAY
            mean = _ARRIVALS_PER_DAY * self.settings.customers * (until - self._time) / DAY
            newcomers = arrivals(int(self._rng.poisson(mean)), self._time, until, self._rng)
            newcomers.gap *= self._pace[NEWCOMER]
            self._customers.extend(newcomers)
            events = self._events(until)
            for place, at, delay, repeat in events.by_time():
                yield from self._due(at)
                message = events.message(place, clock() - delay)
                yield message
                if repeat:
                    self._defer(at + repeat, message)

    def _defer(self, at: int, message: Message) -> None:
        self._deferrals += 1
        heapq.heappush(self._deferred, (at, self._deferrals, message))

    def _due(self, at: int) -> Iterator[Message]:
        while self._deferred and self._deferred[0][0] <= at:
            yield heapq.heappop(self._deferred)[2]

    def _events(self, until: int) -> ShopEvents:
        """Let customers buy, and send back, until then."""
        self._change_types()
        purchases = self._purchases(until)
        due = self._returns.at < until
        returns = self._returns.select(due)
        self._returns = self._returns.select(~due).joined(self._sent_back(purchases))
        self._time = until
        count = 2 * len(purchases) + len(returns)
        late = self._rng.random(count) < self.settings.late_share
        twice = self._rng.random(count) < self.settings.repeat_share
        delays = self._rng.integers(HOUR // SECOND, MAX_DELAY // SECOND, size=(2, count)) * SECOND
        return ShopEvents(
            prefix=self._prefix,
            currency=self.settings.currency,
            assortment=self._assortment,
            customers=self._customers,
            purchases=purchases,
            returns=returns,
            delay=np.where(late, delays[0], 0),
            repeat=np.where(twice, delays[1], 0),
        )

    def _change_types(self) -> None:
        """Once, when it is time: gaps grow or shrink in proportion, and the next order is due when it was."""
        at = self.settings.change_at
        if self._changed or at is None or self._time < at:
            return
        self._changed = True
        changed = {kind.name: kind for kind in self.settings.changed}
        types = [changed.get(kind.name, kind) for kind in TYPES]
        self._pace = np.array([new.gap_days / old.gap_days for new, old in zip(types, TYPES, strict=True)])
        self._customers.gap *= self._pace[self._customers.type]
        self._behave(types)

    def _behave(self, types: Sequence[CustomerType]) -> None:
        """How many lines and pieces the customers of each type take."""
        self._lines = np.array([kind.lines for kind in types])
        self._least = np.array([kind.quantity[0] for kind in types])
        self._most = np.array([kind.quantity[1] for kind in types])

    def _purchases(self, until: int) -> Baskets:
        customer, at = self._buyers(until)
        kind = self._customers.type[customer].astype(np.int64)
        counts = np.minimum(1 + self._rng.poisson(self._lines[kind] - 1), _MAX_LINES)
        line_kind = np.repeat(kind, counts)
        numbers = self._orders + np.arange(len(customer))
        self._orders += len(customer)
        return Baskets(
            customer=customer,
            at=at,
            number=numbers,
            counts=counts,
            item=self._assortment.draw(kind, customer, counts, self._rng),
            quantity=self._rng.integers(self._least[line_kind], self._most[line_kind] + 1),
        )

    def _buyers(self, until: int) -> tuple[Ints, Ints]:
        """Who buys until then, and when; each is told when the next order is due."""
        people = self._customers
        found = [(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))]
        while len(due := np.flatnonzero(people.next_at < until)):
            at = people.next_at[due]
            found.append((due, at))
            following_at = following(at, people.gap[due], self._rng)
            over = (following_at > people.stop_at[due]) | _ONCE[people.type[due]]
            people.next_at[due] = np.where(over, NEVER, following_at)
        customers, times = (np.concatenate(column) for column in zip(*found, strict=True))
        return customers, times

    def _sent_back(self, purchases: Baskets) -> Baskets:
        """One line each of some of the orders, some days later."""
        chosen = np.flatnonzero(self._rng.random(len(purchases)) < self.settings.return_share)
        counts = purchases.counts[chosen]
        line = (np.cumsum(purchases.counts) - purchases.counts)[chosen] + self._rng.integers(0, counts)
        wait = self._rng.integers(2 * DAY // SECOND, 14 * DAY // SECOND, size=len(chosen)) * SECOND
        return Baskets(
            customer=purchases.customer[chosen],
            at=purchases.at[chosen] + wait,
            number=purchases.number[chosen],
            counts=np.ones(len(chosen), dtype=np.int64),
            item=purchases.item[line],
            quantity=self._rng.integers(1, purchases.quantity[line] + 1),
        )
