"""The ragged parts of a row as packed bytes: kept lines, known ids, attributes. Pure functions, bytes in, bytes out.

Arrivals are mostly in order, so each has a short way for "newer than everything here" and a general one.
"""

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from struct import Struct
from typing import Final

import msgspec
import numpy as np

from consumer.event_columns import Attributes
from consumer.layout import HEAD, ID, LINE, Marker
from contracts.events import MAX_ATTRIBUTES, AttributeValue

_AT_EVENT: Final = Struct("<qQ").unpack_from
_AT: Final = Struct("<q").unpack_from
_HEAD_SIZE: Final = HEAD.itemsize
_LINE_SIZE: Final = LINE.itemsize
_ID_SIZE: Final = ID.itemsize
_LINES: Final = Struct("<H").unpack_from
_pack_lines: Final = Struct("<H").pack
_LINES_AT: Final = 16
"""Where a head says how many lines it has."""
_FEW: Final = 8 * _ID_SIZE
"""So many ids are looked at one by one before it is worth asking numpy."""


def knows(ids: bytes, event: bytes) -> bool:
    """Whether an event, by the 8 bytes of its id's hash, is among the ids."""
    place = ids.find(event)
    while place >= 0:
        if place % _ID_SIZE == 8:
            return True
        place = ids.find(event, place + 1)
    return False


def add_id(ids: bytes, new: bytes) -> bytes:
    """The ids, sorted by (time, hash), with one more."""
    if not ids or _AT_EVENT(ids, len(ids) - _ID_SIZE) < _AT_EVENT(new, 0):
        return ids + new
    joined = np.frombuffer(ids + new, ID)
    return joined[np.lexsort((joined["event"], joined["at"]))].tobytes()


def drop_ids_before(ids: bytes, at: int) -> bytes:
    """The ids without those of events before a time."""
    end = len(ids)
    place = 0
    while place < end and _AT(ids, place)[0] < at:
        if place == _FEW:
            return ids[int(np.searchsorted(np.frombuffer(ids, ID)["at"], at)) * _ID_SIZE :]
        place += _ID_SIZE
    return ids[place:] if place else ids


def evict_ids(ids: bytes, most: int) -> tuple[bytes, int]:
    """The newest `most` of more ids than that, and the time of the newest one let go."""
    excess = len(ids) // _ID_SIZE - most
    at: int = _AT_EVENT(ids, (excess - 1) * _ID_SIZE)[0]
    return ids[excess * _ID_SIZE :], at


def insert_lines(heads: bytes, lines: bytes, head: bytes, new: bytes) -> tuple[bytes, bytes]:
    """Kept lines with those of one more event.

    `heads` are sorted by (time, event hash), and `lines` follow their order.
    """
    table = np.frombuffer(heads, HEAD)
    at, event = _AT_EVENT(head, 0)
    place = int(np.searchsorted(table["at"], at, "left"))
    while place < len(table) and table["at"][place] == at and table["event"][place] < event:
        place += 1
    before = int(table["lines"][:place].sum(dtype=np.int64)) * _LINE_SIZE
    cut = place * _HEAD_SIZE
    return heads[:cut] + head + heads[cut:], lines[:before] + new + lines[before:]


def newest_lines(heads: bytes, lines: bytes, most: int) -> tuple[bytes, bytes]:
    """The newest `most` of more lines than that, by (time, event hash, line number).

    Of an event that was cut the last lines are kept. Being the top of a set, the result does not depend on the order of
    arrival. `most` is at least 1.
    """
    excess = len(lines) // _LINE_SIZE - most
    return _cut(heads, excess), lines[excess * _LINE_SIZE :]


def _cut(heads: bytes, excess: int) -> bytes:
    """The heads without those of the first `excess` lines. Mostly few go: one by one is faster than by numpy."""
    place = _LINES_AT
    while (count := _LINES(heads, place)[0]) <= excess:
        excess -= count
        place += _HEAD_SIZE
    first = place - _LINES_AT
    return heads[first:place] + _pack_lines(count - excess) + heads[first + _HEAD_SIZE :] if excess else heads[first:]


_encode = msgspec.msgpack.Encoder().encode
_Value = tuple[AttributeValue, int, int]
"""Value, time, event hash."""
Stored = dict[str, _Value]
_decode = msgspec.msgpack.Decoder(Stored).decode


def attributes_of(stored: bytes) -> Attributes:
    """The attributes' values by name."""
    return {name: value for name, (value, _, _) in _decode(stored).items()} if stored else {}


@cache
def attribute_reader(names: tuple[str, ...]) -> Callable[[bytes], tuple[AttributeValue | None, ...]]:
    """What reads the values of these attributes, in this order, None where one is missing, and skips all others.

    Five times as fast as `attributes_of` where a customer has many.
    """
    # A struct's fields need names of their own: attributes may be called anything.
    fields = {f"field_{place}": name for place, name in enumerate(names)}
    try:
        wanted = msgspec.defstruct(
            "Wanted", [(field, _Value | None, None) for field in fields], rename=fields, gc=False, array_like=False
        )
    except ValueError:  # a name with a quotation mark or a backslash is none for msgspec

        def read_all(stored: bytes) -> tuple[AttributeValue | None, ...]:
            attributes = attributes_of(stored)
            return tuple([attributes.get(name) for name in names])

        return read_all
    decode = msgspec.msgpack.Decoder(wanted).decode
    nothing = (None,) * len(fields)
    values = attrgetter(*fields, "__class__")  # of one name alone it would not make a tuple

    def read(stored: bytes) -> tuple[AttributeValue | None, ...]:
        if not stored:
            return nothing
        return tuple([None if triple is None else triple[0] for triple in values(decode(stored))[:-1]])

    return read


def set_attributes(stored: bytes, new: Attributes, at: int, event: int) -> bytes:
    """The attributes after a profile event: per name the value with the latest (time, event hash).

    Of more than 64 names those with the latest values stay. Both are tops of sets, so any order gives the same bytes.
    """
    kept = _decode(stored) if stored else {}
    changed = False
    for name, value in new.items():
        old = kept.get(name)
        if old is None or (old[1], old[2]) < (at, event):
            kept[name] = (value, at, event)
            changed = True
    return _newest_attributes(kept) if changed else stored


def join_attributes(stored: bytes, others: bytes) -> bytes:
    """The attributes of two rows: per name the value with the latest (time, event hash)."""
    if not stored or not others:
        return stored or others
    kept = _decode(stored)
    for name, other in _decode(others).items():
        old = kept.get(name)
        if old is None or (old[1], old[2]) < (other[1], other[2]):
            kept[name] = other
    return _newest_attributes(kept)


def _newest_attributes(kept: Stored) -> bytes:
    """Packed by name; of more than 64 those with the latest values."""
    names = sorted(kept)
    if len(names) > MAX_ATTRIBUTES:
        names = sorted(sorted(names, key=lambda name: (kept[name][1], kept[name][2], name))[-MAX_ATTRIBUTES:])
    return _encode({name: kept[name] for name in names})


_MARKER: Final = Struct("<qQq")


def packed_marker(marker: Marker) -> bytes:
    """The marker of an erased customer as it is stored."""
    return _MARKER.pack(marker.at, marker.event, marker.floor)


def marker_of(stored: bytes) -> Marker:
    """The marker that was stored."""
    return Marker(*_MARKER.unpack(stored))
