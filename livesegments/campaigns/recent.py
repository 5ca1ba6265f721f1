"""What an audience spent lately, from its rows: what a campaign's smallest detectable effect is worked out of.

A row does not keep what each order was worth. It keeps when orders were, and three sums of their values: plain, halved
every 365 days, and every 90. The sum over the orders of the last n days is a fourth. So its weights are projected on
those of the three: up to three orders that gives it exactly, beyond that as well as straight lines can, and what they
leave open varies as much as a customer's orders vary about their own mean: their variance over that mean squared, by
moments over who has several. Were all worth the same, the halved sums would follow from the plain one; by how much
they miss that, squared, is the variance times what their weights differ by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from consumer.layout import HEAD, MISSING_TIME, ORDERS_HALF_LIFE, RECENT_HALF_LIFE
from contracts.money import MILLIONTHS

_FLAT: Final = 1e-8
"""Orders so near in time that they can not be told apart by how they are halved (squared)."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RecentRows:
    """What is asked of rows: all (customers,)."""

    header: npt.NDArray[Any]
    """dtype HEADER."""
    heads: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.heads)


@dataclass(frozen=True, slots=True)
class Recent:
    """How customers behaved in the last n days."""

    customers: int
    buyers: int
    mean: float
    """Net spend per customer, in currency units."""
    deviation: float
    """Its standard deviation between customers."""
    told: float
    """The share of its variance that spend before the window told, 0 … 1."""

    @property
    def unexplained(self) -> float:
        """The standard deviation that is left once spend before is taken out."""
        return self.deviation * sqrt(1 - self.told)


def spend_before(header: npt.NDArray[Any], now: int) -> Floats:
    """Net spend halved every 90 days, as of `now`, (customers,): what is taken out of spend in a campaign."""
    newest = header["newest_at"]
    known = newest != MISSING_TIME
    age = np.where(known, now - np.where(known, newest, now), 0)
    return np.where(known, header["recent_net"] * np.exp2(-np.maximum(age, 0) / RECENT_HALF_LIFE), 0.0)


def recent_behaviour(rows: RecentRows, since: int) -> Recent:
    """Behaviour from `since` (microseconds UTC) on."""
    header = rows.header
    count = len(rows)
    if not count:
        return Recent(0, 0, 0.0, 0.0, 0.0)
    active = (header["newest_at"] >= since) & np.array([bool(one) for one in rows.heads])
    buyers = int(np.count_nonzero(header["last_at"] >= since))
    places = np.flatnonzero(active).tolist()
    spent, open_, before = _split(header[active], [rows.heads[place] for place in places], since)
    quiet = spend_before(header[~active], since)
    # Sums over all customers: those who did nothing spent nothing, and are known exactly.
    mean = spent.sum() / count
    variance = max(0.0, (spent @ spent + open_.sum()) / count - mean * mean)
    before_mean = (before.sum() + quiet.sum()) / count
    before_variance = (before @ before + quiet @ quiet) / count - before_mean**2
    across = (spent @ before) / count - mean * before_mean
    told = across * across / (variance * before_variance) if variance > 0 and before_variance > 0 else 0.0
    return Recent(count, buyers, float(mean), float(variance**0.5), float(min(1.0, told)))


def _split(header: npt.NDArray[Any], heads: Sequence[bytes], since: int) -> tuple[Floats, Floats, Floats]:
    """Of each customer net spend since then, the variance of what is open in it, and spend before, all (customers,).

    Spend before is halved every 90 days, as of `since`. All of them have a kept purchase or return.
    """
    if not heads:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    sizes = np.array([len(one) // HEAD.itemsize for one in heads], np.int64)
    at = np.frombuffer(b"".join(heads), HEAD)["at"].astype(np.int64)
    starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)[:-1]))
    owners = np.repeat(np.arange(len(heads)), sizes)
    events = header["orders"].astype(np.int64) + header["returns"]
    net = (header["spend"] - header["refunds"]) / MILLIONTHS
    mean = net / np.maximum(1, events)
    sums = np.stack((net, header["net_decayed"], header["recent_net"]), axis=1)

    age = (header["newest_at"][owners] - at).astype(np.float64)
    weights = np.stack((np.ones(len(age)), np.exp2(-age / ORDERS_HALF_LIFE), np.exp2(-age / RECENT_HALF_LIFE)), axis=1)
    inside = at >= since
    earlier = np.where(inside, 0.0, np.exp2(-np.maximum(since - at, 0) / RECENT_HALF_LIFE))
    wanted = np.stack((inside.astype(np.float64), earlier), axis=1)

    def by_customer(values: Floats) -> Floats:
        return np.add.reduceat(values, starts, axis=0)

    gram = by_customer(weights[:, :, np.newaxis] * weights[:, np.newaxis, :])
    across = by_customer(weights[:, :, np.newaxis] * wanted[:, np.newaxis, :])
    found = np.linalg.pinv(gram, rcond=_FLAT, hermitian=True) @ across
    told = np.einsum("cw,cwk->ck", sums, found)
    # What the projection leaves of the window's own weights, squared.
    left = np.maximum(0.0, by_customer(wanted[:, 0]) - np.einsum("cw,cw->c", across[:, :, 0], found[:, :, 0]))

    # Of who has more than is kept, the sums are of orders whose times are not known: as many as were, at their mean.
    whole = sizes == events
    told = np.where(whole[:, np.newaxis], told, mean[:, np.newaxis] * by_customer(wanted))
    left = np.where(whole, left, by_customer(wanted[:, 0]))

    halved = by_customer(weights[:, 2])
    several = whole & (sizes > 1) & (mean > 0)
    missed = (header["recent_net"] - mean * halved)[several] / mean[several]
    expected = (by_customer(weights[:, 2] ** 2) - halved**2 / sizes)[several]
    spread = float(missed @ missed) / float(expected.sum()) if expected.sum() > 0 else 0.0
    return told[:, 0], spread * mean**2 * left, told[:, 1]
