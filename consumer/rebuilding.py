"""Rows made anew from the log under a second prefix: compared with the live ones, and put in their place. Offline.

What events say is taken from the new rows, what was decided (segments, moves, audiences) from the live ones, so nobody
moves because rows were rebuilt. Views are not touched: readers notice nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from consumer.bonds import unsaid
from consumer.image import Image
from consumer.layout import HEADER, UNFINISHED
from consumer.redis_images import RedisImages
from consumer.state import Kept, State
from contracts.errors import LivesegmentsError

NOTE: Final = "rebuild"
_CLOSING: Final = b"closing"
_SWITCHING: Final = b"switching"
EXACT: Final = (
    *("first_at", "last_at", "newest_at", "seen_at", "erase_floor", "closed_floor", "spend", "refunds", "units"),
    *("day_map", "orders", "returns", "purchase_days"),
)
DECAYED: Final = ("orders_decayed", "net_decayed", "recent_net")
_DECIDED: Final = ("since", "segment", "previous", "model_version", "cause", "audiences", "outlying", "moves")
_RAGGED: Final = ("heads", "lines", "ids", "attributes", "moves", "exposures")
_EXAMPLES: Final = 3
_CLOSE: Final = 1e-9


class RebuildError(LivesegmentsError):
    """The rebuilt rows are not there, not as far as the live ones, or not to be taken."""


@dataclass(slots=True)
class Comparison:
    """How rebuilt rows differ from the live ones."""

    customers: int = 0
    """With a row in both."""
    missing: int = 0
    """Customers without a rebuilt row."""
    extra: int = 0
    """Customers without a live row."""
    different: Counter[str] = field(default_factory=Counter)
    """Customers by column that differs; a decayed one by more than rounding."""
    examples: dict[str, list[tuple[str, Any, Any]]] = field(default_factory=dict)
    """By column, some customers with the live value and the rebuilt one."""
    behind: list[int] = field(default_factory=list)
    """Partitions in which the two have not come equally far: they were not compared."""

    @property
    def exact(self) -> bool:
        """Whether all that is the same in any order of arrival is the same."""
        return not (self.missing or self.extra or self.behind or set(self.different) & set(EXACT))

    def add(self, live: Image, new: Image) -> None:
        """Compare a partition."""
        places = {who: place for place, who in enumerate(new.customer_ids)}
        both = [(place, places[who]) for place, who in enumerate(live.customer_ids) if who in places]
        self.customers += len(both)
        self.missing += len(live.customer_ids) - len(both)
        self.extra += len(new.customer_ids) - len(both)
        if not both:
            return
        old, made = _headers([live.rows[a] for a, _ in both]), _headers([new.rows[b] for _, b in both])
        for name in (*EXACT, *DECAYED):
            differs = old[name] != made[name]
            if name in DECAYED:
                differs &= ~np.isclose(old[name], made[name], rtol=_CLOSE, atol=_CLOSE)
            found = np.flatnonzero(differs)
            if len(found):
                self.different[name] += len(found)
                told = self.examples.setdefault(name, [])
                for one in found[: _EXAMPLES - len(told)].tolist():
                    told.append((live.customer_ids[both[one][0]], old[name][one].item(), made[name][one].item()))


def compare(live: RedisImages, new: RedisImages, partitions: int) -> Comparison:
    """Compare all partitions; where workers go on, some may be further here than there. Raises StateError."""
    comparison = Comparison()
    for number in range(partitions):
        old, made = live.read(number), new.read(number)
        if old is None and made is None:
            continue
        if old is None or made is None or old.meta.position != made.meta.position:
            comparison.behind.append(number)
        else:
            comparison.add(old, made)
    return comparison


def interrupted(state: State) -> bool:
    """Whether a switch-over to these rebuilt rows was begun and not ended."""
    return NOTE in state.notes()


def switch(live_state: State, live: RedisImages, new_state: State, new: RedisImages, partitions: int) -> int:
    """Put the rebuilt rows in place of the live ones; returns how many. Nobody may work meanwhile.

    Killed anywhere, it goes on when it is run again. Raises StateError, and RebuildError where they have not come
    equally far.
    """
    if new_state.notes().get(NOTE) != _SWITCHING:
        new_state.put_note(NOTE, _CLOSING)
        for number in range(partitions):
            live.close_partition(number)
            new.close_partition(number)
        _check_positions(live_state, live, new_state, new, partitions)
        for number in range(partitions):
            _take_over_decisions(live.read_closed(number), new, number)
        # From here on the rebuilt rows have all there is, and the live ones may go.
        new_state.put_note(NOTE, _SWITCHING)
    customers = 0
    for number in range(partitions):
        meta = live_state.meta(number)
        if meta is None or meta.layout != UNFINISHED:
            continue
        image = new.read_closed(number)
        if image is None:
            live.finish(number, None)
            continue
        live.clear_rows(number)
        live.put_kept(
            number, Kept(image.kept.items, image.kept.markers, {}, frozenset(), {}, bonds=unsaid(image.kept.bonds))
        )
        for rows in image.slices():
            live.put_rows(number, rows)
        live.finish(number, replace(meta, seq=meta.seq + 1, purchases=image.meta.purchases, views_seq=0))
        customers += len(image.rows)
    new.forget(partitions)
    return customers


def _check_positions(live_state: State, live: RedisImages, new_state: State, new: RedisImages, partitions: int) -> None:
    """Raise RebuildError, with everything opened again, where somebody has worked since rows were compared."""
    metas = [(live_state.meta(number), new_state.meta(number)) for number in range(partitions)]
    if all((old and old.position) == (made and made.position) for old, made in metas):
        return
    for number, (old, made) in enumerate(metas):
        live.finish(number, old if old is not None and old.seq else None)
        new.finish(number, made if made is not None and made.seq else None)
    new_state.put_note(NOTE, None)
    raise RebuildError("live and rebuilt rows have not come equally far: stop all workers, `rebuild run`, try again")


def _take_over_decisions(live: Image | None, new: RedisImages, number: int) -> None:
    image = new.read_closed(number)
    if live is None or image is None:
        return
    known = dict(zip(live.customer_ids, live.rows, strict=True))
    for ids, rows in image.slices():
        new.put_rows(number, (ids, [spliced(row, known.get(who)) for who, row in zip(ids, rows, strict=True)]))


def spliced(new: bytes, live: bytes | None) -> bytes:
    """A rebuilt row with what was decided about the customer, who may be new."""
    header = _headers([new]).copy()
    parts = _parts(new, header)
    if live is not None:
        old = _headers([live])
        parts["moves"] = _parts(live, old)["moves"]
        for name in _DECIDED:
            header[name] = old[name]
    header["changed_seq"] = 1
    return header.tobytes() + b"".join(parts[name] for name in _RAGGED)


def _headers(rows: Sequence[bytes]) -> npt.NDArray[Any]:
    return np.frombuffer(b"".join([row[: HEADER.itemsize] for row in rows]), HEADER)


def _parts(row: bytes, header: npt.NDArray[Any]) -> dict[str, bytes]:
    ends = HEADER.itemsize + np.cumsum([int(header[name][0]) for name in _RAGGED])
    starts = [HEADER.itemsize, *ends[:-1].tolist()]
    cuts: Mapping[str, tuple[int, int]] = dict(zip(_RAGGED, zip(starts, ends.tolist(), strict=True), strict=True))
    return {name: row[start:end] for name, (start, end) in cuts.items()}
