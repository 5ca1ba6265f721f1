"""What the events that count come to: the rows' numbers, for all rows of a step at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from consumer.applied import Sold
from consumer.layout import MISSING_TIME, ORDERS_HALF_LIFE, RECENT_HALF_LIFE
from consumer.row_store import Rows, RowStore
from consumer.trial import TrialOrders, count_trial
from contracts.money import MILLIONTHS

DECIDED: Final = (
    "newest_at",
    "seen_at",
    "spend",
    "refunds",
    "day_map",
    "purchase_days",
    "erase_floor",
    "closed_floor",
)
"""The columns that decisions about single events need; whoever decides works them out, too."""


@dataclass(frozen=True, slots=True)
class Orders:
    """Purchases and returns that count, as columns of one length."""

    place: npt.NDArray[np.int64]
    """Which of the rows."""
    at: npt.NDArray[np.int64]
    is_purchase: npt.NDArray[np.bool_]
    units: npt.NDArray[np.int64]
    amount: npt.NDArray[np.int64]
    """Millionths."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Rows as some events left them."""

    rows: Rows
    decided: Sequence[npt.NDArray[Any]]
    """The columns of `DECIDED`, each of shape (rows,)."""
    orders: Orders


def add_up(store: RowStore, ended: Sequence[Ended]) -> Sold | None:
    """Write into the header what rows have become; none may be there twice. Returns what was bought and given back."""
    ended = [one for one in ended if len(one.rows)]
    if not ended:
        return None
    header = store.header
    rows = np.concatenate([one.rows for one in ended])
    old_newest = header["newest_at"][rows]
    for name, *parts in zip(DECIDED, *(one.decided for one in ended), strict=True):
        header[name][rows] = np.concatenate(parts)
    orders = _joined(ended)
    if not len(orders.place):
        return None
    _add_orders(header, rows, old_newest, header["newest_at"][rows], orders)
    net = np.where(orders.is_purchase, orders.amount, -orders.amount)
    if store.holdout is not None:
        count_trial(header, rows[orders.place], TrialOrders(orders.at, orders.is_purchase, net), store.holdout)
    return Sold(rows[orders.place], net, orders.is_purchase)


def _joined(ended: Sequence[Ended]) -> Orders:
    """The orders of all, with places among all rows."""
    first = np.cumsum([0, *(len(one.rows) for one in ended[:-1])])
    places = [one.orders.place + start for one, start in zip(ended, first.tolist(), strict=True)]
    names = Orders.__slots__[1:]
    return Orders(
        np.concatenate(places), *(np.concatenate([getattr(one.orders, name) for one in ended]) for name in names)
    )


def _add_orders(
    header: npt.NDArray[np.void],
    rows: Rows,
    old_newest: npt.NDArray[np.int64],
    newest: npt.NDArray[np.int64],
    orders: Orders,
) -> None:
    count = len(rows)
    bought = orders.is_purchase
    place = orders.place[bought]
    header["orders"][rows] += np.bincount(place, minlength=count).astype(np.uint32)
    header["returns"][rows] += np.bincount(orders.place[~bought], minlength=count).astype(np.uint32)
    units = np.zeros(count, np.int64)
    np.add.at(units, place, orders.units[bought])
    header["units"][rows] += units
    first = np.full(count, np.iinfo(np.int64).max)
    last = np.full(count, MISSING_TIME)
    np.minimum.at(first, place, orders.at[bought])
    np.maximum.at(last, place, orders.at[bought])
    has = np.zeros(count, np.bool_)
    has[place] = True
    old_first = header["first_at"][rows]
    header["first_at"][rows] = np.where(
        has, np.where(old_first == MISSING_TIME, first, np.minimum(old_first, first)), old_first
    )
    header["last_at"][rows] = np.maximum(header["last_at"][rows], last)

    # Σ v·2^-((newest - t)/H): what was kept ages to the new reference, what is new is weighed as of it.
    passed = np.where(old_newest == MISSING_TIME, 0, newest - np.where(old_newest == MISSING_TIME, newest, old_newest))
    age = newest[orders.place] - orders.at
    net = np.where(bought, orders.amount, -orders.amount) / MILLIONTHS
    for name, half_life, values in (
        ("orders_decayed", ORDERS_HALF_LIFE, bought.astype(np.float64)),
        ("net_decayed", ORDERS_HALF_LIFE, net),
        ("recent_net", RECENT_HALF_LIFE, net),
    ):
        added = np.bincount(orders.place, weights=values * np.exp2(-age / half_life), minlength=count)
        header[name][rows] = header[name][rows] * np.exp2(-passed / half_life) + added
