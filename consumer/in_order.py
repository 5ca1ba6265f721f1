"""The plain case of applying events, for all rows of a batch at once: purchases, returns and profiles in order.

Mostly a customer's events are newer than everything known of them, none repeats another, and nothing is near a limit.
Then no event has a say in whether the next one counts, and what they come to is sums over columns. `in_order` finds
those customers; everybody else's events are decided one by one (`consumer.applying`). Both give the same rows, bit for
bit (`tests/unit/test_in_order.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from consumer import ragged
from consumer.adding_up import DECIDED, Ended, Orders
from consumer.applied import Applied, Before
from consumer.bodies import HEADS, IDS, LINES
from consumer.event_columns import Events, Kind
from consumer.layout import HEAD, ID, LINE, Limits
from consumer.row_store import ItemTable, Rows, RowStore
from contracts.money import MAX_TOTAL_MILLIONTHS
from contracts.times import DAY

Integers = npt.NDArray[np.int64]

_HEAD_SIZE: Final = HEAD.itemsize
_ID_SIZE: Final = ID.itemsize
_LINE_SIZE: Final = LINE.itemsize
_SAFE_TOTAL: Final = 0.99 * MAX_TOTAL_MILLIONTHS
"""What a sum of floats can vouch for with room to spare."""
_MAP_DAYS: Final = 64
_NO_DAY: Final = np.iinfo(np.int64).min
_PURCHASE: Final = int(Kind.PURCHASE)
_RETURN: Final = int(Kind.RETURN)
_PROFILE: Final = int(Kind.PROFILE)


@dataclass(frozen=True, slots=True)
class Packed:
    """The purchases and returns of a batch in the form in which rows keep them, one entry an event.

    `lines_from[i]:lines_from[i + 1]` are the lines of event i.
    """

    heads: npt.NDArray[np.void]
    ids: npt.NDArray[np.void]
    lines: npt.NDArray[np.void]
    lines_from: Integers
    kinds: Integers
    units: Integers
    amounts: Integers
    """Millionths."""


def pack(events: Events, items: ItemTable) -> Packed:
    """Pack the events of a batch; items that are new get numbers."""
    ats = np.array(events.ats, dtype=np.int64)
    kinds = np.array(events.kinds, dtype=np.int64)
    starts = np.array(events.lines_from, dtype=np.int64)
    counts = np.diff(starts)
    heads = np.empty(len(events), HEAD)
    heads["at"], heads["event"], heads["lines"] = ats, events.event_hashes, counts
    ids = np.empty(len(events), ID)
    ids["at"], ids["event"] = ats, events.event_hashes
    lines = np.empty(len(events.items), LINE)
    lines["item"] = items.numbers(events.items)
    lines["quantity"] = np.where(np.repeat(kinds, counts) == _RETURN, -events.quantities, events.quantities)
    running = np.concatenate((np.zeros(1, np.int64), np.cumsum(events.quantities, dtype=np.int64)))
    return Packed(heads, ids, lines, starts, kinds, running[starts[1:]] - running[starts[:-1]], events.amounts)


@dataclass(frozen=True, slots=True)
class Groups:
    """Events sorted by row, those of a row in the order of the log."""

    rows: Rows
    """(groups,): each row once."""
    first: Integers
    """(groups,): place of each row's first event in `events`."""
    counts: Integers
    """(groups,): how many events each row has, at least one."""
    events: Integers
    """(events,): places in the batch."""

    @property
    def of_event(self) -> Integers:
        """(events,): which group each is of."""
        return np.repeat(np.arange(len(self.rows)), self.counts)

    def only(self, kept: npt.NDArray[np.bool_]) -> "Groups":
        """Some of the groups."""
        counts = self.counts[kept]
        return Groups(self.rows[kept], np.cumsum(counts) - counts, counts, self.events[np.repeat(kept, self.counts)])

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Groups":
        """Some of the events, and the groups that have any of them. `chosen` has shape (events,)."""
        counts = np.add.reduceat(chosen.astype(np.int64), self.first)
        some = counts > 0
        counts = counts[some]
        return Groups(self.rows[some], np.cumsum(counts) - counts, counts, self.events[chosen])


def grouped(rows: Rows) -> Groups:
    """Group the events of a batch by the row that each is of; those with a negative one are left out."""
    order = np.argsort(rows, kind="stable")
    order = order[int(np.searchsorted(rows[order], 0)) :]
    in_turn = rows[order]
    is_first = np.ones(len(in_turn), np.bool_)
    is_first[1:] = in_turn[1:] != in_turn[:-1]
    first = np.flatnonzero(is_first)
    return Groups(in_turn[first], first, np.diff(np.append(first, len(in_turn))), order)


def again(groups: Groups, packed: Packed) -> npt.NDArray[np.bool_]:
    """(events,): purchases and returns that were published again: an earlier one of the row has their id and time."""
    hashes, ats = packed.ids["event"][groups.events], packed.ids["at"][groups.events]
    found = np.zeros(len(hashes), np.bool_)
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
    if len(same):
        first, second, group = order[same], order[same + 1], groups.of_event
        orders = packed.kinds[groups.events] <= _RETURN
        found[second] = (group[first] == group[second]) & (ats[first] == ats[second]) & orders[first] & orders[second]
    return found


def late_again(groups: Groups, packed: Packed, repeats: npt.NDArray[np.bool_], limits: Limits) -> npt.NDArray[np.bool_]:
    """(repeats,): which of the events that come `again` came too late for that to matter, all else being in order."""
    ats = packed.ids["at"][groups.events]
    counting = (packed.kinds[groups.events] <= _RETURN) & ~repeats
    newest = np.maximum.accumulate(np.where(counting, np.arange(len(ats)), 0))
    return (ats < ats[newest] - limits.lateness)[repeats]


def in_order(
    store: RowStore, groups: Groups, packed: Packed, limits: Limits
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """(groups,): whether all events of a row plainly count; and whether that hangs on a profile saying anything new.

    They are purchases, returns and profiles. Purchases and returns must be newer than whatever the row knows and than
    the one before, newer than floors, repeat none, and leave the row below all limits. Profiles must not be older than
    what came before; one that is as old counts where it says something new. True is given only where all is sure.
    """
    if not len(groups.rows):
        return np.zeros(0, np.bool_), np.zeros(0, np.bool_)
    header = store.header[groups.rows]
    group, ats = groups.of_event, packed.ids["at"][groups.events]
    floor = np.maximum(np.maximum(header["newest_at"], header["erase_floor"]), header["closed_floor"])
    is_order = packed.kinds[groups.events] <= _RETURN
    places = np.arange(len(ats))
    last_order = np.full(len(ats), -1)
    last_order[1:] = np.maximum.accumulate(np.where(is_order, places, -1))[:-1]
    first = np.repeat(groups.first, groups.counts)
    before = np.where(last_order >= first, ats[last_order], floor[group])
    plain = ~is_order | (ats > before)
    unsure = np.zeros(len(groups.rows), np.bool_)
    if not is_order.all():
        profiles = np.bincount(group[~is_order], minlength=len(groups.rows))
        previous = np.empty_like(ats)
        previous[1:] = ats[:-1]
        previous[groups.first] = np.maximum(header["seen_at"], header["erase_floor"])
        plain &= (profiles[group] == 0) | (ats >= previous)
        unsure[group[~is_order & (ats == previous)]] = True
        plain &= ~(unsure & (profiles > 1))[group]
        plain &= is_order | (ats > header["erase_floor"][group])
    hashes = packed.ids["event"][groups.events]
    ordered = np.sort(hashes)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        plain &= ~np.isin(hashes, twice)
    found = np.logical_and.reduceat(plain, groups.first)
    net = np.abs(packed.amounts[groups.events]).astype(np.float64)
    most = np.maximum(header["spend"], header["refunds"]) + np.bincount(group, net, len(groups.rows))
    known = store.known.of(groups.rows.tolist())
    sizes = np.fromiter(map(len, known), np.int64, len(known))
    found &= (most < _SAFE_TOTAL) & (sizes + groups.counts * _ID_SIZE <= limits.ids * _ID_SIZE)
    # An id may be known with another time: it is looked for among all that the row knows.
    texts = packed.ids["event"][groups.events].tobytes()
    counts = groups.counts.tolist()
    place = 0
    for number, (ids, count) in enumerate(zip(known, counts, strict=True)):
        end = place + 8 * count
        if ids:
            for start in range(place, end, 8):
                if texts[start : start + 8] in ids:
                    found[number] = False
                    break
        place = end
    return found, unsure


def take_in_order(store: RowStore, groups: Groups, packed: Packed, limits: Limits, applied: Applied) -> list[Ended]:
    """Apply events that all count: ids and lines at once, and what `consumer.adding_up` writes of the rest.

    Of rows with purchases or returns, and of those without any. What profiles say is not applied.
    """
    last = groups.events[groups.first + groups.counts - 1]
    kinds = packed.kinds[groups.events]
    applied.causes.update(zip(groups.rows.tolist(), packed.kinds[last].tolist(), strict=True))
    seen = np.maximum(store.header["seen_at"][groups.rows], packed.ids["at"][last])
    is_order = kinds <= _RETURN
    ordered = np.logical_or.reduceat(is_order, groups.first)
    rest = store.header[groups.rows[~ordered]]
    columns = tuple(seen[~ordered] if name == "seen_at" else rest[name] for name in DECIDED)
    none = np.zeros(0, np.int64)
    others = Ended(groups.rows[~ordered], columns, Orders(none, none, none > 0, none, none))
    if not ordered.any():
        return [others]
    orders = groups.where(is_order)
    decided, counted = _take_orders(store, orders, packed, limits, applied)
    return [Ended(orders.rows, (decided[0], seen[ordered], *decided[1:]), counted), others]


def _take_orders(
    store: RowStore, groups: Groups, packed: Packed, limits: Limits, applied: Applied
) -> tuple[tuple[npt.NDArray[Any], ...], Orders]:
    """The same of purchases and returns alone: the columns of `DECIDED` but for `seen_at`."""
    header = store.header[groups.rows]
    ats, amounts = packed.ids["at"][groups.events], packed.amounts[groups.events]
    bought = packed.kinds[groups.events] == _PURCHASE
    newest = ats[groups.first + groups.counts - 1]
    applied.before.update(_keep(store, groups, packed, limits, newest.tolist()))
    decided = (
        newest,
        header["spend"] + np.add.reduceat(np.where(bought, amounts, 0), groups.first),
        header["refunds"] + np.add.reduceat(np.where(bought, 0, amounts), groups.first),
        *_days(header, groups, ats // DAY, bought),
        header["erase_floor"],
        header["closed_floor"],
    )
    return decided, Orders(groups.of_event, ats, bought, packed.units[groups.events], amounts)


def _days(
    header: npt.NDArray[np.void], groups: Groups, days: Integers, bought: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint64], Integers]:
    """The maps of days, counted back from the newest event's, and how many days each row bought on."""
    old, old_day = header["day_map"], header["newest_at"] // DAY
    last = days[groups.first + groups.counts - 1]
    passed = np.where(old > 0, last - old_day, _MAP_DAYS)
    found = np.where(passed < _MAP_DAYS, old << np.minimum(passed, _MAP_DAYS - 1).astype(np.uint64), np.uint64(0))
    back = np.repeat(last, groups.counts) - days
    bits = np.uint64(1) << np.minimum(back, _MAP_DAYS - 1).astype(np.uint64)
    bits[~bought | (back >= _MAP_DAYS)] = 0
    found |= np.bitwise_or.reduceat(bits, groups.first)
    # In order, a day is new unless the purchase before was on it: in this batch, or as the map's first bit says.
    of, on = groups.of_event[bought], days[bought]
    is_first = np.concatenate(([True], of[1:] != of[:-1])) if len(of) else np.zeros(0, np.bool_)
    known = np.where((old & np.uint64(1)) > 0, old_day, _NO_DAY)[of]
    new = np.where(is_first, on != known, on != np.concatenate((on[:1], on[:-1])))
    return found, header["purchase_days"] + np.bincount(of[new], minlength=len(groups.rows))


def _keep(store: RowStore, groups: Groups, packed: Packed, limits: Limits, newest: Sequence[int]) -> dict[int, Before]:
    """Append to the kept lines and ids of the rows. Returns what they were, by row."""
    heads = packed.heads[groups.events].tobytes()
    ids = packed.ids[groups.events].tobytes()
    starts, line_counts = packed.lines_from[groups.events], np.diff(packed.lines_from)[groups.events]
    line_ends = np.cumsum(line_counts)
    chosen = np.repeat(starts - (line_ends - line_counts), line_counts) + np.arange(int(line_counts.sum()))
    lines = packed.lines[chosen].tobytes()
    bodies = store.bodies.opened(groups.rows.tolist())
    before = {}
    most_lines, lateness = limits.lines * _LINE_SIZE, limits.lateness
    line_from = 0
    event_ends = groups.first + groups.counts
    bounds = (groups.rows, groups.first, event_ends, line_ends[event_ends - 1] * _LINE_SIZE)
    each = zip(*(one.tolist() for one in bounds), strict=True)
    for body, (row, first, end, line_to), at in zip(bodies, each, newest, strict=True):
        known = body[IDS] + ids[first * _ID_SIZE : end * _ID_SIZE]
        body[IDS] = ragged.drop_ids_before(known, at - lateness)
        old_heads, old_lines = body[HEADS], body[LINES]
        before[row] = Before(old_heads, old_lines, (line_to - line_from) // _LINE_SIZE)
        new_heads = old_heads + heads[first * _HEAD_SIZE : end * _HEAD_SIZE]
        new_lines = old_lines + lines[line_from:line_to]
        if len(new_lines) > most_lines:
            new_heads, new_lines = ragged.newest_lines(new_heads, new_lines, limits.lines)
        body[HEADS], body[LINES] = new_heads, new_lines
        line_from = line_to
    return before
