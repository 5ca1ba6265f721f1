"""Customers of a few kinds that nobody could mix up: what they buy, how often, for how much."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from contracts.events import Line, Purchase
from contracts.times import DAY, EPOCH, rfc3339
from tests.in_process import START


class Kind(NamedTuple):
    """What all customers of a kind have in common."""

    days: int
    """Since the last order; another every week before that."""
    orders: int
    amount: float
    """Of an order, give or take a fifth."""
    item: str = "tea"


def purchases_of(
    numbers: range, kinds: tuple[Kind, ...], *, at: int = START, others: Iterable[Line] = ()
) -> Iterator[Purchase]:
    """The orders of customers c<number>, each kind in turn, as of `at`; with `others` in every order."""
    rng = np.random.default_rng(numbers.start)
    for number in numbers:
        kind = kinds[number % len(kinds)]
        for order in range(kind.orders):
            when = at - (kind.days + 7 * order) * DAY - int(rng.integers(DAY))
            price = round(kind.amount * rng.uniform(0.8, 1.25), 2)
            yield Purchase(
                event_id=f"{number}-{order}",
                customer_id=f"c{number}",
                occurred_at=EPOCH + timedelta(microseconds=when),
                order_id=f"{number}-{order}",
                currency="GBP",
                lines=(Line(item_id=kind.item, quantity=1, unit_price=price), *others),
            )


def purchase_event(n: int) -> dict:
    """The purchase e<n>, of customer c<n>, as an application would send it."""
    return {
        "type": "purchase",
        "event_id": f"e{n}",
        "customer_id": f"c{n}",
        "occurred_at": rfc3339(START),
        "order_id": f"o{n}",
        "lines": [{"item_id": "mug", "quantity": 1, "unit_price": 2.5}],
        "currency": "GBP",
    }
