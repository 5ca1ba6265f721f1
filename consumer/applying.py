"""Events to rows: which events count (lateness, repeats, floors), and what each does to its customer's row.

Whether an event counts is decided in the order of the log: for customers with nothing to decide at once
(`consumer.in_order`), for all others one by one. What the ones that count add up to is then computed for all of them
(`consumer.adding_up`). None of it depends on how the log was cut into batches.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from consumer import ragged
from consumer.adding_up import DECIDED, Ended, Orders, add_up
from consumer.applied import Applied, Before, Ignored, Sold, Told
from consumer.bonds import Bond, Edge, Handed, Part, PlainRow, Since, digest_of
from consumer.dead_letters import Reason, Refused
from consumer.event_columns import Events, Kind
from consumer.exposures import Buy, Exposures, add_to, kind_of_reason
from consumer.hand_over import erasure_of, hand_over
from consumer.in_order import Groups, again, grouped, in_order, late_again, pack, take_in_order
from consumer.layout import HEAD, ID, LINE, MISSING_TIME, Limits, Marker, empty_header
from consumer.merging import check, merged, plain_row, put_row
from consumer.row_store import PartitionRows, RowStore
from contracts.documents import NO_SEGMENT
from contracts.money import MAX_TOTAL_MILLIONTHS
from contracts.partitioning import partition_of
from contracts.times import DAY

# Plain integers: an enum's members are looked up and compared slowly, a dozen times an event.
_PURCHASE: Final = int(Kind.PURCHASE)
_RETURN: Final = int(Kind.RETURN)
_PROFILE: Final = int(Kind.PROFILE)
_ERASE: Final = int(Kind.ERASE)
_INTERACTION: Final = int(Kind.INTERACTION)
_ALIAS: Final = int(Kind.ALIAS)
_HAND_OVER: Final = int(Kind.HAND_OVER)
_OF_IDS: Final = frozenset({_ERASE, _ALIAS, _HAND_OVER})
_CHANGING: Final = frozenset({_PURCHASE, _RETURN, _PROFILE, _INTERACTION, _ALIAS})
"""Types of events that change rows."""
_HEAD_SIZE: Final = HEAD.itemsize
_ID_SIZE: Final = ID.itemsize
_LINE_SIZE: Final = LINE.itemsize
_MAP_BITS: Final = 2**64 - 1
_MANY: Final = 48
"""So many events of a batch are worth looking at together."""
_FRESH: Final = tuple(int(empty_header()[name][0]) for name in DECIDED)


class _Open:
    """A row while events of this step are applied to it."""

    __slots__ = (
        "accepted",
        "appended",
        "cause",
        "closed_floor",
        "day_map",
        "days",
        "erase_floor",
        "exposures",
        "known",
        "newest",
        "refunds",
        "row",
        "seen",
        "spend",
    )

    def __init__(self, row: int, known: bytes, values: Sequence[int], exposures: Exposures | None = None) -> None:
        self.row = row
        self.known = known
        self.exposures = exposures
        """None: nothing was shown to the customer lately."""
        (
            self.newest,
            self.seen,
            self.spend,
            self.refunds,
            self.day_map,
            self.days,
            self.erase_floor,
            self.closed_floor,
        ) = values
        self.accepted: list[int] = []
        """Purchases and returns of this step that count, by place among the events."""
        self.appended: list[int] = []
        """Those of them whose lines are still to be appended to the kept ones."""
        self.cause = 0
        """The type of the event that changed the row last."""

    def move_newest(self, at: int) -> None:
        """Raise the newest time; the map of days is counted back from it."""
        if self.day_map:
            shift = at // DAY - self.newest // DAY
            self.day_map = (self.day_map << shift) & _MAP_BITS if shift < 64 else 0
        self.newest = at

    def mark_day(self, at: int) -> None:
        """Count the day of a purchase once. Allowed lateness is at most 62 days, so it lies in the map."""
        bit = 1 << (self.newest // DAY - at // DAY)
        if not self.day_map & bit:
            self.day_map |= bit
            self.days += 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one partition's events, besides what they did to rows. Places are those in the batch."""

    foreign: list[tuple[int, str]]
    """Events that belong to another partition, with their customers' ids."""
    refused: list[Refused]


class Applier:
    """Applies decoded events to a RowStore, partition by partition; `settle` ends the step."""

    def __init__(self, store: RowStore, limits: Limits, partitions: int, deployment: str = "") -> None:
        self.store = store
        self.limits = limits
        self.partitions = partitions
        self.deployment = deployment
        """By which hand-overs of ours are known."""
        self.applied = Applied()
        self._steps: list[_PartitionStep] = []

    def apply(self, events: Events, rerouted: Collection[int] = ()) -> Outcome:
        """Apply one partition's events in the order of the log.

        `rerouted` holds the places of events that a worker has already published again because of their partition.
        """
        assert all(events.partition != step.events.partition for step in self._steps), "one batch a partition and step"
        one = _PartitionStep(self, events, rerouted)
        one.run()
        self._steps.append(one)
        return one.outcome

    def settle(self) -> Applied:
        """Add up what the events since the last `settle` come to, and write it into the rows."""
        applied, steps = self.applied, self._steps
        self.applied, self._steps = Applied(), []
        applied.sold = add_up(self.store, [*(one for step in steps for one in step.ended), _decided(steps)])
        for step in steps:
            step.join_up()
        return applied


def handed_over_again(held: PartitionRows, since: Since, deployment: str) -> list[Told]:
    """What joined ids of a partition have to hand over as it stands, because its rows came from elsewhere."""
    told = []
    for joined_id, bond in held.bonds.items():
        if bond.said or bond.edge is None or not bond.edge.to:
            continue
        parts = bond.hand_over(joined_id, bond.parts(joined_id))
        to, at = bond.edge.to, bond.edge.at
        value = hand_over(to, joined_id, parts, since=since, cause=_ALIAS, at=at, deployment=deployment)
        told.append(Told(to, value))
        bond.told, bond.said = to, digest_of(parts)
        held.changed_bonds.add(joined_id)
    return told


@dataclass(slots=True)
class _Touch:
    """What changed an id that belongs together with others, in this step."""

    cause: int
    """Type of event."""
    at: int
    since: Since
    left: set[str] = field(default_factory=set)
    """Whom the id was joined to in between."""
    times: int = 0
    """How many events did."""


class _PartitionStep:
    """The events of one partition in one step."""

    def __init__(self, applier: Applier, events: Events, rerouted: Collection[int]) -> None:
        self.store = applier.store
        self.limits = applier.limits
        self.partitions = applier.partitions
        self.deployment = applier.deployment
        self.applied = applier.applied
        self.events = events
        self.rerouted = rerouted
        self.partition = self.store.partitions[events.partition]
        self.opened: dict[str, _Open] = {}
        self.touched: dict[str, _Touch] = {}
        self.newest = MISSING_TIME
        self.outcome = Outcome([], [])
        self.ended: list[Ended] = []
        self.packed = pack(events, self.partition.items)
        self.heads = self.ids = self.lines = b""
        """Of `packed`, once anything is decided one by one."""
        self.units: list[int] = []
        self.amounts: list[int] = []
        self.items: list[int] = self.packed.lines["item"].tolist()

    def run(self) -> None:
        """Apply what is plain at once, then all else one by one."""
        places: Sequence[int] = range(len(self.events))
        if len(places) >= _MANY:
            places = self._take_in_order()
        if places:
            self._decide(places)

    def _take_in_order(self) -> list[int]:
        """Apply the events of customers of whom there is nothing to decide. Returns the places of the others'."""
        packed, store = self.packed, self.store
        rows = np.array(self._rows_of_plain(), np.int64)
        everything = grouped(rows)
        repeats = again(everything, packed)
        groups = everything.where(~repeats)
        plain, unsure = in_order(store, groups, packed, self.limits)
        for number in np.flatnonzero(plain & unsure).tolist():
            plain[number] = self._says_something_new(groups, number)
        left = np.ones(len(rows), np.bool_)
        if plain.any():
            if repeats.any():
                of_plain = np.repeat(plain, everything.counts)
                left[self._ignore_repeats(everything.only(plain), repeats[of_plain])] = False
            groups = groups.only(plain)
            left[groups.events] = False
            seen, ats = store.header["seen_at"][groups.rows], packed.ids["at"][groups.events]
            newest = ats[groups.first + groups.counts - 1]
            self.newest = max(self.newest, int(newest[newest > seen].max(initial=MISSING_TIME)))
            self._buy(groups)
            self._set_attributes(groups)
            self.ended += take_in_order(store, groups, packed, self.limits, self.applied)
            kinds, counts = np.unique(packed.kinds[groups.events], return_counts=True)
            self._close(Counter(dict(zip(kinds.tolist(), counts.tolist(), strict=True))))
        return np.flatnonzero(left).tolist()

    def _ignore_repeats(self, groups: Groups, repeats: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Count what came again, (events,), of customers of whom all else is plain. Returns the places."""
        late = int(np.count_nonzero(late_again(groups, self.packed, repeats, self.limits)))
        counts = {Ignored.LATE: late, Ignored.REPEATED: int(np.count_nonzero(repeats)) - late}
        self.applied.ignored.update({reason: count for reason, count in counts.items() if count})
        return groups.events[repeats]

    def _says_something_new(self, groups: Groups, number: int) -> bool:
        """Whether the one profile among a row's events does."""
        first, events = int(groups.first[number]), self.events
        of_row = groups.events[first : first + int(groups.counts[number])].tolist()
        (i,) = (i for i in of_row if events.kinds[i] == _PROFILE)
        stored = self.store.attributes[int(groups.rows[number])]
        said = events.attributes[i], events.ats[i], int(events.event_hashes[i])
        return ragged.set_attributes(stored, *said) is not stored

    def _rows_of_plain(self) -> list[int]:
        """The row of each event; -1 where there is more to a customer's events than purchases, returns and profiles."""
        events, partition = self.events, self.partition
        index, bonds, markers = partition.index, partition.bonds, partition.markers
        others = {events.customer_ids[i] for i in np.flatnonzero(self.packed.kinds > _PROFILE).tolist()}
        rows = [index.get(customer_id, -1) for customer_id in events.customer_ids]
        if -1 in rows:
            for i, row in enumerate(rows):
                if row < 0 and (customer_id := events.customer_ids[i]) not in others:
                    known = index.get(customer_id, -1)
                    if (
                        known < 0
                        and customer_id not in bonds
                        and not (markers and marker_key(customer_id) in markers)
                        and partition_of(customer_id, self.partitions) == partition.number
                    ):
                        known = self.store.add(partition, customer_id)
                    rows[i] = known
        if bonds or others:
            return [
                -1 if customer_id in bonds or customer_id in others else row
                for customer_id, row in zip(events.customer_ids, rows, strict=True)
            ]
        return rows

    def _buy(self, groups: Groups) -> None:
        """Purchases that follow from what customers were shown."""
        store, events, lines_from = self.store, self.events, self.events.lines_from
        shown = store.exposures
        for row, first, count in zip(groups.rows.tolist(), groups.first.tolist(), groups.counts.tolist(), strict=True):
            if shown[row]:
                exposures, seen = Exposures(shown[row], self.limits), int(store.header["seen_at"][row])
                for i in groups.events[first : first + count].tolist():
                    if events.kinds[i] == _PURCHASE:
                        items = self.items[lines_from[i] : lines_from[i + 1]]
                        exposures.buy(events.ats[i], items, seen=seen)
                    seen = max(seen, events.ats[i])
                self._close_exposures(row, seen, exposures)

    def _set_attributes(self, groups: Groups) -> None:
        """What profiles say."""
        events, attributes, hashes = self.events, self.store.attributes, self.events.event_hashes
        chosen = self.packed.kinds[groups.events] == _PROFILE
        rows = groups.rows[groups.of_event[chosen]]
        for row, i in zip(rows.tolist(), groups.events[chosen].tolist(), strict=True):
            attributes[row] = ragged.set_attributes(
                attributes[row], events.attributes[i], events.ats[i], int(hashes[i])
            )

    def _decide(self, places: Sequence[int]) -> None:
        """Take events in order."""
        events, opened, bonds = self.events, self.opened, self.partition.bonds
        packed = self.packed
        self.heads, self.ids, self.lines = packed.heads.tobytes(), packed.ids.tobytes(), packed.lines.tobytes()
        self.units, self.amounts = packed.units.tolist(), packed.amounts.tolist()
        self._open_known(places)
        accepted = dict.fromkeys(map(int, Kind), 0)
        for i in places:
            customer_id, kind, at = events.customer_ids[i], events.kinds[i], events.ats[i]
            row = opened.get(customer_id)
            if row is None and not self._is_ours(i, customer_id):
                continue
            if kind in _OF_IDS:
                accepted[kind] += self._of_id(i, kind, customer_id, at, row)
                continue
            if row is None:
                row = self._new(customer_id, at)
                if row is None:
                    continue
            if not self._change(i, kind, at, row):
                continue
            accepted[kind] += 1
            if at > row.seen:
                row.seen = at
                self.newest = max(self.newest, at)
            if kind != _INTERACTION or not row.cause:
                row.cause = kind
            if customer_id in bonds:
                self._touch(i, customer_id, kind, at, own=True)
        self._close_rows()
        self._close(accepted)

    def _close_rows(self) -> None:
        """Bring the rows' kept lines up to date, and note what changed them."""
        applied, known = self.applied, self.store.known
        for row in self.opened.values():
            if row.accepted:
                known[row.row] = row.known
                if row.appended:
                    self._append_lines(row)
            if row.cause:
                applied.causes[row.row] = row.cause
                if row.exposures is not None:
                    self._close_exposures(row.row, row.seen, row.exposures)

    def _close(self, accepted: Mapping[int, int]) -> None:
        """Note what was done."""
        applied = self.applied
        if self.newest != MISSING_TIME:
            applied.newest[self.partition.number] = self.newest
        applied.accepted.update({kind: number for kind, number in accepted.items() if number})
        applied.purchases[self.partition.number] += accepted[_PURCHASE]

    def _open_known(self, places: Sequence[int]) -> None:
        """Open the rows of all customers of these events that have one: much faster at once than one by one."""
        index: Mapping[str, int] = self.partition.index
        ids = self.store.known
        those = dict.fromkeys(map(self.events.customer_ids.__getitem__, places))
        if self.partition.bonds:
            index = self._with_own_rows(index, those)
        known = [customer_id for customer_id in those if customer_id in index]
        numbers = [index[customer_id] for customer_id in known]
        header = self.store.header[np.array(numbers, np.int64)]
        columns = [header[name].tolist() for name in DECIDED]
        shown = self.store.exposures
        for customer_id, number, *values in zip(known, numbers, *columns, strict=True):
            exposures = Exposures(shown[number], self.limits) if shown[number] else None
            self.opened[customer_id] = _Open(number, ids[number], values, exposures)

    def _is_ours(self, i: int, customer_id: str) -> bool:
        """Whether a customer without a row belongs here; what does not is set aside."""
        if partition_of(customer_id, self.partitions) == self.partition.number:
            return True
        place = self.events.places[i]
        if place in self.rerouted:
            message = (
                "was published again into its right partition once, and is in a wrong one: do partition counts agree?"
            )
            self.outcome.refused.append(Refused(place, Reason.PARTITION, message))
        else:
            self.outcome.foreign.append((place, customer_id))
        return False

    def _new(self, customer_id: str, at: int) -> _Open | None:
        """A new row, unless the customer was erased and the event is not newer than that."""
        markers = self.partition.markers
        marker = markers.get(marker_key(customer_id)) if markers else None
        if marker is not None and at <= marker.floor:
            self._ignore(Ignored.ERASED)
            return None
        add = self._borrow if customer_id in self.partition.bonds else self.store.add
        row = self.opened[customer_id] = _Open(add(self.partition, customer_id), b"", _FRESH)
        if marker is not None:
            row.erase_floor = marker.floor
        return row

    def _ignore(self, reason: Ignored) -> bool:
        self.applied.ignored[reason] += 1
        return False

    def _order(self, i: int, kind: int, at: int, row: _Open) -> bool:
        """Apply a purchase or return to the ragged parts; its numbers follow in `settle`."""
        limits = self.limits
        if at <= row.closed_floor:
            return self._ignore(Ignored.CLOSED)
        if at < row.newest - limits.lateness:
            return self._ignore(Ignored.LATE)
        known = row.known
        event_id = self.ids[i * _ID_SIZE : (i + 1) * _ID_SIZE]
        if known and ragged.knows(known, event_id[8:]):
            return self._ignore(Ignored.REPEATED)
        if not self._add_amount(i, kind, row):
            return False
        if at > row.newest:
            row.move_newest(at)
            known = ragged.drop_ids_before(known, at - limits.lateness) + event_id
            row.appended.append(i)
        else:
            known = ragged.add_id(known, event_id)
            self._insert_lines(i, row)
        if kind == _PURCHASE:
            row.mark_day(at)
            if row.exposures is not None:
                first, last = self.events.lines_from[i], self.events.lines_from[i + 1]
                row.exposures.buy(at, self.items[first:last], seen=row.seen)
        if len(known) > limits.ids * _ID_SIZE:
            known, floor = ragged.evict_ids(known, limits.ids)
            row.closed_floor = max(row.closed_floor, floor)
            self.applied.evicted += 1
        row.known = known
        row.accepted.append(i)
        return True

    def _append_lines(self, row: _Open) -> None:
        """Add the lines of the events that came in order to the kept ones."""
        places, number = row.appended, row.row
        heads, lines = self._kept(number)
        lines_from = self.events.lines_from
        heads += b"".join([self.heads[i * _HEAD_SIZE : (i + 1) * _HEAD_SIZE] for i in places])
        new = b"".join([self.lines[lines_from[i] * _LINE_SIZE : lines_from[i + 1] * _LINE_SIZE] for i in places])
        before = self.applied.before[number]
        if before.appended is not None:
            before.appended += len(new) // _LINE_SIZE
        places.clear()
        self._keep(number, heads, lines + new)

    def _insert_lines(self, i: int, row: _Open) -> None:
        """Put the lines of an event that came late between the kept ones."""
        if row.appended:
            self._append_lines(row)
        number, lines_from = row.row, self.events.lines_from
        heads, lines = self._kept(number)
        head = self.heads[i * _HEAD_SIZE : (i + 1) * _HEAD_SIZE]
        new = self.lines[lines_from[i] * _LINE_SIZE : lines_from[i + 1] * _LINE_SIZE]
        self.applied.before[number].appended = None
        self._keep(number, *ragged.insert_lines(heads, lines, head, new))

    def _kept(self, number: int) -> tuple[bytes, bytes]:
        """The kept lines of a row as they stand; what they were before this step is remembered."""
        heads, lines = self.store.heads[number], self.store.lines[number]
        if number not in self.applied.before:
            self.applied.before[number] = Before(heads, lines)
        return heads, lines

    def _keep(self, number: int, heads: bytes, lines: bytes) -> None:
        """Keep the newest of these lines."""
        if len(lines) > self.limits.lines * _LINE_SIZE:
            heads, lines = ragged.newest_lines(heads, lines, self.limits.lines)
        self.store.heads[number] = heads
        self.store.lines[number] = lines

    def _add_amount(self, i: int, kind: int, row: _Open) -> bool:
        """Add the event's value to the row's exact totals, unless they would no longer fit 64 bits."""
        bought = kind == _PURCHASE
        total = (row.spend if bought else row.refunds) + self.amounts[i]
        if total > MAX_TOTAL_MILLIONTHS:
            name = "spend" if bought else "refunds"
            message = f"with it the customer's {name} would pass 9e12; is the unit of the prices right?"
            self.outcome.refused.append(Refused(self.events.places[i], Reason.AMOUNT, message))
            return False
        if bought:
            row.spend = total
        else:
            row.refunds = total
        return True

    def _change(self, i: int, kind: int, at: int, row: _Open) -> bool:
        """Apply an event of any other type to its row."""
        if at <= row.erase_floor:
            return self._ignore(Ignored.ERASED)
        return self._order(i, kind, at, row) if kind <= _RETURN else self._other(i, kind, at, row)

    def _of_id(self, i: int, kind: int, customer_id: str, at: int, row: _Open | None) -> bool:
        """Apply what is said of the id itself."""
        if kind == _ERASE:
            return self._erase(i, customer_id, at, row)
        if kind == _HAND_OVER:
            return self._hand_over(i, customer_id, at)
        if not self._alias(i, customer_id, at, row):
            return False
        self.newest = max(self.newest, at)
        return True

    def _other(self, i: int, kind: int, at: int, row: _Open) -> bool:
        return self._profile(i, at, row) if kind == _PROFILE else self._interaction(i, at, row)

    def _interaction(self, i: int, at: int, row: _Open) -> bool:
        """Note what was shown or clicked."""
        if at < row.seen - self.limits.lateness:
            return self._ignore(Ignored.LATE)
        if row.exposures is None:
            row.exposures = Exposures(b"", self.limits)
        if row.exposures.closed(at):
            return self._ignore(Ignored.CLOSED)
        said = self.events.interactions[i]
        items = self.partition.items.numbers(said.items)
        if said.clicked:
            news, evicted = row.exposures.click(at, said.source, items, seen=row.seen)
        else:
            reasons = map(kind_of_reason, said.reasons or [""] * len(items))
            segment = int(self.store.header["segment"][row.row])
            news, evicted = row.exposures.show(
                at,
                said.source,
                zip(items, reasons, strict=True),
                segment=segment,
                bought=lambda: self._kept_purchases(row) if row.newest >= at else (),
                seen=row.seen,
            )
        self.applied.unattributed += evicted
        return news or self._ignore(Ignored.REPEATED)

    def _kept_purchases(self, row: _Open) -> list[Buy]:
        """When the kept lines of a row were bought, and which items."""
        if row.appended:
            self._append_lines(row)
        heads = np.frombuffer(self.store.heads[row.row], HEAD)
        lines = np.frombuffer(self.store.lines[row.row], LINE)
        bought = lines["quantity"] > 0
        ats = np.repeat(heads["at"], heads["lines"])[bought]
        return list(zip(ats.tolist(), lines["item"][bought].tolist(), strict=True))

    def _close_exposures(self, row: int, seen: int, exposures: Exposures) -> None:
        """Write what is kept of impressions into the row, and note how their numbers change."""
        self.store.exposures[row], changes = exposures.close(seen)
        if changes:
            add_to(self.applied.feedback.setdefault(self.partition.number, {}), changes)

    def _profile(self, i: int, at: int, row: _Open) -> bool:
        attributes = self.store.attributes
        stored = attributes[row.row]
        changed = ragged.set_attributes(stored, self.events.attributes[i], at, int(self.events.event_hashes[i]))
        if changed is stored and at <= row.seen:
            return self._ignore(Ignored.REPEATED)
        attributes[row.row] = changed
        return True

    def _erase(self, i: int, customer_id: str, at: int, row: _Open | None) -> bool:
        """Take the row out and leave a marker; a repeated or older erase changes nothing."""
        partition = self.partition
        key = marker_key(customer_id)
        event = int(self.events.event_hashes[i])
        old = partition.markers.get(key)
        if old is not None and (event == old.event or at <= old.at):
            return self._ignore(Ignored.REPEATED)
        bond = partition.bonds.get(customer_id)
        if not self._is_meant(i, at, bond):
            return self._ignore(Ignored.SEPARATE)
        seen = row.seen if row is not None else MISSING_TIME
        if bond is not None and bond.edge is not None:
            seen = max(seen, bond.edge.at)
        if i in self.events.unless_newer and max(seen, self._seen_of_all(customer_id)) > at:
            return self._ignore(Ignored.ACTIVE)
        floor = max(at, seen) if old is None else max(at, seen, old.floor)
        if row is not None:
            if row.cause and row.exposures is not None:
                self._close_exposures(row.row, row.seen, row.exposures)
            del self.opened[customer_id]
        self._take_out(customer_id)
        if bond is not None:
            self._dissolve(i, customer_id, at, bond)
        partition.markers[key] = partition.new_markers[key] = Marker(at, event, floor)
        partition.erased.add(customer_id)
        partition.erasures += 1
        return True

    def _take_out(self, customer_id: str) -> None:
        """The customer's row goes, if there is one."""
        if customer_id in self.partition.index:
            number = self.store.detach(self.partition, customer_id)
            self._kept(number)
            self.applied.causes.pop(number, None)
            self.applied.removed.append((number, customer_id))

    # ---- ids that belong together ----

    def _with_own_rows(self, index: Mapping[str, int], those: Iterable[str]) -> Mapping[str, int]:
        """Rows by id, where an id that belongs together with others has its own row, as long as this step lasts."""
        found = {}
        for customer_id in those:
            bond = self.partition.bonds.get(customer_id)
            if bond is None:
                if customer_id in index:
                    found[customer_id] = index[customer_id]
            elif bond.own is not None:
                found[customer_id] = row = self._borrow(self.partition, customer_id)
                put_row(self.store, row, bond.own, self.partition.items)
                if customer_id in index:
                    self.store.header["segment"][row] = self.store.header["segment"][index[customer_id]]
        return found

    def _borrow(self, partition: PartitionRows, customer_id: str) -> int:
        """An empty row until the end of this step."""
        row = self.store.borrow(partition, customer_id)
        self.applied.borrowed.append(row)
        return row

    def _bond(self, i: int, customer_id: str) -> Bond:
        """What stands with the id; from now on its own row is another one than the customer's."""
        bond = self.partition.bonds.get(customer_id)
        if bond is None:
            bond = self.partition.bonds[customer_id] = Bond(since=self._since(i))
            row = self.opened.get(customer_id)
            if row is not None:
                store, number = self.store, row.row
                row.row = self._borrow(self.partition, customer_id)
                store.copy(number, row.row)
        return bond

    def _since(self, i: int) -> Since:
        """As of which record something holds once an event is applied."""
        position = self.events.positions[i] if self.events.positions else self.events.places[i]
        return Since.at(self.partitions, position)

    def _touch(self, i: int, customer_id: str, cause: int, at: int, *, own: bool) -> _Touch:
        """An event has changed what is known of an id that belongs together with others."""
        since = self._since(i)
        if own:
            self.partition.bonds[customer_id].since = since
        known = self.touched.get(customer_id)
        if known is None:
            known = self.touched[customer_id] = _Touch(cause, at, since)
        if cause != _INTERACTION:
            known.cause = cause
        known.at, known.since = at, since
        known.times += 1
        return known

    def _alias(self, i: int, customer_id: str, at: int, row: _Open | None) -> bool:
        """Join the id to another, or to nobody, if that was said last."""
        marker = self.partition.markers.get(marker_key(customer_id))
        if (row is not None and at <= row.erase_floor) or (marker is not None and at <= marker.floor):
            return self._ignore(Ignored.ERASED)
        edge = Edge(self.events.aliases[i], at, int(self.events.event_hashes[i]))
        bond = self.partition.bonds.get(customer_id)
        if bond is not None and bond.edge is not None and edge.order <= bond.edge.order:
            return self._ignore(Ignored.REPEATED)
        bond = self._bond(i, customer_id)
        before, bond.edge = bond.edge, edge
        touch = self._touch(i, customer_id, _ALIAS, at, own=True)
        if before is not None:
            touch.left.add(before.to)
        return True

    def _hand_over(self, i: int, customer_id: str, at: int) -> bool:
        """Take what is told of an id that is joined to this one."""
        said = self.events.handed_over[i]
        if said.deployment != self.deployment:
            return self._ignore(Ignored.ELSEWHERE)
        try:
            parts = said.parts()
            for part in parts:
                if part.row is not None:
                    check(part.row)
        except ValueError as error:
            self.outcome.refused.append(Refused(self.events.places[i], Reason.INVALID, str(error)))
            return False
        marker = self.partition.markers.get(marker_key(customer_id))
        if marker is not None and customer_id not in self.partition.bonds and not parts:
            return self._ignore(Ignored.ERASED)  # nothing is to be remembered of whom
        if marker is not None and parts and _joined_at(parts) <= marker.at:
            # It was joined to a customer who is erased, and was not known here when that was.
            self._tell(said.joined_id, erasure_of(said.joined_id, customer_id, marker.at, marker.event))
            return self._ignore(Ignored.ERASED)
        is_new = customer_id not in self.partition.bonds
        bond = self._bond(i, customer_id)
        self.partition.changed_bonds.add(customer_id)
        if not bond.receive(said.joined_id, Handed(said.since, parts)) and not is_new:
            return self._ignore(Ignored.REPEATED)
        self.applied.crowded += len(bond.crowd_out())
        self._touch(i, customer_id, said.cause if said.cause in _CHANGING else _ALIAS, at, own=False)
        return True

    def _is_meant(self, i: int, at: int, bond: Bond | None) -> bool:
        """Whether an erasure that follows from that of a customer is of an id that was the customer's then."""
        customer_id = self.events.joined_to.get(i)
        if customer_id is None:
            return True
        edge = None if bond is None else bond.edge
        return edge is not None and (edge.to == customer_id or edge.at > at)

    def _seen_of_all(self, customer_id: str) -> int:
        """When anything was last heard of a customer, by any id."""
        row = self.partition.index.get(customer_id)
        return MISSING_TIME if row is None else int(self.store.header["seen_at"][row])

    def _dissolve(self, i: int, customer_id: str, at: int, bond: Bond) -> None:
        """An id is erased: so are those that were joined to it then, and whom it was joined to is told."""
        partition, event = self.partition, int(self.events.event_hashes[i])
        touch = self._touch(i, customer_id, _ALIAS, at, own=True)
        touch.left |= {bond.told, bond.edge.to if bond.edge else ""}
        self._leave(customer_id, touch, "")
        del partition.bonds[customer_id], self.touched[customer_id]
        partition.changed_bonds.add(customer_id)
        later = {}
        for joined_id, handed in bond.joined.items():
            if _joined_at(handed.parts) > at:
                later[joined_id] = handed
            else:
                self._tell(joined_id, erasure_of(joined_id, customer_id, at, event))
        if later:
            partition.bonds[customer_id] = Bond(joined=later)
            self._touch(i, customer_id, _ALIAS, at, own=True)

    def _tell(self, customer_id: str, value: bytes) -> None:
        self.applied.told.append(Told(customer_id, value))

    def join_up(self) -> None:
        """Once headers are written: bring customers' rows up to what their ids did, and hand over what is told."""
        if not self.touched and not self.applied.borrowed:
            return
        store, applied = self.store, self.applied
        counted: dict[int, int] = {}
        for number in applied.borrowed:
            applied.causes.pop(number, None)
            applied.before.pop(number, None)
        for customer_id, touch in self.touched.items():
            bond, opened = self.partition.bonds[customer_id], self.opened.get(customer_id)
            if opened is not None and opened.seen != MISSING_TIME:
                bond.own = plain_row(store, opened.row, self.partition.items)
            parts = bond.parts(customer_id)
            to = bond.belongs_to(customer_id, parts)
            rows = [part.row for part in parts.values() if part.row is not None]
            shown = self._show(customer_id, [] if to else rows, touch.cause)
            if opened is not None:
                counted[opened.row] = opened.row if shown is None else shown
                store.header["segment"][opened.row] = NO_SEGMENT
            if shown is not None:
                bond.shown = ""
            elif bond.shown != to:
                self.partition.erased.add(customer_id)  # the view is to say whose the id is, or to go
                bond.shown = to
            self._hand_on(customer_id, bond, parts, touch)
            self.partition.changed_bonds.add(customer_id)
        if applied.sold is not None and counted:
            rows_sold = np.array([counted.get(row, row) for row in applied.sold.rows.tolist()], np.int64)
            applied.sold = Sold(rows_sold, applied.sold.net, applied.sold.is_purchase)

    def _show(self, customer_id: str, rows: list[PlainRow], cause: int) -> int | None:
        """The customer's row is what these come to; none, and there is no such customer."""
        store, index, applied = self.store, self.partition.index, self.applied
        if not rows:
            if customer_id in index:
                self.partition.erased.add(customer_id)
            self._take_out(customer_id)
            return None
        number = index.get(customer_id)
        if number is None:
            number = store.add(self.partition, customer_id)
        else:
            self._kept(number)
            applied.before[number].appended = None
        put_row(store, number, merged(rows, self.limits.lines), self.partition.items)
        applied.causes[number] = cause
        return number

    def _hand_on(self, customer_id: str, bond: Bond, parts: Mapping[str, Part], touch: _Touch) -> None:
        """Tell whom the id is joined to what is new here, and whom it was joined to that it no longer is."""
        handed = bond.hand_over(customer_id, parts)
        to = bond.edge.to if bond.edge is not None else ""
        touch.left.add(bond.told)
        self._leave(customer_id, touch, to)
        digest = digest_of(handed)
        # What several events left as it was, a worker that was killed may have told of after the first of them.
        if to and (to != bond.told or digest != bond.said or touch.times > 1):
            self._tell(to, self._handed(to, customer_id, handed, touch))
        bond.told, bond.said = to, digest

    def _leave(self, customer_id: str, touch: _Touch, to: str) -> None:
        for one in sorted(touch.left - {to, ""}):
            self._tell(one, self._handed(one, customer_id, [], touch))
        touch.left.clear()

    def _handed(self, to: str, customer_id: str, parts: list[Part], touch: _Touch) -> bytes:
        return hand_over(
            to, customer_id, parts, since=touch.since, cause=touch.cause, at=touch.at, deployment=self.deployment
        )


def _joined_at(parts: Sequence[Part]) -> int:
    """When the id that hands over was joined."""
    edge = parts[0].edge
    return MISSING_TIME if edge is None else edge.at


def marker_key(customer_id: str) -> bytes:
    """What a marker knows of the erased customer's id: its 16-byte blake2b."""
    return blake2b(customer_id.encode(), digest_size=16).digest()


def _decided(steps: Sequence[_PartitionStep]) -> Ended:
    """What rows whose events were decided one by one have become: of all partitions, since mostly they are few."""
    rows = [row for step in steps for row in step.opened.values()]
    columns = (
        np.array([row.newest for row in rows], np.int64),
        np.array([row.seen for row in rows], np.int64),
        np.array([row.spend for row in rows], np.int64),
        np.array([row.refunds for row in rows], np.int64),
        np.array([row.day_map for row in rows], np.uint64),
        np.array([row.days for row in rows], np.uint32),
        np.array([row.erase_floor for row in rows], np.int64),
        np.array([row.closed_floor for row in rows], np.int64),
    )
    place = [number for number, row in enumerate(rows) for _ in row.accepted]
    accepted = [(step, i) for step in steps for row in step.opened.values() for i in row.accepted]
    orders = Orders(
        place=np.array(place, np.int64),
        at=np.array([step.events.ats[i] for step, i in accepted], np.int64),
        is_purchase=np.array([step.events.kinds[i] == _PURCHASE for step, i in accepted], np.bool_),
        units=np.array([step.units[i] for step, i in accepted], np.int64),
        amount=np.array([step.amounts[i] for step, i in accepted], np.int64),
    )
    return Ended(np.array([row.row for row in rows], np.int64), columns, orders)
