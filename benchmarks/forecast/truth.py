"""What a table says of its customers, day by day: the outcomes that forecasts are held against."""

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from contracts.times import DAY
from online_model.arrays import Booleans, Floats, Integers
from producer.message import Message


class _Line(msgspec.Struct):
    quantity: int
    unit_price: float


class _Event(msgspec.Struct):
    type: str
    lines: list[_Line] = []


_event = msgspec.json.Decoder(_Event).decode


class Truth:
    """Purchases and returns of a table, sorted by time. Days are UTC, since 1970."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self._places: dict[str, int] = {}
        customers, days, net, purchases = [], [], [], []
        for message in messages:
            event = _event(message.value)
            if event.type not in {"purchase", "return"}:
                continue
            bought = event.type == "purchase"
            worth = sum(line.quantity * line.unit_price for line in event.lines)
            customers.append(self._places.setdefault(message.key.decode(), len(self._places)))
            days.append(message.occurred_at // DAY)
            net.append(worth if bought else -worth)
            purchases.append(bought)
        self._customer: Integers = np.array(customers, np.int64)
        self._day: Integers = np.array(days, np.int64)
        self._net: Floats = np.array(net, np.float64)
        self._bought: Booleans = np.array(purchases, np.bool_)
        # One purchase a customer and day, by day.
        self._days: Integers = np.unique(np.stack([self._day, self._customer], axis=1)[self._bought], axis=0)

    @property
    def customers(self) -> Sequence[str]:
        """Everybody who bought or gave back anything."""
        return list(self._places)

    @property
    def first_day(self) -> int:
        """Of the first event."""
        return int(self._day[0])

    @property
    def last_day(self) -> int:
        """Of the last."""
        return int(self._day[-1])

    def purchase_days(self, customers: Sequence[str], start: int, end: int) -> Floats:
        """Days with a purchase from day `start` to the day before `end`, (customers,)."""
        first, last = np.searchsorted(self._days[:, 0], [start, end])
        return self._of(customers, np.bincount(self._days[first:last, 1], minlength=len(self._places)))

    def net(self, customers: Sequence[str], start: int, end: int) -> Floats:
        """Spend less refunds in the same days, in currency units, (customers,)."""
        first, last = np.searchsorted(self._day, [start, end])
        part = slice(first, last)
        return self._of(customers, np.bincount(self._customer[part], self._net[part], len(self._places)))

    def _of(self, customers: Sequence[str], values: Floats | Integers) -> Floats:
        places = np.fromiter((self._places[one] for one in customers), np.int64, len(customers))
        return np.asarray(values[places], np.float64)
