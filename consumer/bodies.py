"""The ragged parts of all rows: of a row in one piece, as they are packed, until somebody changes one of them.

As six objects of bytes each row took 200 bytes more, besides the work of taking apart whatever is loaded.
"""

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from consumer.layout import HEADER

HEADS: Final = 0
LINES: Final = 1
IDS: Final = 2
PARTS: Final = ("heads", "lines", "ids", "attributes", "moves", "exposures")
"""In the order in which they are packed, by the names of their lengths in a header."""
_LENGTHS: Final = Struct(f"<{len(PARTS)}I")
_SIZE: Final = HEADER.itemsize
_AT: Final = HEADER.fields["heads"][1]  # type: ignore[index]
assert [HEADER.fields[name][1] for name in PARTS] == [_AT + 4 * place for place in range(len(PARTS))]  # type: ignore[index]
_lengths_of = _LENGTHS.unpack_from
_NONE: Final = bytes(_SIZE)

Headers = npt.NDArray[np.void]


class Bodies:
    """Of each row all ragged parts, by row number.

    `all` has bytes where the row's header says how long each part is, or a list of the parts where one was changed
    since: then those lengths are of no use, until `pack`.
    """

    def __init__(self) -> None:
        self.all: list[Any] = []  # bytes | list[bytes]
        self.headers = memoryview(_NONE)
        """The bytes of all rows' headers: `follow` keeps it so."""
        self.parts = tuple(Part(self, place) for place in range(len(PARTS)))

    def follow(self, headers: Headers) -> None:
        """The headers stand in this array from now on."""
        self.headers = headers.view(np.uint8).data if len(headers) else memoryview(_NONE)

    def extend(self, rows: int) -> None:
        """So many empty rows more."""
        self.all.extend([b""] * rows)

    def apart(self, row: int) -> list[Any]:
        """The parts of a row."""
        body: Any = self.all[row]
        if body.__class__ is list:
            return body
        if not body:
            return [b""] * len(PARTS)
        a, b, c, d, e, _ = _lengths_of(self.headers, row * _SIZE + _AT)
        b += a
        c += b
        d += c
        e += d
        return [body[:a], body[a:b], body[b:c], body[c:d], body[d:e], body[e:]]

    def opened(self, rows: Iterable[int]) -> list[list[Any]]:
        """The parts of some rows, each once, to be set there and then: whoever watches `HEADS` to `IDS` is told now."""
        everything = self.all
        rows = list(rows)
        found = []
        for row in rows:
            body = everything[row]
            if body.__class__ is not list:
                body = everything[row] = self.apart(row)
            found.append(body)
        for part in self.parts[: IDS + 1]:
            part.touch(rows)
        return found

    def put(self, rows: Sequence[int], bodies: Sequence[bytes | list[bytes]]) -> None:
        """Set whole rows, whose headers say how long the parts are."""
        everything = self.all
        if rows and rows == list(range(rows[0], rows[-1] + 1)):  # numbers that were never used come in one piece
            everything[rows[0] : rows[-1] + 1] = bodies
        else:
            for row, body in zip(rows, bodies, strict=True):
                everything[row] = body
        for part in self.parts:
            part.touch(rows)

    def copy(self, row: int, to: int) -> None:
        """Make one row hold what another does; their headers are alike."""
        body = self.all[row]
        self.put([to], [body.copy() if isinstance(body, list) else body])

    def size_of(self, row: int) -> int:
        """Bytes of all parts of a row."""
        body = self.all[row]
        return sum(map(len, body)) if isinstance(body, list) else len(body)

    def pack(self, rows: Sequence[int]) -> tuple[list[bytes], list[int], npt.NDArray[np.uint32]]:
        """Rows in one piece each; of which of them lengths are to be noted, by place, and those, (rows, parts)."""
        everything = self.all
        bodies = [everything[row] for row in rows]
        changed: list[int] = []
        lengths: list[int] = []
        for place, body in enumerate(bodies):
            if body.__class__ is list:
                changed.append(place)
                lengths.extend(map(len, body))
                bodies[place] = everything[rows[place]] = b"".join(body)
        return bodies, changed, np.array(lengths, np.uint32).reshape(-1, len(PARTS))


class Fresh:
    """Which rows' part has been looked at as it is now."""

    def __init__(self, part: "Part") -> None:
        self._part = part
        self._seen = bytearray()
        self._watches = False

    def stale(self, rows: npt.NDArray[np.int64]) -> list[int]:
        """The rows that have changed; they count as fresh from now on."""
        if not self._watches:
            self._watches = True
            self._part.watch(self._seen)
        missing = len(self._part) - len(self._seen)
        if missing > 0:
            self._seen.extend(bytes(missing))
        seen = np.frombuffer(self._seen, np.bool_)
        stale = rows[~seen[rows]]
        seen[stale] = True
        numbers: list[int] = stale.tolist()
        return numbers

    def forget(self) -> None:
        """No row has been looked at."""
        self._seen[:] = bytes(len(self._seen))


class Part:
    """One ragged part of all rows, by row number."""

    __slots__ = ("_all", "_bodies", "_lengths", "_place", "_watching")

    def __init__(self, bodies: Bodies, place: int) -> None:
        self._bodies = bodies
        self._all = bodies.all
        self._place = place
        self._lengths = Struct(f"<{place + 1}I").unpack_from
        """Of the parts before this one, and its own."""
        self._watching: list[bytearray] = []

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, row: int) -> bytes:
        body = self._all[row]
        found: bytes
        if body.__class__ is list:
            found = body[self._place]
            return found
        if not body:
            return b""
        lengths = self._lengths(self._bodies.headers, row * _SIZE + _AT)
        start = sum(lengths[:-1])
        found = body[start : start + lengths[-1]]
        return found

    def __setitem__(self, row: int, part: bytes) -> None:
        body = self._all[row]
        if body.__class__ is not list:
            body = self._all[row] = self._bodies.apart(row)
        body[self._place] = part
        for seen in self._watching:
            if row < len(seen):
                seen[row] = 0

    def of(self, rows: Iterable[int]) -> list[bytes]:
        """The part of some rows: in half the time that one by one takes."""
        everything, headers, lengths, place = self._all, self._bodies.headers, self._lengths, self._place
        found: list[bytes] = []
        for row in rows:
            body = everything[row]
            if body.__class__ is list:
                found.append(body[place])
            elif body:
                own = lengths(headers, row * _SIZE + _AT)
                start = sum(own[:-1])
                found.append(body[start : start + own[-1]])
            else:
                found.append(b"")
        return found

    def watch(self, seen: bytearray) -> None:
        """Set a row's place there to 0 whenever its part is set."""
        self._watching.append(seen)

    def touch(self, rows: Iterable[int]) -> None:
        """Somebody has set the part of rows by another way."""
        for seen in self._watching:
            for row in rows:
                if row < len(seen):
                    seen[row] = 0
