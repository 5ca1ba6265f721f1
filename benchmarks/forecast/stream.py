"""The table through the real worker, day by day: at the beginning of each, the rows as they are known then."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.in_time_order import TimeOrdered, in_slices
from consumer.columns import Columns
from contracts.times import DAY
from online_model.arrays import Floats, Integers
from online_model.forecasts.churn_features import churn_features, with_purchases
from online_model.forecasts.purchases import Purchases
from online_model.forecasts.value import Amounts
from producer.message import Message


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """Everybody with a purchase, at the beginning of a day: nothing of that day is known. Columns (customers,)."""

    day: int
    """Since 1970, UTC."""
    customers: tuple[str, ...]
    first_at: Integers
    last_at: Integers
    X: Floats
    """Of churn_features."""
    purchases: Purchases
    amounts: Amounts

    def select(self, which: Integers) -> "Rows":
        """Some of the customers, by places."""
        chosen = tuple(self.customers[place] for place in which.tolist())
        return Rows(
            self.day,
            chosen,
            self.first_at[which],
            self.last_at[which],
            self.X[which],
            self.purchases.select(which),
            self.amounts.select(which),
        )


def by_day(deployment: TimeOrdered, messages: Sequence[Message], last_day: int, most: int) -> Iterator[Rows]:
    """Let the worker learn the messages, sorted by time, and stop before each day up to the one after `last_day`.

    `most` are the events that the worker gets at once.
    """
    parts = in_slices(messages, most, DAY)
    part = next(parts, None)
    for day in range(messages[0].occurred_at // DAY + 1, last_day + 2):
        while part is not None and part[0].occurred_at // DAY < day:
            deployment.publish(part)
            part = next(parts, None)
        yield rows_at(deployment, day)


def rows_at(deployment: TimeOrdered, day: int) -> Rows:
    """What the worker's rows say at the beginning of a day, if it has learnt everything before it and nothing since."""
    store = deployment.worker.memory.store
    used = np.flatnonzero(store.partition[: store.used] >= 0)
    used = used[with_purchases(Columns.of_store(store, used))]
    rows = Columns.of_store(store, used)
    purchases, _ = Purchases.of_rows(rows.first_at, rows.last_at, rows.purchase_days, day * DAY - 1)
    return Rows(
        day=day,
        customers=tuple(store.ids[row] for row in used.tolist()),
        first_at=rows.first_at,
        last_at=rows.last_at,
        X=churn_features(rows, day * DAY),
        purchases=purchases,
        amounts=Amounts.of_rows(rows.spend, rows.refunds, rows.purchase_days),
    )
