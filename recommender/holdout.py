"""Who gets popular items only, so that it can be measured what recommendations bring: drawn by a hash of the id."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

MAX_SHARE: Final = 0.5
SALT: Final = "livesegments"
"""Of the first experiment; another one draws anew."""

_DRAWS: Final = 2**64


def held_out(customer_ids: Sequence[str], share: float, salt: str = SALT) -> npt.NDArray[np.bool_]:
    """Who of the customers is held out, (customers,). Always the same ones under one salt; a larger share adds some."""
    threshold = _threshold(share)
    key = _key(salt)
    return np.array([_draw(customer_id, key) < threshold for customer_id in customer_ids], np.bool_)


def _key(salt: str) -> bytes:
    return blake2b(salt.encode(), digest_size=16).digest()


def _threshold(share: float) -> int:
    return round(share * _DRAWS)


def _draw(customer_id: str, key: bytes) -> int:
    """Uniform over 0 … 2**64 - 1, independent of partitions, buckets and the draws under other salts."""
    return int.from_bytes(blake2b(customer_id.encode(), digest_size=8, salt=key).digest(), "little")


@dataclass(frozen=True)
class HoldOut:
    """One experiment: whose share is held out, and since when orders count. Another of any of the three is another one.

    Raises ValueError for a share that is not above 0 and at most a half.
    """

    share: float
    since: int
    """Microseconds UTC; purchases and returns that happened then or later count."""
    salt: str = SALT
    until: int | None = None
    """What happened then or later does not count; None: there is no end."""
    number: int = field(init=False)
    """Not 0: by which rows know what experiment their numbers are of."""
    _salted: bytes = field(init=False, repr=False)
    _threshold: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.share <= MAX_SHARE:
            raise ValueError(f"a share above 0 and at most {MAX_SHARE} can be held out")
        said = f"{self.share!r} {self.since} {self.salt}"
        if self.until is not None:
            said += f" {self.until}"
        number = int.from_bytes(blake2b(said.encode(), digest_size=8).digest(), "little")
        object.__setattr__(self, "number", number or 1)
        object.__setattr__(self, "_salted", _key(self.salt))
        object.__setattr__(self, "_threshold", _threshold(self.share))

    def holds(self, customer_id: str) -> bool:
        """Whether the customer is held out: as `held_out` says of many."""
        return _draw(customer_id, self._salted) < self._threshold
