"""What a list must keep to besides being ranked: how many of a kind, and room for items that nobody knows yet."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from contracts.errors import LivesegmentsError
from contracts.times import DAY
from recommender.distinct import begins_of, sorted_order

_MOST_EXPLORATION: Final = 0.5


class ListRulesError(LivesegmentsError):
    """A limit of lists is out of its range."""


@dataclass(frozen=True, slots=True)
class ListRules:
    """Limits of one customer's list. Raises ListRulesError where a value makes no sense."""

    max_per_category: int = 10
    """Most items of one category of the catalogue among those bought before, and as many among those never bought."""
    max_per_reason: int = 20
    """Most items with the same reason; those because of any item count together."""
    exploration: float = 0.01
    """Share of the places that new items of the shop get, at the end of lists; part of a place: so many customers."""
    exploration_period: int = 7 * DAY
    """Microseconds for which a customer is shown the same new items."""

    def __post_init__(self) -> None:
        for name in ("max_per_category", "max_per_reason", "exploration_period"):
            if getattr(self, name) < 1:
                raise ListRulesError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.exploration <= _MOST_EXPLORATION:
            raise ListRulesError(f"exploration must be from 0 to {_MOST_EXPLORATION}, not {self.exploration}")


def within(owners: NDArray[np.integer], kinds: NDArray[np.integer], most: int) -> NDArray[np.bool_]:
    """Which entries of lists are among the first `most` of their kind in their list; those of a kind below 0 all are.

    Owners of the lists and kinds, (entries,) each, in the order of the lists.

    >>> within(np.array([0, 0, 0, 0, 0, 1]), np.array([7, 7, -1, 7, -1, 7]), 2).tolist()
    [True, True, True, False, True, True]
    """
    keys = owners.astype(np.int64) << int(kinds.max(initial=0) + 1).bit_length()
    keys += kinds + 1
    order = sorted_order(keys)
    begins = begins_of(keys)
    nth = np.arange(len(keys)) - np.repeat(begins, np.diff(np.append(begins, len(keys))))
    result = np.empty(len(keys), np.bool_)
    result[order] = nth < most
    result |= kinds < 0
    return result


def hashes(customer_ids: Iterable[str]) -> NDArray[np.uint64]:
    """A number for each customer that hangs on the id alone, the same in every process, (customers,)."""
    return np.array([crc32(customer_id.encode()) for customer_id in customer_ids], np.uint64)
