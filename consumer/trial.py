"""The experiment with a hold-out in rows: what each customer ordered since it began, and what that comes to by group.

A row's numbers are of one experiment. Where settings begin another, a row counts from its next order on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from consumer.header_fields import HeaderFields
from consumer.row_columns import Rows
from contracts.money import MILLIONTHS
from recommender.holdout import HoldOut
from recommender.lift import Moments


@dataclass(frozen=True, slots=True)
class TrialOrders:
    """Purchases and returns as columns of one length."""

    at: npt.NDArray[np.int64]
    is_purchase: npt.NDArray[np.bool_]
    net: npt.NDArray[np.int64]
    """Millionths; below 0 for a return."""


def count_trial(header: npt.NDArray[Any], rows: Rows, orders: TrialOrders, holdout: HoldOut) -> None:
    """Add accepted orders of the experiment's time to the rows' numbers; `rows` names the row of each."""
    chosen = orders.at >= holdout.since
    if holdout.until is not None:
        chosen &= orders.at < holdout.until
    rows = rows[chosen]
    others = rows[header["trial"][rows] != np.uint64(holdout.number)]
    header["trial"][others] = np.uint64(holdout.number)
    header["trial_orders"][others] = 0
    header["trial_spend"][others] = 0
    # Field by field and unbuffered: a customer may have several orders in one step.
    np.add.at(header["trial_orders"], rows, orders.is_purchase[chosen].astype(np.uint32))
    np.add.at(header["trial_spend"], rows, orders.net[chosen])


class GroupSums(msgspec.Struct, frozen=True, array_like=True):
    """Sums over the customers of one group."""

    customers: int = 0
    buyers: int = 0
    orders: int = 0
    orders_squared: int = 0
    net: int = 0
    """Millionths."""
    net_squared: float = 0.0
    """In currency units."""

    def __add__(self, other: Self) -> "GroupSums":
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return GroupSums(*(one + another for one, another in pairs))

    @property
    def orders_moments(self) -> Moments:
        """Orders per customer."""
        return Moments(self.customers, self.orders, self.orders_squared)

    @property
    def net_moments(self) -> Moments:
        """Net spend per customer, in currency units."""
        return Moments(self.customers, self.net / MILLIONTHS, self.net_squared)


class TrialSums(msgspec.Struct, frozen=True):
    """Both groups of one experiment."""

    number: int
    """HoldOut.number."""
    treated: GroupSums
    held_out: GroupSums


def trial_sums(header: HeaderFields, held_out: npt.NDArray[np.bool_], holdout: HoldOut) -> TrialSums:
    """The sums over rows, whether they ordered or not; `held_out` is of shape (rows,) as they are."""
    counts = header["trial"] == np.uint64(holdout.number)
    orders = np.where(counts, header["trial_orders"], 0).astype(np.int64)
    net = np.where(counts, header["trial_spend"], 0)
    return TrialSums(holdout.number, *(_group(orders[group], net[group]) for group in (~held_out, held_out)))


def _group(orders: npt.NDArray[np.int64], net: npt.NDArray[np.int64]) -> GroupSums:
    units = net / MILLIONTHS
    return GroupSums(
        customers=len(orders),
        buyers=int(np.count_nonzero(orders)),
        orders=int(orders.sum()),
        orders_squared=int((orders * orders).sum()),
        net=int(net.sum()),
        net_squared=float(units @ units),
    )


def added(parts: Iterable[TrialSums | None]) -> TrialSums | None:
    """The sums of all partitions; None where there is none, or not all are of one experiment."""
    whole: TrialSums | None = None
    for part in parts:
        if part is None or (whole is not None and part.number != whole.number):
            return None
        whole = (
            part
            if whole is None
            else TrialSums(part.number, whole.treated + part.treated, whole.held_out + part.held_out)
        )
    return whole
