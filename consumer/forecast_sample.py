"""The buyers that forecasts are learnt from: those of the first buckets, gathered some at a time beside other work."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from consumer.columns import Columns
from consumer.layout import HEADER
from consumer.leading_sample import SAMPLE_CUSTOMERS
from consumer.ragged_columns import text_column
from consumer.row_store import RowStore
from consumer.sample import Packed, sampled_buckets, values_of
from consumer.state import State
from contracts.guests import is_guest
from contracts.money import MILLIONTHS
from online_model.customer_since import ATTRIBUTE, customer_since
from online_model.forecasts.churn import Keys, customer_keys
from online_model.forecasts.churn_features import with_purchases
from online_model.forecasts.review import Buyers

ROWS_AT_ONCE: Final = 16_384
"""Rows in memory that one part looks at: some 5 ms."""


@dataclass(slots=True)
class _Gathered:
    keys: list[Keys] = field(default_factory=lambda: [customer_keys(())])
    headers: list[npt.NDArray[Any]] = field(default_factory=lambda: [np.zeros(0, HEADER)])
    since: list[npt.NDArray[np.int64]] = field(default_factory=lambda: [np.zeros(0, np.int64)])

    def add(self, customers: list[str], header: npt.NDArray[Any], since: npt.NDArray[np.int64]) -> None:
        """Some customers, of whom buyers count."""
        some = with_purchases(Columns(header))
        self.keys.append(customer_keys(customers[place] for place in some.tolist()))
        self.headers.append(header[some])
        self.since.append(since[some])

    def buyers(self) -> Buyers:
        """All of them."""
        header = np.concatenate(self.headers)
        return Buyers(
            keys=np.concatenate(self.keys),
            first_at=header["first_at"].astype(np.int64),
            last_at=header["last_at"].astype(np.int64),
            newest_at=header["newest_at"].astype(np.int64),
            purchase_days=header["purchase_days"].astype(np.int64),
            orders_decayed=header["orders_decayed"].astype(np.float64),
            spend=header["spend"] / MILLIONTHS,
            refunds=header["refunds"] / MILLIONTHS,
            since=np.concatenate(self.since),
        ).sorted()


def gather_buyers(store: RowStore, state: State, customers: int, partitions: int) -> Iterator[Buyers | None]:
    """Buyers among about SAMPLE_CUSTOMERS of so many customers, as the last thing; None after every part before.

    Rows of partitions held come from memory, others' from the state.
    """
    buckets = sampled_buckets(customers, SAMPLE_CUSTOMERS)
    gathered = _Gathered()
    place = 0
    while place < store.used:
        end = min(place + ROWS_AT_ONCE, store.used)
        rows = store.customers_of(place + np.flatnonzero(store.partition[place:end] >= 0))
        rows = rows[store.bucket[rows] < buckets]
        if len(rows):
            told = Columns.of_store(store, rows).labels(ATTRIBUTE)
            gathered.add([store.ids[row] for row in rows.tolist()], store.header[rows], customer_since(told))
        place = end
        yield None
    for partition in range(max(partitions, 1 + max(store.partitions, default=0))):
        if partition not in store.partitions:
            for customers_there, blobs in state.rows(partition, range(buckets)):
                there = [pair for pair in zip(customers_there, blobs, strict=True) if not is_guest(pair[0])]
                if there:
                    packed = Packed.of([blob for _, blob in there])
                    told = text_column(values_of(packed.attributes, ATTRIBUTE))
                    gathered.add([who for who, _ in there], packed.header, customer_since(told))
            yield None
    yield gathered.buyers()
