"""Who is in a campaign: frozen as hashes under a key of the campaign's own, so that no id stands there."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MEMBER: Final = np.dtype(
    [
        ("who", "S16"),  # keyed hash of the customer's id
        ("treated", "?"),
        ("before", "<f8"),  # net spend halved every 90 days, as of the freezing
    ]
)
PIECE: Final = 10_000
"""Members in one field: 250 kB."""


def new_number() -> str:
    """The number of a new campaign: of no meaning, and no other's."""
    return secrets.token_hex(8)


def salt_of(name: str) -> str:
    """What controls are drawn by: the same customers whenever a campaign of that name is made."""
    return f"campaign {name}"


class Hashing:
    """Hashes of customers' ids in one campaign; those of another can not be told to be the same customers'."""

    def __init__(self, number: str) -> None:
        self._key = number.encode()

    def __call__(self, customer_id: str) -> bytes:
        """The hash of an id, 16 bytes."""
        # numpy cuts zeros off the end of a text: with the lowest bit set there is none.
        digest = blake2b(customer_id.encode(errors="surrogatepass"), digest_size=16, key=self._key).digest()
        return digest[:-1] + bytes((digest[-1] | 1,))


@dataclass(frozen=True)
class Members:
    """The members of one campaign as columns."""

    table: npt.NDArray[Any]
    """(members,), dtype MEMBER."""
    hashing: Hashing
    stored: int = 1
    """Pieces there are at least: as many as are stored, so that none of them outlives whom it held."""

    @classmethod
    def of(cls, number: str, ids: Iterable[str], treated: npt.NDArray[np.bool_], before: npt.NDArray[Any]) -> "Members":
        """Those with these ids."""
        hashing = Hashing(number)
        table = np.empty(len(treated), MEMBER)
        table["who"] = [hashing(one) for one in ids]
        table["treated"] = treated
        table["before"] = before
        return cls(table, hashing)

    @classmethod
    def read(cls, number: str, pieces: Mapping[int, bytes]) -> "Members":
        """As they were written by `pieces`."""
        table = np.frombuffer(b"".join(pieces[place] for place in sorted(pieces)), MEMBER)
        return cls(table, Hashing(number), max(pieces, default=0) + 1)

    def __len__(self) -> int:
        return len(self.table)

    def pieces(self) -> dict[int, bytes]:
        """As they are stored; at least one piece, so that no members and no key are told apart."""
        count = max(self.stored, -(-len(self) // PIECE))
        return {place: self.table[place * PIECE : (place + 1) * PIECE].tobytes() for place in range(count)}

    @cached_property
    def _places(self) -> dict[bytes, int]:
        return {who: place for place, who in enumerate(self.table["who"].tolist())}

    def place(self, customer_id: str) -> int | None:
        """A customer's place in the table; None: not a member."""
        return self._places.get(self.hashing(customer_id))

    def places(self, customer_ids: Sequence[str]) -> list[int | None]:
        """The same of many."""
        return [self.place(one) for one in customer_ids]

    def without(self, gone: Iterable[int]) -> "Members":
        """The others than those at these places."""
        return Members(np.delete(self.table, list(gone)), self.hashing, self.stored)
