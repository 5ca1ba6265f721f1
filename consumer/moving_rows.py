"""Rows that go from one partition to another: which, with their items renumbered, and how to know that none changed."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Final

import numpy as np

from consumer.exposures import renumbered
from consumer.image import Image
from consumer.layout import HEADER, LINE
from consumer.row_store import ItemTable
from contracts.partitioning import partition_of

CLEAN: Final = 0
"""Of `changed_seq`: before every mark, so the view counts as written."""
_WRAP: Final = (1 << 64) - 1


def leaving(image: Image, before: int, after: int) -> dict[int, list[int]]:
    """By new partition, the places of an image's rows that belong there once `before` partitions have become `after`.

    Rows that have come here from another partition already are no longer of this one, and stay.
    """
    found: dict[int, list[int]] = {}
    for place, customer_id in enumerate(image.customer_ids):
        target = partition_of(customer_id, after)
        if target != image.partition and partition_of(customer_id, before) == image.partition:
            found.setdefault(target, []).append(place)
    return found


def moved(image: Image, places: Sequence[int], items: ItemTable, dirty_seq: int) -> list[bytes]:
    """Rows of an image as another partition keeps them, which has these items; new ones are added to the table.

    A row whose view was not written counts as changed by checkpoint `dirty_seq` there, any other as clean.
    """
    numbers = _Numbers(image.kept.items, items)
    rows = []
    for place in places:
        row = image.rows[place]
        header = np.frombuffer(row[: HEADER.itemsize], HEADER).copy()
        dirty = int(header["changed_seq"][0]) > image.meta.views_seq
        header["changed_seq"] = dirty_seq if dirty else CLEAN
        start, end = _lines(row)
        lines = np.frombuffer(row[start:end], LINE).copy()
        lines["item"] = numbers.of(lines["item"].tolist())
        rest, exposures = _exposures(row, end)
        if exposures:
            exposures = renumbered(exposures, numbers.of)
            header["exposures"] = len(exposures)
        rows.append(header.tobytes() + row[HEADER.itemsize : start] + lines.tobytes() + rest + exposures)
    return rows


class _Numbers:
    """Numbers of one partition's items in another's table."""

    def __init__(self, names: Sequence[str], items: ItemTable) -> None:
        self._names = names
        self._items = items
        self._known: dict[int, int] = {}

    def of(self, numbers: list[int]) -> list[int]:
        new = [number for number in dict.fromkeys(numbers) if number not in self._known]
        self._known.update(zip(new, self._items.numbers([self._names[number] for number in new]), strict=True))
        return [self._known[number] for number in numbers]


def digest_of(image: Image, places: Iterable[int]) -> int:
    """A sum over rows, whatever their order, of a hash of all they keep: items by name, without `changed_seq`."""
    names = np.array([blake2b(name.encode(), digest_size=8).digest() for name in image.kept.items] or [b""], "S8")
    hashes = np.frombuffer(names.tobytes(), "<u8")
    total = 0
    for place in places:
        row = image.rows[place]
        header = np.frombuffer(row[: HEADER.itemsize], HEADER).copy()
        header["changed_seq"] = 0
        header["exposures"] = 0  # numbers of items take more bytes or fewer
        start, end = _lines(row)
        lines = np.frombuffer(row[start:end], LINE)
        digest = blake2b(image.customer_ids[place].encode(), digest_size=8)
        for part in (header.tobytes(), row[HEADER.itemsize : start], hashes[lines["item"]].tobytes()):
            digest.update(b"\0" + part)
        rest, exposures = _exposures(row, end)
        digest.update(np.ascontiguousarray(lines["quantity"]).tobytes() + rest)
        if exposures:
            digest.update(renumbered(exposures, lambda numbers: hashes[numbers].tolist()))
        total += int.from_bytes(digest.digest(), "little")
    return total & _WRAP


def sizes_of(image: Image, places: Iterable[int]) -> Mapping[int, int]:
    """Customers by segment."""
    rows = [image.rows[place][: HEADER.itemsize] for place in places]
    segments, sizes = np.unique(np.frombuffer(b"".join(rows), HEADER)["segment"], return_counts=True)
    return dict(zip(segments.tolist(), sizes.tolist(), strict=True))


def _lines(row: bytes) -> tuple[int, int]:
    """Where the lines of a packed row begin and end."""
    header = np.frombuffer(row[: HEADER.itemsize], HEADER)
    start = HEADER.itemsize + int(header["heads"][0])
    return start, start + int(header["lines"][0])


def _exposures(row: bytes, end: int) -> tuple[bytes, bytes]:
    """What stands behind the lines of a packed row, which end there, and the impressions, which come last."""
    size = int(np.frombuffer(row[: HEADER.itemsize], HEADER)["exposures"][0])
    return row[end : len(row) - size], row[len(row) - size :]
