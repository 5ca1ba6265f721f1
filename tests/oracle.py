"""What rows must be after a log: the rules of lateness, repeats and floors in plain Python, one event at a time.

Deliberately slow and simple: no numpy, no bytes, Fractions for decay. Tests hold the real rows equal to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from contracts.events import Erase, Event, Interaction, Profile, Purchase
from contracts.money import to_millionths
from contracts.times import DAY, to_micros


def event_hash(event_id: str) -> int:
    return int.from_bytes(blake2b(event_id.encode(), digest_size=8).digest(), "little")


@dataclass
class OracleRow:
    first_at: int | None = None
    last_at: int | None = None
    newest_at: int | None = None
    seen_at: int | None = None
    erase_floor: int | None = None
    closed_floor: int | None = None
    spend: int = 0
    refunds: int = 0
    units: int = 0
    orders: int = 0
    returns: int = 0
    days: set = field(default_factory=set)
    lines: list = field(default_factory=list)  # (at, hash, line number, item, signed quantity)
    ids: list = field(default_factory=list)  # (at, hash)
    attributes: dict = field(default_factory=dict)  # name -> (at, hash, value)
    counted: list = field(default_factory=list)  # (at, is purchase, amount)
    shown: set = field(default_factory=set)  # (kind, source, item, at) of interactions; never forgotten here

    def decayed(self, half_life: int, *, money: bool, purchases_only: bool = False) -> tuple[float, float]:
        """The decayed sum as of newest_at, and the sum of absolute contributions."""
        total = magnitude = 0.0
        for at, is_purchase, amount in self.counted:
            if purchases_only and not is_purchase:
                continue
            value = (amount / 1e6 if is_purchase else -amount / 1e6) if money else 1.0
            weighted = value * 2.0 ** (-(self.newest_at - at) / half_life)
            total += weighted
            magnitude += abs(weighted)
        return total, magnitude


@dataclass
class Oracle:
    lateness: int = 30 * DAY
    most_lines: int = 100
    most_ids: int = 8192
    rows: dict[str, OracleRow] = field(default_factory=dict)
    markers: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # at, hash, floor
    ignored: int = 0

    def replay(self, events: Iterable[Event]) -> "Oracle":
        for event in events:
            self.apply(event)
        return self

    def apply(self, event: Event) -> None:
        at = to_micros(event.occurred_at)
        h = event_hash(event.event_id)
        who = event.customer_id
        if isinstance(event, Erase):
            self._erase(who, at, h, unless_newer=event.unless_newer)
            return
        row = self.rows.get(who)
        floor = self.markers[who][2] if who in self.markers else None
        if floor is not None and at <= floor:
            self.ignored += 1
            return
        if isinstance(event, Profile):
            row = self.rows.setdefault(who, OracleRow(erase_floor=floor))
            if not self._profile(row, event, at, h):
                return
        elif isinstance(event, Interaction):
            row = self.rows.setdefault(who, OracleRow(erase_floor=floor))
            said = {(event.kind, event.source, item, at) for item in event.items}
            if said <= row.shown or (row.seen_at is not None and at < row.seen_at - self.lateness):
                self.ignored += 1
                return
            row.shown |= said
        else:
            if row is not None and not self._counts(row, at, h):
                self.ignored += 1
                return
            row = self.rows.setdefault(who, OracleRow(erase_floor=floor))
            self._order(row, event, at, h)
        row.seen_at = at if row.seen_at is None else max(row.seen_at, at)

    def _erase(self, who: str, at: int, h: int, *, unless_newer: bool) -> None:
        old = self.markers.get(who)
        known = self.rows.get(who)
        active = unless_newer and known is not None and known.seen_at > at
        if active or (old is not None and (h == old[1] or at <= old[0])):
            self.ignored += 1
            return
        floor = at if old is None else max(at, old[2])
        row = self.rows.pop(who, None)
        if row is not None:
            floor = max(floor, row.seen_at)
        self.markers[who] = (at, h, floor)

    def _counts(self, row: OracleRow, at: int, h: int) -> bool:
        if row.closed_floor is not None and at <= row.closed_floor:
            return False
        if row.newest_at is not None and at < row.newest_at - self.lateness:
            return False
        return all(known != h for _, known in row.ids)

    def _order(self, row: OracleRow, event: Event, at: int, h: int) -> None:
        purchase = isinstance(event, Purchase)
        amount = sum(line.quantity * to_millionths(line.unit_price) for line in event.lines)
        row.newest_at = at if row.newest_at is None else max(row.newest_at, at)
        row.ids = sorted(pair for pair in [*row.ids, (at, h)] if pair[0] >= row.newest_at - self.lateness)
        while len(row.ids) > self.most_ids:
            gone, _ = row.ids.pop(0)
            row.closed_floor = gone if row.closed_floor is None else max(row.closed_floor, gone)
        sign = 1 if purchase else -1
        row.lines += [(at, h, n, line.item_id, sign * line.quantity) for n, line in enumerate(event.lines)]
        row.lines = sorted(row.lines)[-self.most_lines :]
        row.counted.append((at, purchase, amount))
        if purchase:
            row.orders += 1
            row.spend += amount
            row.units += sum(line.quantity for line in event.lines)
            row.first_at = at if row.first_at is None else min(row.first_at, at)
            row.last_at = at if row.last_at is None else max(row.last_at, at)
            row.days.add(at // DAY)
        else:
            row.returns += 1
            row.refunds += amount

    def _profile(self, row: OracleRow, event: Profile, at: int, h: int) -> bool:
        changed = False
        for name, value in event.attributes.items():
            if name not in row.attributes or row.attributes[name][:2] < (at, h):
                row.attributes[name] = (at, h, value)
                changed = True
        newest = sorted(row.attributes, key=lambda name: (*row.attributes[name][:2], name))[-64:]
        row.attributes = {name: row.attributes[name] for name in newest}
        if not changed and row.seen_at is not None and at <= row.seen_at:
            self.ignored += 1
            return False
        return True
