"""The ragged parts of all rows: of a row in one piece, as they are packed, until somebody changes one of them.

As six objects of bytes each row took 200 bytes more, besides the work of taking apart whatever is loaded. Where there
are many rows, those that nothing was written of for longest are compressed.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from struct import Struct
from typing import Any, Final

import lz4.block
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
_LENGTH: Final = Struct("<I")
_NONE: Final = bytes(_SIZE)
WARM: Final = 50_000
"""Rows that are kept as they are: those that were loaded or packed last."""
_LEAST: Final = 128
"""Bytes of a row below which compressing it gains nothing."""
_compress = lz4.block.compress
_decompress = lz4.block.decompress

Headers = npt.NDArray[np.void]


class Bodies:
    """Of each row all ragged parts, by row number.

    `all` has bytes where the row's header says how long each part is, or a list of the parts where one was changed
    since: then those lengths are of no use, until `pack`.

    Parameters:
        warm: so many rows are never compressed.
    """

    def __init__(self, warm: int = WARM) -> None:
        self.all: list[Any] = []  # bytes | list[bytes]
        self.cold = bytearray()
        """By row: 1 where its bytes are compressed."""
        self.headers = memoryview(_NONE)
        """The bytes of all rows' headers: `follow` keeps it so."""
        self.parts = tuple(Part(self, place) for place in range(len(PARTS)))
        self._most_warm = warm
        self._warm: dict[int, None] = {}
        """Rows that are not compressed, the last ones packed last."""

    def follow(self, headers: Headers) -> None:
        """The headers stand in this array from now on."""
        self.headers = headers.view(np.uint8).data if len(headers) else memoryview(_NONE)

    def extend(self, rows: int) -> None:
        """So many empty rows more."""
        self.all.extend([b""] * rows)
        self.cold.extend(bytes(rows))

    def open(self, row: int) -> list[Any]:
        """The parts of a row, to be set there and then."""
        body: Any = self.all[row]
        if body.__class__ is list:
            return body
        body = self.whole(row)
        self.cold[row] = 0
        if body:
            a, b, c, d, e, _ = _lengths_of(self.headers, row * _SIZE + _AT)
            b += a
            c += b
            d += c
            e += d
            parts = [body[:a], body[a:b], body[b:c], body[c:d], body[d:e], body[e:]]
        else:
            parts = [b""] * len(PARTS)
        self.all[row] = parts
        return parts

    def append(self, row: int, place: int, data: bytes, most: int) -> None:
        """Add to the end of a part and keep its last bytes, at most so many; the row stays packed if it is.

        A sweep that moves everybody would have all rows in pieces otherwise, twice as large as they are.
        """
        body: Any = self.all[row]
        if not body or body.__class__ is list:
            parts = self.open(row)
            parts[place] = (parts[place] + data)[-most:]
            return
        body = self.whole(row)
        at = row * _SIZE + _AT
        lengths = _lengths_of(self.headers, at)
        start = sum(lengths[:place])
        end = start + lengths[place]
        part = (body[start:end] + data)[-most:]
        _LENGTH.pack_into(self.headers, at + _LENGTH.size * place, len(part))
        body = body[:start] + part + body[end:]
        if self.cold[row]:
            self._compress(row, body)
        else:
            self.all[row] = body

    def opened(self, rows: Iterable[int]) -> list[list[Any]]:
        """The parts of some rows, as by `open`: whoever watches `HEADS` to `IDS` is told now."""
        rows = list(rows)
        found = list(map(self.open, rows))
        for part in self.parts[: IDS + 1]:
            part.touch(rows)
        return found

    def put(self, rows: Sequence[int], bodies: Sequence[bytes | list[bytes]]) -> None:
        """Set whole rows, whose headers say how long the parts are."""
        everything, cold = self.all, self.cold
        if rows and rows == list(range(rows[0], rows[-1] + 1)):  # numbers that were never used come in one piece
            everything[rows[0] : rows[-1] + 1] = bodies
            cold[rows[0] : rows[-1] + 1] = bytes(len(rows))
        else:
            for row, body in zip(rows, bodies, strict=True):
                everything[row] = body
                cold[row] = 0
        self._cool([row for row, body in zip(rows, bodies, strict=True) if body])
        for part in self.parts:
            part.touch(rows)

    def copy(self, row: int, to: int) -> None:
        """Make one row hold what another does; their headers are alike."""
        body = self.all[row]
        self.put([to], [body.copy() if isinstance(body, list) else self.whole(row)])

    def whole(self, row: int) -> bytes:
        """All parts of a row that none was set of since it was packed."""
        body: bytes = self.all[row]
        return _decompress(body) if self.cold[row] else body

    def size_of(self, row: int) -> int:
        """Bytes of all parts of a row."""
        body = self.all[row]
        if body.__class__ is list:
            return sum(map(len, body))
        return sum(_lengths_of(self.headers, row * _SIZE + _AT))

    def pack(self, rows: Sequence[int]) -> tuple[list[bytes], list[int], npt.NDArray[np.uint32]]:
        """Rows in one piece each; of which of them lengths are to be noted, by place, and those, (rows, parts).

        The lengths are to be noted before anything else is done.
        """
        everything = self.all
        bodies = [everything[row] for row in rows]
        changed: list[int] = []
        lengths: list[int] = []
        for place, body in enumerate(bodies):
            if body.__class__ is list:
                changed.append(place)
                lengths.extend(map(len, body))
                bodies[place] = everything[rows[place]] = b"".join(body)
            else:
                bodies[place] = self.whole(rows[place])
        self._cool([rows[place] for place in changed])
        return bodies, changed, np.array(lengths, np.uint32).reshape(-1, len(PARTS))

    def _cool(self, rows: Iterable[int]) -> None:
        """These rows are warm now; compress those that were the longest, where there are too many."""
        warm = self._warm
        for row in rows:
            warm.pop(row, None)
            warm[row] = None
        everything = self.all
        for row in list(islice(warm, max(len(warm) - self._most_warm, 0))):
            del warm[row]
            body = everything[row]
            # One that was changed since is packed again, and warm then.
            if body.__class__ is not list and not self.cold[row]:
                self._compress(row, body)

    def _compress(self, row: int, body: bytes) -> None:
        """Keep a row compressed, if that makes it smaller."""
        compressed = _compress(body) if len(body) >= _LEAST else body
        self.cold[row] = len(compressed) < len(body)
        self.all[row] = compressed if self.cold[row] else body


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
        body = self._bodies.whole(row)
        lengths = self._lengths(self._bodies.headers, row * _SIZE + _AT)
        start = sum(lengths[:-1])
        found = body[start : start + lengths[-1]]
        return found

    def __setitem__(self, row: int, part: bytes) -> None:
        self._bodies.open(row)[self._place] = part
        for seen in self._watching:
            if row < len(seen):
                seen[row] = 0

    def append(self, row: int, data: bytes, most: int) -> None:
        """Add to the end of a row's part and keep its last bytes, at most so many (`Bodies.append`)."""
        self._bodies.append(row, self._place, data, most)
        for seen in self._watching:
            if row < len(seen):
                seen[row] = 0

    def of(self, rows: Iterable[int]) -> list[bytes]:
        """The part of some rows: in half the time that one by one takes."""
        everything, headers, lengths, place = self._all, self._bodies.headers, self._lengths, self._place
        cold = self._bodies.cold
        found: list[bytes] = []
        for row in rows:
            body = everything[row]
            if body.__class__ is list:
                found.append(body[place])
            elif body:
                if cold[row]:
                    body = _decompress(body)
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
