"""What one customer was shown lately, and what came of it: the part of a row that feedback is counted from.

An impression is one item shown to one customer on one shelf at one time; however often that is said, it is one. It is
*clicked* where a click on the item, on that shelf, follows within the attribution window, and no newer impression of
both lies between. It is *bought* where a purchase of the item follows within the window. Both depend on what happened
when, and not on the order in which it is heard.

An impression is *settled* when nothing that may still arrive can change it: when the customer's newest event is more
than the window and the allowed lateness after it. It leaves the row then, and stays counted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import add
from typing import Final, NamedTuple

import msgspec

from consumer.layout import MISSING_TIME, Limits
from contracts.times import DAY

_CLICKED: Final = 1
_BOUGHT: Final = 2


class Cell(NamedTuple):
    """What impressions are counted by."""

    day: int
    """UTC day on which it was shown, since the epoch."""
    source: str
    reason: str
    segment: int
    """Of the customer when the showing was applied; NO_SEGMENT where there was none yet."""


class Outcomes(NamedTuple):
    """Numbers of impressions."""

    shown: int
    clicked: int
    bought: int


Tally = dict[Cell, Outcomes]


def add_to(tally: Tally, changes: Tally) -> None:
    """Add up."""
    for cell, counts in changes.items():
        known = tally.get(cell)
        tally[cell] = counts if known is None else Outcomes(*map(add, known, counts))


def kind_of_reason(reason: str) -> str:
    """What impressions are counted by: a reason without the item that it names.

    >>> kind_of_reason("because:85123A"), kind_of_reason("popular")
    ('because', 'popular')
    """
    return reason.partition(":")[0]


class _Kept(msgspec.Struct, array_like=True):
    """The packed form."""

    floor: int
    texts: list[str]
    """Sources and reasons, sorted; impressions and clicks name them by place."""
    shown: list[tuple[int, int, int, int, int, int]]
    """When, source, item, reason, segment, what came of it; sorted."""
    clicks: list[tuple[int, int, int]]
    """When, source, item; sorted."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


class _Impression:
    __slots__ = ("bought", "clicked", "counted", "reason", "segment")

    def __init__(self, reason: str, segment: int, flags: int | None = None) -> None:
        self.reason = reason
        self.segment = segment
        self.clicked = bool(flags and flags & _CLICKED)
        self.bought = bool(flags and flags & _BOUGHT)
        self.counted = None if flags is None else (reason, flags)
        """As what it is counted already; None: not at all."""


_Key = tuple[int, str, int]
"""When, source, item number."""
Buy = tuple[int, int]
"""When, item number."""


class Exposures:
    """The impressions of one row that are not settled, while events are applied to it."""

    __slots__ = ("_clicks", "_floor", "_gone", "_limits", "_places", "_shown")

    def __init__(self, packed: bytes, limits: Limits) -> None:
        self._limits = limits
        self._shown: dict[_Key, _Impression] = {}
        self._places: dict[int, list[_Key]] = {}
        """Impressions by item."""
        self._clicks: set[_Key] = set()
        self._floor = MISSING_TIME
        """Interactions at or before it are refused: what they would change was let go of."""
        self._gone: list[tuple[_Key, _Impression]] = []
        if packed:
            kept = _decode(packed)
            texts = kept.texts
            self._floor = kept.floor
            for at, source, item, reason, segment, flags in kept.shown:
                self._put((at, texts[source], item), _Impression(texts[reason], segment, flags))
            self._clicks = {(at, texts[source], item) for at, source, item in kept.clicks}

    # ---- what happens ----

    def closed(self, at: int) -> bool:
        """Whether an interaction of that time comes too late, because a row keeps only so many."""
        return at <= self._floor

    def show(
        self,
        at: int,
        source: str,
        items: Iterable[tuple[int, str]],
        *,
        segment: int,
        bought: Callable[[], Sequence[Buy]],
        seen: int,
    ) -> tuple[bool, bool]:
        """Items with their reasons were shown; `bought` gives the purchases known already.

        `seen` is when the newest event before was. Returns whether that was news, and whether impressions had to be let
        go of.
        """
        news = False
        purchases: Sequence[Buy] | None = None
        for item, reason in items:
            key = (at, source, item)
            known = self._shown.get(key)
            if known is None:
                known = _Impression(reason, segment)
                purchases = bought() if purchases is None else purchases
                known.bought = any(what == item and at <= when <= at + self._window for when, what in purchases)
                self._put(key, known)
                news = True
            elif reason < known.reason:  # one of them, whichever is heard first
                known.reason = reason
                news = True
        return news, self._fit(seen)

    def click(self, at: int, source: str, items: Iterable[int], *, seen: int) -> tuple[bool, bool]:
        """Items were clicked. Returns as `show` does."""
        before = len(self._clicks)
        self._clicks.update((at, source, item) for item in items)
        return len(self._clicks) > before, self._fit(seen)

    def buy(self, at: int, items: Iterable[int], *, seen: int) -> None:
        """Items were bought; `seen` is when the newest event before was."""
        for item in set(items):
            for key in self._places.get(item, ()):
                if key[0] <= at <= key[0] + self._window and not self._settled(key[0], seen):
                    self._shown[key].bought = True

    # ---- what comes of it ----

    def close(self, seen: int) -> tuple[bytes, Tally]:
        """The packed form once all up to `seen` is known, and what is to be added to what was counted before."""
        self._mark_clicks()
        changes: Counter[tuple[Cell, int]] = Counter()
        for key, one in (*self._shown.items(), *self._gone):
            flags = one.clicked * _CLICKED | one.bought * _BOUGHT
            if one.counted == (one.reason, flags):
                continue
            day, source = key[0] // DAY, key[1]
            if one.counted is not None:
                _count(changes, Cell(day, source, one.counted[0], one.segment), one.counted[1], -1)
            _count(changes, Cell(day, source, one.reason, one.segment), flags, 1)
            one.counted = one.reason, flags
        for key in [key for key in self._shown if self._settled(key[0], seen)]:
            del self._shown[key]
        self._clicks = {key for key in self._clicks if not self._settled(key[0], seen)}
        tally = {
            cell: Outcomes(*(changes[cell, what] for what in range(3))) for cell in dict.fromkeys(c for c, _ in changes)
        }
        return self._packed(), {cell: counts for cell, counts in tally.items() if any(counts)}

    @property
    def _window(self) -> int:
        return self._limits.attribution_window

    @property
    def _settle_after(self) -> int:
        return self._window + self._limits.lateness

    def _settled(self, at: int, seen: int) -> bool:
        return at < seen - self._settle_after

    def _put(self, key: _Key, one: _Impression) -> None:
        self._shown[key] = one
        self._places.setdefault(key[2], []).append(key)

    def _mark_clicks(self) -> None:
        """Work out anew which impressions are clicked: of each click the newest one before it."""
        shelves: dict[tuple[str, int], list[_Key]] = {}
        for key, one in self._shown.items():
            one.clicked = False
            shelves.setdefault(key[1:], []).append(key)
        for at, source, item in self._clicks:
            before = [key for key in shelves.get((source, item), ()) if key[0] <= at]
            if before and at <= (newest := max(before))[0] + self._window:
                self._shown[newest].clicked = True

    def _fit(self, seen: int) -> bool:
        """Let go of the oldest where a row keeps no more: they stay counted as they are. Returns whether any went."""
        most = self._limits.exposures
        if len(self._shown) + len(self._clicks) <= most:
            return False
        self._mark_clicks()
        self._drop_until(seen - self._settle_after - 1)
        times = sorted([key[0] for key in (*self._shown, *self._clicks)])
        if len(times) <= most:
            return False
        self._floor = max(self._floor, times[len(times) - most - 1])
        self._drop_until(self._floor)
        return True

    def _drop_until(self, at: int) -> None:
        for key in [key for key in self._shown if key[0] <= at]:
            self._gone.append((key, self._shown.pop(key)))
            self._places[key[2]].remove(key)
        self._clicks = {key for key in self._clicks if key[0] > at}

    def _packed(self) -> bytes:
        if not self._shown and not self._clicks and self._floor == MISSING_TIME:
            return b""
        texts = sorted(
            {*(key[1] for key in (*self._shown, *self._clicks)), *(one.reason for one in self._shown.values())}
        )
        place = {text: number for number, text in enumerate(texts)}
        shown = [
            (at, place[source], item, place[one.reason], one.segment, one.clicked * _CLICKED | one.bought * _BOUGHT)
            for (at, source, item), one in self._shown.items()
        ]
        clicks = [(at, place[source], item) for at, source, item in self._clicks]
        return _encode(_Kept(self._floor, texts, sorted(shown), sorted(clicks)))


def _count(changes: Counter[tuple[Cell, int]], cell: Cell, flags: int, sign: int) -> None:
    changes[cell, 0] += sign
    changes[cell, 1] += sign * bool(flags & _CLICKED)
    changes[cell, 2] += sign * bool(flags & _BOUGHT)
