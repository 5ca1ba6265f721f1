"""Ids that belong together: what stands with an id that was joined to another, or that others are joined to.

Every id keeps what it did by itself, its *own* row. An id that is joined hands over what it knows to the id that it is
joined to: its own row and those of all ids that are joined to it. Who is joined to nobody is the customer: the
customer's row is what all those own rows come to (`consumer/merging.py`). A split takes an own row away again, so it is
exact.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Annotated, Final, NamedTuple, Self

import msgspec

MAX_IDS: Final = 100
"""Ids that may be joined to one: of more, those that were joined last count."""
MAX_HANDED: Final = 600_000
"""Bytes of own rows in one record; in base64 it stays below what the log takes."""


_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Since(NamedTuple):
    """A place in the log of an id's partition: what is told as of a later one holds."""

    partitions: _Count
    """Of the log: where there are more, ids have moved, and positions began anew."""
    far: _Count
    near: _Count
    """The position in two pieces: those of a log in Redis do not fit into 64 bits."""

    @classmethod
    def at(cls, partitions: int, position: int) -> Self:
        """As of the record at a position."""
        return cls(partitions, *divmod(position, _PIECE))


_PIECE: Final = 1 << 63
NEVER: Final = Since(0, 0, 0)


class Edge(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest alias of an id."""

    to: str
    """Whom it is joined to; empty: nobody, since a split."""
    at: int
    event: int
    """Hash of the event's id."""

    @property
    def order(self) -> tuple[int, int]:
        """The later of two aliases of an id holds."""
        return self.at, self.event


class PlainRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A row that names its items, so that it means the same in any partition. Nothing assigned is in it."""

    header: bytes
    heads: bytes
    items: list[str]
    lines: bytes
    """Items by place in `items`."""
    attributes: bytes
    ids: bytes = b""
    """Of events; an id keeps them to itself."""
    exposures: bytes = b""
    """Likewise."""

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self.header) + len(self.heads) + len(self.lines) + len(self.attributes) + sum(map(len, self.items))

    def to_hand_over(self) -> "PlainRow":
        """What others need of it."""
        return PlainRow(self.header, self.heads, self.items, self.lines, self.attributes)


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one id did by itself, and whom it is joined to."""

    id: str
    edge: Edge | None
    row: PlainRow | None
    """None: nothing is known of it, or it counts elsewhere."""
    since: Since


class Handed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a joined id handed over last."""

    since: Since
    parts: list[Part]
    """Its own first, then those of the ids that are joined to it."""


class Bond(msgspec.Struct, gc=False):
    """What is known of one id, in its own partition."""

    edge: Edge | None = None
    own: PlainRow | None = None
    since: Since = NEVER
    """The newest record about the id itself; what others hand over does not count."""
    joined: dict[str, Handed] = {}
    """By the ids that are joined to this one."""
    gone: dict[bytes, Since] = {}
    """Ids that no longer are, by hash: what they handed over before that is out of date."""
    told: str = ""
    """Whom this id handed anything over to last."""
    said: bytes = b""
    """A hash of that."""
    shown: str = ""
    """Whom the view points to; empty: to nobody."""

    def parts(self, own_id: str) -> dict[str, Part]:
        """Everything known here, by id: the id's own, and of any other the newest that was handed over."""
        found = {own_id: Part(own_id, self.edge, self.own, self.since)}
        for handed in self.joined.values():
            for part in handed.parts:
                known = found.get(part.id)
                if known is None or (part.id != own_id and part.since > known.since):
                    found[part.id] = part
        return found

    def belongs_to(self, own_id: str, parts: Mapping[str, Part]) -> str:
        """Whom the id is joined to; empty: to nobody, so that it is the customer.

        Of aliases that go round in a circle the last one is void. Each id of the circle sees all of it, because what
        it hands over comes back to it.
        """
        if self.edge is None or not self.edge.to:
            return ""
        circle = _circle(own_id, parts)
        return "" if circle and max(circle, key=_newest)[0] == own_id else self.edge.to

    def hand_over(self, own_id: str, parts: Mapping[str, Part]) -> list[Part]:
        """What whoever this id is joined to is to know."""
        if self.edge is None or not self.edge.to:
            return []
        own = Part(own_id, self.edge, None if self.own is None else self.own.to_hand_over(), self.since)
        if not self.belongs_to(own_id, parts):
            return [Part(own_id, self.edge, None, self.since)]  # it counts here; the others see that the circle goes on
        others = sorted((part for part in parts.values() if part.id != own_id), key=_joined_last, reverse=True)
        return [own, *_that_fit(others, MAX_HANDED - (own.row.size if own.row else 0))]

    def receive(self, joined_id: str, handed: Handed) -> bool:
        """Take what an id hands over; nothing: it is no longer joined. Returns whether that was news."""
        key = id_key(joined_id)
        known = self.joined.get(joined_id)
        if handed.since < (known.since if known else self.gone.get(key, NEVER)):
            return False
        if not handed.parts:
            self.gone[key] = handed.since
            return self.joined.pop(joined_id, None) is not None
        self.joined[joined_id] = handed
        self.gone.pop(key, None)
        return known is None or known.parts != handed.parts

    def crowd_out(self) -> list[str]:
        """Let go of the ids that were joined first, where there are too many; returns them."""
        order = sorted(self.joined, key=lambda one: _joined_last(self.joined[one].parts[0]), reverse=True)
        for one in order[MAX_IDS:]:
            self.gone[id_key(one)] = self.joined.pop(one).since
        return order[MAX_IDS:]


def _circle(own_id: str, parts: Mapping[str, Part]) -> list[tuple[str, Edge]]:
    """The ids from one on, each joined to the next and the last to the first; nothing where they do not come back."""
    found: list[tuple[str, Edge]] = []
    here = own_id
    while len(found) <= len(parts):
        part = parts.get(here)
        if part is None or part.edge is None or not part.edge.to:
            return []
        found.append((here, part.edge))
        here = part.edge.to
        if here == own_id:
            return found
    return []  # into another circle


def _newest(one: tuple[str, Edge]) -> tuple[int, int, str]:
    return one[1].at, one[1].event, one[0]


def _joined_last(part: Part) -> tuple[int, int, str]:
    return (part.edge.at, part.edge.event, part.id) if part.edge else (0, 0, part.id)


def _that_fit(parts: Iterable[Part], room: int) -> list[Part]:
    chosen: list[Part] = []
    for part in parts:
        room -= len(part.id) + 64 + (part.row.size if part.row else 0)
        if room < 0 or len(chosen) == MAX_IDS:
            break
        chosen.append(part)
    return chosen


def id_key(customer_id: str) -> bytes:
    """What is remembered of an id that must not be named."""
    return blake2b(customer_id.encode(), digest_size=16).digest()


pack_bond = msgspec.msgpack.Encoder().encode
read_bond = msgspec.msgpack.Decoder(Bond).decode
pack_parts = msgspec.msgpack.Encoder().encode
read_parts = msgspec.msgpack.Decoder(list[Part]).decode


def unsaid(bonds: Mapping[str, bytes]) -> dict[str, bytes]:
    """Packed bonds of rows that come from elsewhere: whoever takes the partition hands everything over again."""
    found = {}
    for joined_id, packed in bonds.items():
        bond = read_bond(packed)
        bond.said = b""
        found[joined_id] = pack_bond(bond)
    return found


def digest_of(parts: list[Part]) -> bytes:
    """By which the same parts are known again."""
    return blake2b(pack_parts(parts), digest_size=8).digest()
