"""What customers do, for as long as one likes: every kind of event, late ones, repeats, misplaced ones and poison.

Event time runs a thousand times faster than the clock on the wall, so that lists of lines, ids within the allowed
lateness and exposures are as long as they get within minutes: what grows after that, leaks.
"""

import random
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from contracts.events import Erase, Event, Interaction, Line, Profile, Purchase, Return, encode_event
from contracts.partitioning import partition_of
from contracts.times import DAY, EPOCH

HISTORY_DAYS = 65
"""Before the paced events: enough for segments to be learnt."""
HISTORY_ORDERS = 3
"""Of each customer in that time."""
LATENESS_DAYS = 2
"""To be the setting `allowed_lateness`."""
ITEMS = 300
POISON = (b"{", b"\xff\xfe", b'{"type":"purchase"}', b'{"type":"unheard-of"}', b"[]", b"null")


class Record(NamedTuple):
    """One record of the events log; `partition` None: where its key belongs."""

    key: bytes
    value: bytes
    partition: int | None = None


class Stream:
    """Endless; the same seed gives the same records.

    Parameters:
        start: event time of the first record, microseconds UTC.
        customers: how many there are at a time.
        rate: paced records a second.
        partitions: of the events log.
    """

    def __init__(self, *, seed: int, start: int, customers: int, rate: float, partitions: int) -> None:
        self._rng = random.Random(seed)
        self._now = start
        self._partitions = partitions
        self._step = DAY / (rate * 60)  # a day a minute
        self._customers = [f"c{number}" for number in range(customers)]
        self._busy: list[str] = []
        self._busy_until = start
        self._number = 0
        self._sent: deque[Record] = deque(maxlen=2_000)
        self.poisoned = 0
        """Records that are no events."""

    def history(self) -> list[Record]:
        """To be published at once, before the paced ones."""
        orders = [who for who in self._customers for _ in range(HISTORY_ORDERS)]
        self._rng.shuffle(orders)
        records = []
        for who in orders:
            self._now += HISTORY_DAYS * DAY // len(orders)
            records.append(self._good(self._order(who, self._now)))
        return records

    def paced(self) -> Iterator[Record]:
        """One after the other, at the rate."""
        while True:
            self._now += round(self._step)
            record = self._next()
            self._sent.append(record)
            yield record

    def _next(self) -> Record:
        rng = self._rng
        luck = rng.random()
        if luck < 0.03 and self._sent:  # published again
            return rng.choice(self._sent)
        if luck < 0.031:
            self.poisoned += 1
            return Record(b"nobody", rng.choice(POISON))
        who = self._who()
        at = self._now
        if luck < 0.08:
            at -= rng.randrange(LATENESS_DAYS * DAY)
        elif luck < 0.085:
            at -= LATENESS_DAYS * DAY + rng.randrange(10 * DAY)
        record = self._good(self._event(who, at))
        if luck > 0.995:  # by a client that places records its own way
            return record._replace(partition=rng.randrange(self._partitions))
        return record

    def _who(self) -> str:
        """A tenth of the customers buy most, for a week at a time."""
        if self._now >= self._busy_until:
            self._busy = self._rng.sample(self._customers, max(1, len(self._customers) // 10))
            self._busy_until = self._now + 7 * DAY
        return self._rng.choice(self._busy if self._rng.random() < 0.6 else self._customers)

    def _event(self, who: str, at: int) -> Event:
        kind = self._rng.random()
        if kind < 0.84:
            return self._order(who, at)
        if kind < 0.90:
            return self._order(who, at, returned=True)
        if kind < 0.94:
            attributes = {"age": self._rng.randrange(18, 90), "plan": self._rng.choice(("basic", "plus"))}
            return Profile(attributes=attributes, **self._who_and_when(who, at))
        if kind < 0.9995:
            items = tuple(self._item() for _ in range(self._rng.randrange(1, 6)))
            told = self._rng.choice(("shown", "shown", "clicked"))
            return Interaction(kind=told, items=items, source="discover", **self._who_and_when(who, at))
        return Erase(**self._who_and_when(who, at))

    def _order(self, who: str, at: int, *, returned: bool = False) -> Event:
        rng = self._rng
        dear = 1 + hash_of(who) % 7  # some always buy dearer things
        lines = tuple(
            Line(
                item_id=self._item(),
                quantity=rng.randrange(1, 2 if returned else 6),
                unit_price=round(rng.random() * 20 * dear, 2),
            )
            for _ in range(rng.randrange(1, 6))
        )
        made = Return if returned else Purchase
        return made(order_id=f"o{self._number}", currency="GBP", lines=lines, **self._who_and_when(who, at))

    def _item(self) -> str:
        return f"item-{int(ITEMS * self._rng.random() ** 2)}"

    def _who_and_when(self, who: str, at: int) -> dict:
        self._number += 1
        return {
            "event_id": f"e{self._number}",
            "customer_id": who,
            "occurred_at": EPOCH + timedelta(microseconds=at),
        }

    def _good(self, event: Event) -> Record:
        return Record(event.customer_id.encode(), encode_event(event))


def hash_of(text: str) -> int:
    """The same in every process."""
    return partition_of(text, 1 << 16)
