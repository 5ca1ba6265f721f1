"""How a row is laid out: fixed columns, and ragged parts as packed bytes, the same in memory and in Redis."""

from dataclasses import dataclass
from struct import Struct
from typing import Final

import numpy as np

from contracts.documents import NO_SEGMENT
from contracts.times import DAY

LAYOUT: Final = 3
"""Raised whenever the packed form changes; rows of layout 2 are read, too (`in_layout`)."""

READ_LAYOUTS: Final = (2, LAYOUT)

UNFINISHED: Final = 1_000_000
"""Stands in place of a partition's layout while a restore or a repartitioning writes it: no worker takes it."""

MISSING_TIME: Final = int(np.iinfo(np.int64).min)
"""Stands in a time column where there is no such time."""

HEADER: Final = np.dtype(
    [
        # exact: bit for bit the same in any order of arrival
        ("first_at", "<i8"),  # first and last purchase
        ("last_at", "<i8"),
        ("newest_at", "<i8"),  # newest purchase or return: lateness and decay are measured from here
        ("seen_at", "<i8"),  # newest event of any type
        ("erase_floor", "<i8"),  # events of any type at or before it are refused
        ("closed_floor", "<i8"),  # purchases and returns at or before it are refused
        ("spend", "<i8"),  # millionths
        ("refunds", "<i8"),  # millionths
        ("units", "<i8"),  # bought
        ("day_map", "<u8"),  # bit i: bought on the UTC day i days before the day of newest_at
        ("orders", "<u4"),
        ("returns", "<u4"),
        ("purchase_days", "<u4"),
        # decayed, as of newest_at
        ("orders_decayed", "<f8"),  # half-life 365 days
        ("net_decayed", "<f8"),  # currency units, half-life 365 days
        ("recent_net", "<f8"),  # currency units, half-life 90 days
        # assigned
        ("since", "<i8"),
        ("segment", "<i4"),
        ("previous", "<i4"),
        ("model_version", "<u4"),
        ("cause", "u1"),
        ("audiences", "<u8"),  # bit n: in the audience of number n
        ("outlying", "<u4"),  # bit n: an outlier in the model's nth feature; the last bit: in that or a later one
        # of the packed form
        ("changed_seq", "<u8"),  # the checkpoint that wrote the row last: later than the views' mark means dirty
        ("heads", "<u4"),  # bytes of each ragged part
        ("lines", "<u4"),
        ("ids", "<u4"),
        ("attributes", "<u4"),
        ("moves", "<u4"),
        # since layout 3
        ("exposures", "<u4"),
        ("trial", "<u8"),  # the number of the experiment with a hold-out that the next two are of; 0: of none
        ("trial_spend", "<i8"),  # millionths, less refunds; exact
        ("trial_orders", "<u4"),  # exact
    ]
)

HEAD: Final = np.dtype([("at", "<i8"), ("event", "<u8"), ("lines", "<u2")])
"""One kept purchase or return: when, the hash of its event id, how many of its lines are kept."""
LINE: Final = np.dtype([("item", "<u4"), ("quantity", "<i4")])
"""One kept line: the item's place in the partition's table, units (negative: given back)."""
ID: Final = np.dtype([("at", "<i8"), ("event", "<u8")])
"""The id of a purchase or return of the last L days."""
MOVE: Final = np.dtype([("at", "<i8"), ("to", "<i4"), ("cause", "u1")])
"""One move between segments; the row keeps the last ten."""
MAX_MOVES: Final = 10

ORDERS_HALF_LIFE: Final = 365 * DAY
RECENT_HALF_LIFE: Final = 90 * DAY


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a row keeps, and how late an event may be."""

    lateness: int = 30 * DAY
    """L, in microseconds: a purchase or return up to so much older than the newest known one is applied."""
    lines: int = 100
    ids: int = 8192
    attribution_window: int = 7 * DAY
    """An impression is clicked or bought where that follows within so many microseconds."""
    exposures: int = 256
    """Impressions and clicks that a row keeps while more may become of them."""

    def __post_init__(self) -> None:
        if not 0 <= self.lateness <= 62 * DAY:
            raise ValueError("allowed lateness must lie between 0 and 62 days: a row maps 64 days")
        if self.lines < 1 or self.ids < 1:
            raise ValueError("a row keeps at least one line and one id")
        if not 0 <= self.attribution_window <= 90 * DAY or self.exposures < 1:
            raise ValueError("the attribution window must lie between 0 and 90 days, and a row keeps an impression")


_ADDED: Final = ("exposures", "trial", "trial_spend", "trial_orders")
_OLD_SIZE: Final = HEADER.itemsize - sum(HEADER[name].itemsize for name in _ADDED)
_lengths: Final = Struct("<5I").unpack_from


def in_layout(row: bytes) -> bytes:
    """A packed row in the present layout. One of layout 2 is as long as its five lengths say, and knows no more."""
    if len(row) >= _OLD_SIZE and len(row) == _OLD_SIZE + sum(_lengths(row, _OLD_SIZE - 20)):
        return row[:_OLD_SIZE] + bytes(HEADER.itemsize - _OLD_SIZE) + row[_OLD_SIZE:]
    return row


def empty_header() -> np.ndarray:
    """One row of nothing known, as an array of shape (1,)."""
    header = np.zeros(1, HEADER)
    for name in ("first_at", "last_at", "newest_at", "seen_at", "erase_floor", "closed_floor", "since"):
        header[name] = MISSING_TIME
    header["segment"] = header["previous"] = NO_SEGMENT
    return header


@dataclass(frozen=True, slots=True)
class Marker:
    """What stays of an erased customer: enough to refuse what is older and to know a repeated erase."""

    at: int
    event: int
    floor: int
    """Events at or before it are refused."""
