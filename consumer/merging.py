"""Rows of several ids as one row, exactly: what their events would come to had one id had them all.

Sums add up, times are the first and the last, decayed sums are brought to one time, kept lines and attributes are the
tops of sets. Days on which several ids bought count once as far as rows know their days: of the 64 days before the
newest purchase or return, and of all kept lines.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from consumer import ragged
from consumer.bonds import PlainRow
from consumer.layout import (
    HEAD,
    HEADER,
    LINE,
    MISSING_TIME,
    ORDERS_HALF_LIFE,
    RECENT_HALF_LIFE,
    empty_header,
)
from consumer.row_store import ItemTable, RowStore
from contracts.money import MAX_TOTAL_MILLIONTHS
from contracts.times import DAY

_OWN: Final = (
    *("first_at", "last_at", "newest_at", "seen_at", "erase_floor", "closed_floor", "spend", "refunds", "units"),
    *("day_map", "orders", "returns", "purchase_days", "orders_decayed", "net_decayed", "recent_net"),
    *("trial", "trial_spend", "trial_orders"),
)
"""What follows from an id's own events; all else in a header is decided about a customer, or of the packed form."""
_SUMS: Final = ("spend", "refunds")
_COUNTS: Final = ("units", "orders", "returns")
_DECAYED: Final = (
    ("orders_decayed", ORDERS_HALF_LIFE),
    ("net_decayed", ORDERS_HALF_LIFE),
    ("recent_net", RECENT_HALF_LIFE),
)
_TIMES: Final = ("first_at", "last_at", "newest_at", "seen_at", "erase_floor", "closed_floor")
_MOST_TIME: Final = 400_000_000_000_000_000
"""Microseconds from 1970 on, either way: beyond the years that an event may have."""
_MOST: Final = {name: int(np.iinfo(HEADER[name]).max) for name in (*_COUNTS, "purchase_days", "trial_orders")}
_DAYS_MAPPED: Final = 64


def plain_row(store: RowStore, row: int, items: ItemTable) -> PlainRow:
    """A row of the store as it can go to another partition."""
    header = empty_header()
    for name in _OWN:
        header[name] = store.header[name][row]
    lines = np.frombuffer(store.lines[row], LINE).copy()
    numbers, places = np.unique(lines["item"], return_inverse=True)
    lines["item"] = places
    return PlainRow(
        header.tobytes(),
        store.heads[row],
        [items.names[number] for number in numbers.tolist()],
        lines.tobytes(),
        store.attributes[row],
        store.known[row],
        store.exposures[row],
    )


def check(row: PlainRow) -> None:
    """Whether a row that came over the log is one. Raises ValueError."""
    if len(row.header) != HEADER.itemsize or len(row.heads) % HEAD.itemsize or len(row.lines) % LINE.itemsize:
        raise ValueError("a part of a row has no such length")
    header, heads, lines = (
        np.frombuffer(row.header, HEADER)[0],
        np.frombuffer(row.heads, HEAD),
        np.frombuffer(row.lines, LINE),
    )
    if int(heads["lines"].sum(dtype=np.int64)) != len(lines) or (lines["item"] >= len(row.items)).any():
        raise ValueError("kept lines are not those that their heads or items tell of")
    times = np.array([int(header[name]) for name in _TIMES])
    if ((times != MISSING_TIME) & (np.abs(times) > _MOST_TIME)).any() or (heads["at"] > header["newest_at"]).any():
        raise ValueError("a time lies beyond all that can be")
    if not all(np.isfinite(header[name]) for name, _ in _DECAYED):
        raise ValueError("a decayed sum is no number")
    try:
        ragged.attributes_of(row.attributes)
    except msgspec.MsgspecError as error:
        raise ValueError(f"attributes can not be read: {error}") from error


def put_row(store: RowStore, row: int, plain: PlainRow, items: ItemTable) -> None:
    """Write such a row into the store; what is decided about the customer stays."""
    header = np.frombuffer(plain.header, HEADER)
    for name in _OWN:
        store.header[name][row] = header[name][0]
    store.heads[row] = plain.heads
    store.lines[row] = _renumbered(plain, items.numbers(plain.items))
    store.attributes[row] = plain.attributes
    store.known[row] = plain.ids
    store.exposures[row] = plain.exposures


def _renumbered(plain: PlainRow, numbers: Sequence[int]) -> bytes:
    lines = np.frombuffer(plain.lines, LINE).copy()
    if len(lines):
        lines["item"] = np.array(numbers, np.uint32)[lines["item"]]
    return lines.tobytes()


def merged(rows: Sequence[PlainRow], most_lines: int) -> PlainRow:
    """One row that is all of these, in any order; at least one."""
    rows = sorted(rows, key=lambda row: (row.header, row.heads, row.lines))
    headers = np.frombuffer(b"".join([row.header for row in rows]), HEADER)
    header = empty_header()
    bought = headers["first_at"][headers["first_at"] != MISSING_TIME]
    if len(bought):
        header["first_at"] = bought.min()
    for name in ("last_at", "newest_at", "seen_at"):
        header[name] = headers[name].max()
    for name in _SUMS:
        header[name] = min(sum(headers[name].tolist()), MAX_TOTAL_MILLIONTHS)
    for name in _COUNTS:
        header[name] = min(sum(headers[name].tolist()), _MOST[name])
    newest = int(header["newest_at"][0])
    _merge_decayed(header, headers, newest)
    _merge_days(header, headers, rows, newest)
    _merge_trials(header, headers)
    items: dict[str, int] = {}
    heads, lines = _merged_lines(rows, items, most_lines)
    return PlainRow(header.tobytes(), heads, list(items), lines, _merged_attributes(rows))


def _merge_decayed(header: npt.NDArray[np.void], headers: npt.NDArray[np.void], newest: int) -> None:
    ordered = headers["newest_at"] != MISSING_TIME
    passed = newest - headers["newest_at"][ordered]
    for name, half_life in _DECAYED:
        header[name] = (headers[name][ordered] * np.exp2(-passed / half_life)).sum()


def _merge_days(
    header: npt.NDArray[np.void], headers: npt.NDArray[np.void], rows: Sequence[PlainRow], newest: int
) -> None:
    """The days of all, those that several rows are known to have counted once."""
    known = [_days(one, row) for one, row in zip(headers, rows, strict=True)]
    union = set[int]().union(*known)
    twice = sum(map(len, known)) - len(union)
    header["purchase_days"] = min(sum(headers["purchase_days"].tolist()) - twice, _MOST["purchase_days"])
    ages = [newest // DAY - day for day in union]
    header["day_map"] = np.uint64(sum(1 << age for age in ages if age < _DAYS_MAPPED))


def _days(header: np.void, row: PlainRow) -> set[int]:
    """The UTC days with a purchase that a row still knows."""
    bits, newest = int(header["day_map"]), int(header["newest_at"])
    days = {newest // DAY - age for age in range(_DAYS_MAPPED) if bits >> age & 1}
    heads = np.frombuffer(row.heads, HEAD)
    if len(heads):
        counts = heads["lines"].astype(np.int64)
        first = np.cumsum(counts) - counts
        is_purchase = np.frombuffer(row.lines, LINE)["quantity"][first] > 0
        days.update((heads["at"][is_purchase] // DAY).tolist())
    return days


def _merge_trials(header: npt.NDArray[np.void], headers: npt.NDArray[np.void]) -> None:
    """Orders of an experiment add up; of two experiments the one that more ids are in holds."""
    numbers, counts = np.unique(headers["trial"][headers["trial"] != 0], return_counts=True)
    if not len(numbers):
        return
    header["trial"] = number = numbers[np.argmax(counts)]
    same = headers[headers["trial"] == number]
    header["trial_spend"] = min(sum(same["trial_spend"].tolist()), MAX_TOTAL_MILLIONTHS)
    header["trial_orders"] = min(sum(same["trial_orders"].tolist()), _MOST["trial_orders"])


def _merged_lines(rows: Sequence[PlainRow], items: dict[str, int], most: int) -> tuple[bytes, bytes]:
    """Kept lines of all rows by (time, event hash); their items are numbered by `items`, which is filled."""
    found: list[tuple[int, int, bytes, bytes]] = []
    for row in rows:
        for name in row.items:
            items.setdefault(name, len(items))
        lines = _renumbered(row, [items[name] for name in row.items])
        start = 0
        for place, (at, event, count) in enumerate(np.frombuffer(row.heads, HEAD).tolist()):
            end = start + count * LINE.itemsize
            head = row.heads[place * HEAD.itemsize : (place + 1) * HEAD.itemsize]
            found.append((at, event, head, lines[start:end]))
            start = end
    found.sort(key=lambda one: one[:2])
    heads, lines = b"".join([one[2] for one in found]), b"".join([one[3] for one in found])
    if len(lines) > most * LINE.itemsize:
        heads, lines = ragged.newest_lines(heads, lines, most)
    return heads, lines


def _merged_attributes(rows: Sequence[PlainRow]) -> bytes:
    stored = b""
    for row in rows:
        stored = ragged.join_attributes(stored, row.attributes)
    return stored
