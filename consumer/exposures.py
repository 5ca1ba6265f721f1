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
_NEVER: Final = 2**63
_MANY_TEXTS: Final = 20
"""So many sources and reasons may be of impressions that are gone: then it is looked which are still needed."""


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


class _Kept(msgspec.Struct, array_like=True, gc=False):
    """The packed form."""

    floor: int
    texts: list[str]
    """Sources and reasons; impressions and clicks name them by place."""
    shown: list[tuple[int, int, int, int, int, int]]
    """When, source, item, reason, segment, what came of it; sorted."""
    clicks: list[tuple[int, int, int]]
    """When, source, item; sorted."""


_encode = msgspec.msgpack.Encoder().encode
decode_kept = msgspec.msgpack.Decoder(_Kept).decode
"""The packed impressions of a row."""


def renumbered(packed: bytes, numbers: Callable[[list[int]], list[int]]) -> bytes:
    """The packed impressions of a row where items have other numbers: `numbers` has them in the order it is given."""
    kept = decode_kept(packed)
    items = [one[2] for one in (*kept.shown, *kept.clicks)]
    new = dict(zip(items, numbers(items), strict=True))
    shown = sorted((one[0], one[1], new[one[2]], one[3], one[4], one[5]) for one in kept.shown)
    clicks = sorted((at, source, new[item]) for at, source, item in kept.clicks)
    return _encode(_Kept(kept.floor, kept.texts, shown, clicks))


_Key = tuple[int, int, int]
"""When, place of the source among the texts, item number."""
_Impression = tuple[int, int, int]
"""Place of the reason among the texts, segment, what came of it."""
Buy = tuple[int, int]
"""When, item number."""


class Exposures:
    """The impressions of one row that are not settled, while events are applied to it.

    Rows have dozens of them and steps change a few: what is read stays as it is read, changes are noted beside it.
    """

    __slots__ = ("_clicks", "_counted", "_floor", "_gone", "_limits", "_oldest", "_shown", "_texts")

    def __init__(self, packed: bytes, limits: Limits) -> None:
        self._limits = limits
        kept = decode_kept(packed) if packed else _Kept(MISSING_TIME, [], [], [])
        self._floor = kept.floor
        """Interactions at or before it are refused: what they would change was let go of."""
        self._texts = kept.texts
        self._shown: dict[_Key, _Impression] = {one[:3]: one[3:] for one in kept.shown}
        self._clicks: set[_Key] = set(kept.clicks)
        self._counted: dict[_Key, _Impression | None] = {}
        """Of the changed ones, as what they are counted already; None: not at all."""
        self._gone: dict[_Key, _Impression] = {}
        self._oldest = min(kept.shown[0][0] if kept.shown else _NEVER, kept.clicks[0][0] if kept.clicks else _NEVER)
        """No impression and no click is older."""

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
        place = self._place(source)
        for item, reason in items:
            key = (at, place, item)
            known = self._shown.get(key)
            if known is None:
                purchases = bought() if purchases is None else purchases
                follows = any(what == item and at <= when <= at + self._window for when, what in purchases)
                self._set(key, (self._place(reason), segment, _BOUGHT if follows else 0))
                news = True
            elif reason < self._texts[known[0]]:  # one of them, whichever is heard first
                self._set(key, (self._place(reason), *known[1:]))
                news = True
        self._oldest = min(self._oldest, at)
        return news, self._fit(seen)

    def click(self, at: int, source: str, items: Iterable[int], *, seen: int) -> tuple[bool, bool]:
        """Items were clicked. Returns as `show` does."""
        before, place = len(self._clicks), self._place(source)
        self._clicks.update((at, place, item) for item in items)
        self._oldest = min(self._oldest, at)
        return len(self._clicks) > before, self._fit(seen)

    def buy(self, at: int, items: Iterable[int], *, seen: int) -> None:
        """Items were bought; `seen` is when the newest event before was."""
        wanted, first = set(items), max(at - self._window, seen - self._settle_after)
        for key in [key for key in self._shown if key[2] in wanted and first <= key[0] <= at]:
            reason, segment, flags = self._shown[key]
            self._set(key, (reason, segment, flags | _BOUGHT))

    # ---- what comes of it ----

    def close(self, seen: int) -> tuple[bytes, Tally]:
        """The packed form once all up to `seen` is known, and what is to be added to what was counted before."""
        self._mark_clicks()
        texts = self._texts
        changes: Counter[tuple[Cell, int]] = Counter()
        for key, before in self._counted.items():
            now = self._shown[key] if key in self._shown else self._gone[key]
            for one, sign in ((before, -1), (now, 1)):
                if one is not None:
                    cell = Cell(key[0] // DAY, texts[key[1]], texts[one[0]], one[1])
                    changes[cell, 0] += sign
                    changes[cell, 1] += sign * bool(one[2] & _CLICKED)
                    changes[cell, 2] += sign * bool(one[2] & _BOUGHT)
        self._counted.clear()
        self._drop_until(seen - self._settle_after - 1)
        self._gone.clear()
        cells = dict.fromkeys(cell for cell, _ in changes)
        tally = {cell: Outcomes(*(changes[cell, what] for what in range(3))) for cell in cells}
        return self._packed(), {cell: counts for cell, counts in tally.items() if any(counts)}

    @property
    def _window(self) -> int:
        return self._limits.attribution_window

    @property
    def _settle_after(self) -> int:
        return self._window + self._limits.lateness

    def _place(self, text: str) -> int:
        if text not in self._texts:
            self._texts.append(text)
        return self._texts.index(text)

    def _set(self, key: _Key, one: _Impression) -> None:
        before = self._shown.get(key)
        if before != one:
            self._counted.setdefault(key, before)
            self._shown[key] = one

    def _mark_clicks(self) -> None:
        """Work out anew which impressions are clicked: of each click the newest one before it."""
        if not self._clicks:
            return
        shelves: dict[tuple[int, ...], list[_Key]] = {key[1:]: [] for key in self._clicks}
        for key in self._shown:
            if key[1:] in shelves:
                shelves[key[1:]].append(key)
        clicked = set()
        for click in self._clicks:
            newest = max((key for key in shelves[click[1:]] if key[0] <= click[0]), default=None)
            if newest is not None and click[0] <= newest[0] + self._window:
                clicked.add(newest)
        for key in (key for keys in shelves.values() for key in keys):
            reason, segment, flags = self._shown[key]
            self._set(key, (reason, segment, flags | _CLICKED if key in clicked else flags & ~_CLICKED))

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
        if at < self._oldest:
            return
        for key in [key for key in self._shown if key[0] <= at]:
            self._gone[key] = self._shown.pop(key)
        self._clicks = {key for key in self._clicks if key[0] > at}
        self._oldest = min((key[0] for key in (*self._shown, *self._clicks)), default=_NEVER)

    def _packed(self) -> bytes:
        if not self._shown and not self._clicks:
            return b"" if self._floor == MISSING_TIME else _encode(_Kept(self._floor, [], [], []))
        if len(self._texts) > _MANY_TEXTS:
            self._forget_texts()
        shown = sorted([key + one for key, one in self._shown.items()])
        return _encode(_Kept(self._floor, self._texts, shown, sorted(self._clicks)))

    def _forget_texts(self) -> None:
        """Number anew those sources and reasons that are still named."""
        texts, self._texts = self._texts, []
        place = {old: self._place(texts[old]) for old in sorted(self._named())}
        self._shown = {
            (at, place[source], item): (place[reason], segment, flags)
            for (at, source, item), (reason, segment, flags) in self._shown.items()
        }
        self._clicks = {(at, place[source], item) for at, source, item in self._clicks}

    def _named(self) -> set[int]:
        named = {key[1] for key in (*self._shown, *self._clicks)}
        return named.union(one[0] for one in self._shown.values())
