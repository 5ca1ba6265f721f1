"""The customers of the synthetic shop: hidden types with behaviour of their own, and who they are."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.events import AttributeValue
from contracts.times import DAY, rfc3339
from producer.season import opening_times

NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class CustomerType:
    """How customers of one hidden type buy. Ages are days before the shop's present."""

    name: str
    share: float
    gap_days: float
    """Mean time between two orders."""
    lines: float
    """Mean lines of an order."""
    quantity: tuple[int, int]
    first: tuple[float, float] | None
    """Age of the first order, between these; None where it lies in the first two gaps of the history."""
    last: tuple[float, float] | None = None
    """Age at which the customer falls silent, between these."""
    once: bool = False
    income: float = 40_000.0


TYPES: Final = (
    CustomerType("regular", 0.30, 9.0, 3.0, (1, 2), first=None),
    CustomerType("big spender", 0.15, 30.0, 5.0, (6, 14), first=None, income=85_000.0),
    CustomerType("one-timer", 0.25, 60.0, 2.5, (1, 2), first=(120.0, 330.0), once=True),
    CustomerType("lapsed", 0.15, 12.0, 3.0, (1, 2), first=None, last=(150.0, 230.0)),
    CustomerType("newcomer", 0.15, 12.0, 2.5, (1, 2), first=(0.0, 25.0), income=30_000.0),
)
NEWCOMER: Final = len(TYPES) - 1
GENDERS: Final = ("female", "male", "")


@dataclass(slots=True)
class Customers:
    """Columns of one length (customers,); a customer's number is the place."""

    type: NDArray[np.int8]
    """Places in TYPES."""
    gap: NDArray[np.float64]
    """Mean time between two orders, in days."""
    next_at: NDArray[np.int64]
    """When the next order is due, microseconds UTC; NEVER for none."""
    stop_at: NDArray[np.int64]
    """After which no order follows."""
    known: NDArray[np.bool_]
    """Whether a profile was published."""
    age: NDArray[np.int8]
    gender: NDArray[np.int8]
    income: NDArray[np.int32]
    """0 where nobody knows it."""
    consent: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.type)

    def attributes(self, customer: int, since: int) -> dict[str, AttributeValue]:
        """What a profile event says."""
        known: dict[str, AttributeValue] = {
            "age": int(self.age[customer]),
            "marketing_consent": bool(self.consent[customer]),
            "customer_since": rfc3339(since)[:10],
        }
        if GENDERS[self.gender[customer]]:
            known["gender"] = GENDERS[self.gender[customer]]
        if self.income[customer]:
            known["annual_income"] = int(self.income[customer])
        return known

    def extend(self, others: "Customers") -> None:
        """Append more customers."""
        for column in Customers.__slots__:
            setattr(self, column, np.concatenate([getattr(self, column), getattr(others, column)]))


def customer_id(number: int) -> str:
    """The id of a customer."""
    return f"c{number:07d}"


def customer_number(customer_id: str) -> int:
    """The number of a customer; the other way round."""
    return int(customer_id[1:])


def founders(count: int, start: int, now: int, rng: np.random.Generator) -> Customers:
    """The customers of a shop whose history runs from `start` to `now`, types mixed over the numbers."""
    shares = np.array([kind.share for kind in TYPES])
    types = rng.choice(len(TYPES), size=count, p=shares / shares.sum()).astype(np.int8)
    customers = _people(types, rng)
    for place, kind in enumerate(TYPES):
        members = np.flatnonzero(types == place)
        draw = rng.random((2, len(members)))
        if kind.first is None:
            first = start + (draw[0] * 2 * customers.gap[members] * DAY).astype(np.int64)
        else:
            young, old = kind.first
            first = now - ((young + draw[0] * (old - young)) * DAY).astype(np.int64)
        first = opening_times(first, rng)
        customers.next_at[members] = np.where(first >= start, first, NEVER)
        if kind.last is not None:
            young, old = kind.last
            customers.stop_at[members] = now - ((young + draw[1] * (old - young)) * DAY).astype(np.int64)
    return customers


def arrivals(count: int, start: int, end: int, rng: np.random.Generator) -> Customers:
    """Customers who come for the first time between two moments."""
    customers = _people(np.full(count, NEWCOMER, dtype=np.int8), rng)
    customers.next_at[:] = rng.integers(start, end, size=count)
    return customers


def _people(types: NDArray[np.int8], rng: np.random.Generator) -> Customers:
    count = len(types)
    gaps = np.array([kind.gap_days for kind in TYPES])[types]
    incomes = np.array([kind.income for kind in TYPES])[types]
    income = np.round(incomes * rng.lognormal(0.0, 0.35, count), -2)
    return Customers(
        type=types,
        gap=gaps * rng.lognormal(0.0, 0.1, count),
        next_at=np.full(count, NEVER),
        stop_at=np.full(count, NEVER),
        known=np.zeros(count, dtype=bool),
        age=np.clip(rng.normal(46, 15, count), 18, 95).astype(np.int8),
        gender=rng.choice(len(GENDERS), size=count, p=[0.52, 0.43, 0.05]).astype(np.int8),
        income=np.where(rng.random(count) < 0.8, income, 0).astype(np.int32),
        consent=rng.random(count) < 0.6,
    )
