"""Bytes of a batch to columns of valid events, and a reason for every record that is not one.

Decoding is hot, so msgspec reads what is plainly valid. It may refuse more than the contract does, never less; whatever
it refuses the contract's pydantic models judge (`tests/unit/test_decoding.py` holds the two equal).
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import accumulate, chain
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pydantic

from consumer.currency import Rates, UnknownCurrencyError
from consumer.dead_letters import Reason, Refused
from consumer.event_columns import Attributes, Decoded, Events, Interaction, Kind, apart, joined
from consumer.hand_over import HandOver
from consumer.plain_times import micros_of, micros_of_plain, plain_time
from contracts import events as contract
from contracts.money import (
    MAX_LINE_MILLIONTHS,
    MAX_QUANTITY,
    MAX_TOTAL_MILLIONTHS,
    MAX_UNIT_PRICE,
    MILLIONTHS,
    to_millionths,
)
from contracts.times import MINUTE, to_micros
from logs.base import Batch

FUTURE_TOLERANCE: Final = 5 * MINUTE
"""An event may be dated at most so much later than its record's log time."""

# What a float estimate can vouch for with room to spare.
_SAFE_LINE: Final = 0.99 * MAX_LINE_MILLIONTHS
_SAFE_TOTAL: Final = 0.99 * MAX_TOTAL_MILLIONTHS


# ---- the fast reading ----

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=contract.MAX_ID_LENGTH)]
_Version = Annotated[int, msgspec.Meta(ge=1, le=contract.VERSION)]


class _Line(msgspec.Struct, gc=False):
    item_id: _Id
    quantity: Annotated[int, msgspec.Meta(ge=1, le=MAX_QUANTITY)]
    unit_price: Annotated[float, msgspec.Meta(ge=0, le=MAX_UNIT_PRICE)]


_Lines = Annotated[list[_Line], msgspec.Meta(min_length=1, max_length=contract.MAX_LINES)]


class _Order(msgspec.Struct, gc=False):
    event_id: _Id
    customer_id: _Id
    occurred_at: str
    order_id: _Id
    lines: _Lines
    currency: str
    v: _Version = 1


class _Purchase(_Order, tag="purchase", gc=False):
    pass


class _Return(_Order, tag="return", gc=False):
    pass


# Numbers in attributes are only whole or fractional within what a double holds exactly enough; the contract says ±1e15.
_Number = Annotated[float, msgspec.Meta(ge=-contract.MAX_ATTRIBUTE_NUMBER, le=contract.MAX_ATTRIBUTE_NUMBER)]
_Whole = Annotated[int, msgspec.Meta(ge=-int(contract.MAX_ATTRIBUTE_NUMBER), le=int(contract.MAX_ATTRIBUTE_NUMBER))]
_Text = Annotated[str, msgspec.Meta(max_length=40)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=20)]


class _Profile(msgspec.Struct, tag="profile", gc=False):
    event_id: _Id
    customer_id: _Id
    occurred_at: str
    attributes: Annotated[
        dict[_Name, bool | _Whole | _Number | _Text], msgspec.Meta(max_length=contract.MAX_ATTRIBUTES)
    ]
    v: _Version = 1


class _Erase(msgspec.Struct, tag="erase", gc=False):
    event_id: _Id
    customer_id: _Id
    occurred_at: str
    v: _Version = 1
    unless_newer: bool = False
    joined_to: _Id | None = None


class _Alias(msgspec.Struct, tag="alias", gc=False):
    event_id: _Id
    customer_id: _Id
    occurred_at: str
    alias_of: _Id | None
    v: _Version = 1

    def __post_init__(self) -> None:
        if self.customer_id.startswith(contract.GUEST_PREFIX) or (self.alias_of or "").startswith(
            contract.GUEST_PREFIX
        ):
            raise ValueError("guests join nobody")


_Items = Annotated[list[_Id], msgspec.Meta(min_length=1, max_length=contract.MAX_LINES)]
_Reason = Annotated[str, msgspec.Meta(max_length=contract.MAX_REASON_LENGTH)]


class _Interaction(msgspec.Struct, tag="interaction", gc=False):
    event_id: _Id
    customer_id: _Id
    occurred_at: str
    kind: Literal["shown", "clicked"]
    items: _Items
    source: Annotated[str, msgspec.Meta(max_length=contract.MAX_ID_LENGTH)] = ""
    reasons: list[_Reason] = []
    v: _Version = 1

    def __post_init__(self) -> None:
        if self.reasons and len(self.reasons) != len(self.items):
            raise ValueError("as many as items, or none")


_Plain = _Purchase | _Return | _Profile | _Erase | _Interaction | _Alias | HandOver
_decode = msgspec.json.Decoder(_Plain).decode
_RETURN: Final = int(Kind.RETURN)
_PROFILE: Final = int(Kind.PROFILE)
_INTERACTION: Final = int(Kind.INTERACTION)
_ALIAS: Final = int(Kind.ALIAS)
_HAND_OVER: Final = int(Kind.HAND_OVER)
_KINDS: Final[dict[type, int]] = {
    _Purchase: int(Kind.PURCHASE),
    _Return: _RETURN,
    _Profile: _PROFILE,
    _Erase: int(Kind.ERASE),
    _Interaction: _INTERACTION,
    _Alias: _ALIAS,
    HandOver: _HAND_OVER,
}

_SHALLOW: Final = 60
"""Levels of nesting that the contract reads easily; it stops at 200."""
_LONG: Final = 4_000
"""Digits that the contract reads in one number."""
_long_number = re.compile(rb"[0-9]{%d}" % _LONG).search
_PIECE: Final = 480
"""Records that become columns together: of thousands, what was read first has left the processor's caches by then."""
_TOGETHER: Final = 24
"""Records that are looked at together. Few enough to keep below `_SHALLOW`, and for one odd one to delay few others."""


class _RefusedError(Exception):
    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(slots=True)
class _Found:
    """Events of a batch while it is decoded."""

    places: list[int]
    events: list[_Plain]
    ats: list[int]
    amounts: dict[int, int]
    """Value of the events that the contract's models read, by place in the batch."""


class Decoder:
    """Decodes batches. It keeps no state between them."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._currency = rates.currency

    def decode(self, batch: Batch) -> Decoded:
        """Every record of the batch as an event or as refused; never raises for what a record holds."""
        edges = range(0, len(batch.values), _PIECE)
        if len(edges) <= 1:
            return self._decode(batch)
        refused: list[Refused] = []
        parts = []
        for start in edges:
            piece = slice(start, start + _PIECE)
            values, times = batch.values[piece], batch.log_times[piece]
            decoded = self._decode(Batch(batch.partition, batch.positions[piece], values, (), times, {}))
            refused += [Refused(start + one.place, one.reason, one.message) for one in decoded.refused]
            parts.append(decoded.events)
        return Decoded(joined(batch.partition, parts, edges), refused)

    def decode_each(self, batches: Sequence[Batch]) -> list[Decoded]:
        """The same of several batches; small ones are decoded together: each alone costs as much as ten records."""
        found: list[Decoded] = []
        for some in _together(batches):
            if len(some) == 1:
                found.append(self.decode(some[0]))
                continue
            values = list(chain.from_iterable(batch.values for batch in some))
            positions = list(chain.from_iterable(batch.positions for batch in some))
            log_times = list(chain.from_iterable(batch.log_times for batch in some))
            decoded = self._decode(Batch(some[0].partition, positions, values, (), log_times, {}))
            edges = list(accumulate(map(len, some), initial=0))
            found += apart(decoded, [batch.partition for batch in some], edges)
        return found

    def _decode(self, batch: Batch) -> Decoded:
        refused: list[Refused] = []
        found = _Found([], [], [], {})
        if not self._read_plain(batch.values, batch.log_times, 0, found):
            for start in range(0, len(batch.values), _TOGETHER):
                some = batch.values[start : start + _TOGETHER]
                if not self._read_plain(some, batch.log_times[start : start + _TOGETHER], start, found):
                    self._read_each(some, batch.log_times, start, found, refused)
        columns, wrong = _columns(batch.partition, found)
        if (
            wrong
        ):  # too many decimals or too much money: rare, so those are judged one by one, and all put together again
            columns = self._judged_again(batch, found, wrong, refused)
        columns.positions = [batch.positions[place] for place in columns.places]
        return Decoded(columns, refused)

    def _read_plain(self, values: Sequence[bytes | None], log_times: Sequence[int], start: int, found: _Found) -> bool:
        """Read records that are all plainly valid; False where any might not be. What is asked is what `_read` asks."""
        events: list[_Plain] = []
        try:
            for place in range(0, len(values), _TOGETHER):
                some = self._plain(values[place : place + _TOGETHER])
                if some is None:
                    return False
                events += some
            ats = micros_of_plain([event.occurred_at for event in events])
            if max(ats) > min(log_times) + FUTURE_TOLERANCE:
                return False
        except (TypeError, msgspec.MsgspecError, ValueError, RecursionError):
            return False
        found.places += range(start, start + len(values))
        found.events += events
        found.ats += ats
        return True

    def _plain(self, values: Sequence[bytes | None]) -> list[_Plain] | None:
        """A few records, but for their times; None where any might not be valid.

        Raises TypeError, ValueError, MsgspecError or RecursionError for the same.
        """
        text = b"".join(values)  # type: ignore[arg-type] # TypeError where one has no value
        if not _is_plain_text(text) or max(map(len, values)) > _LONG:  # type: ignore[arg-type]
            return None
        events = list(map(_decode, values))  # type: ignore[arg-type]
        orders = [event for event in events if type(event) is _Purchase or type(event) is _Return]
        # What all of them have too much of, none has: a record has one object for each of its lines, and one more.
        if (
            text.count(b"[") > _SHALLOW
            or text.count(b"{") > _SHALLOW + sum([len(order.lines) for order in orders])
            or {order.currency for order in orders} - {self._currency}
        ):
            return None
        return events

    def _read_each(
        self,
        values: Sequence[bytes | None],
        log_times: Sequence[int],
        start: int,
        found: _Found,
        refused: list[Refused],
    ) -> None:
        """Read records one by one."""
        for place, value in enumerate(values, start):
            try:
                event, at, amount = self._read(value)
                if at > log_times[place] + FUTURE_TOLERANCE:
                    raise _future(event)
            except _RefusedError as error:
                refused.append(Refused(place, error.reason, error.message))
                continue
            if amount is not None:
                found.amounts[place] = amount
            found.places.append(place)
            found.events.append(event)
            found.ats.append(at)

    def _read(self, value: bytes | None) -> tuple[_Plain, int, int | None]:
        """The event, its time, and its value where it had to be worked out. Raises _RefusedError."""
        if value is None or len(value) > contract.MAX_MESSAGE_BYTES:
            raise _no_event(value)
        try:
            event = _decode(value)
            moment = event.occurred_at
            if (
                plain_time(moment)
                and (_is_plain_text(value) or (_has_plain_ids(event) and value.decode()))
                and _is_modest(value, event)
                and self._has_currency(event)
            ):
                return event, micros_of(moment), None
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass
        return self._judge(value)

    def _has_currency(self, event: _Plain) -> bool:
        """Whether its amounts need no conversion."""
        return getattr(event, "currency", self._currency) == self._currency

    def _judge(self, value: bytes) -> tuple[_Plain, int, int | None]:
        """What the contract says of a record. Raises _RefusedError."""
        event = _parse(value)
        at = to_micros(event.occurred_at)
        head = (event.event_id, event.customer_id, event.occurred_at.isoformat())
        if isinstance(event, contract.Purchase | contract.Return):
            lines = [_Line(line.item_id, line.quantity, line.unit_price) for line in event.lines]
            shape = _Purchase if isinstance(event, contract.Purchase) else _Return
            return shape(*head, event.order_id, lines, event.currency), at, self._value(event, at)
        if isinstance(event, contract.Profile):
            return _Profile(*head, event.attributes), at, None
        if isinstance(event, contract.Erase):
            return _Erase(*head, unless_newer=event.unless_newer, joined_to=event.joined_to), at, None
        if isinstance(event, contract.Alias):
            return _Alias(*head, event.alias_of), at, None
        items, reasons = list(event.items), list(event.reasons)
        return _Interaction(*head, event.kind, items, event.source, reasons), at, None

    def _value(self, event: contract.Purchase | contract.Return, at: int) -> int:
        """The event's worth in millionths of the deployment's currency, in Python's own integers."""
        prices = [to_millionths(line.unit_price) for line in event.lines]
        if event.currency != self._currency:
            try:
                prices = self._rates.convert(prices, event.currency, at)
            except UnknownCurrencyError as error:
                raise _RefusedError(Reason.CURRENCY, str(error)) from None
        amounts = [line.quantity * price for line, price in zip(event.lines, prices, strict=True)]
        if max(amounts) > MAX_LINE_MILLIONTHS or sum(amounts) > MAX_TOTAL_MILLIONTHS:
            message = "worth more than a line (1e12) or an event (9e12) may be, after conversion"
            raise _RefusedError(Reason.AMOUNT, message)
        return sum(amounts)

    def _judged_again(self, batch: Batch, found: _Found, wrong: set[int], refused: list[Refused]) -> Events:
        kept = _Found([], [], [], found.amounts)
        for i, place in enumerate(found.places):
            if i in wrong:
                value = batch.values[place]
                assert value is not None
                try:
                    _, _, amount = self._judge(value)
                except _RefusedError as error:
                    refused.append(Refused(place, error.reason, error.message))
                    continue
                assert amount is not None
                kept.amounts[place] = amount
            kept.places.append(place)
            kept.events.append(found.events[i])
            kept.ats.append(found.ats[i])
        refused.sort(key=lambda one: one.place)
        columns, _ = _columns(batch.partition, kept)
        return columns


def _together(batches: Sequence[Batch]) -> list[list[Batch]]:
    """Batches one after the other, as long as they come to one piece at most."""
    groups: list[list[Batch]] = []
    room = 0
    for batch in batches:
        if not groups or len(batch) > room:
            groups.append([])
            room = _PIECE
        groups[-1].append(batch)
        room -= len(batch)
    return groups


def _is_plain_text(value: bytes) -> bool:
    """Whether no string in the message can hold a control character: JSON has those only as escapes, but for DEL."""
    return value.isascii() and b"\\" not in value and b"\x7f" not in value


def _is_modest(value: bytes, event: _Plain) -> bool:
    """Whether nothing in the message is so deep or so long that only the fast reading, which skips it, takes it."""
    if value.count(b"[") > _SHALLOW or (len(value) > _LONG and _long_number(value)):
        return False
    objects = value.count(b"{")
    return objects <= _SHALLOW or objects <= _SHALLOW + len(getattr(event, "lines", ()))


def _has_plain_ids(event: Any) -> bool:
    """Whether no id or name holds anything but printable characters; the contract judges the rest."""
    texts = [event.event_id, event.customer_id]
    kind = type(event)
    if kind is _Purchase or kind is _Return:
        texts.append(event.order_id)
        texts += [line.item_id for line in event.lines]
    elif kind is _Profile:
        texts += event.attributes
    elif kind is _Interaction:
        texts += (event.source, *event.items, *event.reasons)
    elif kind is _Alias:
        texts.append(event.alias_of or "")
    elif kind is _Erase:
        texts.append(event.joined_to or "")
    return all(text.isprintable() for text in texts)


@dataclass(slots=True)
class _Said:
    """What events say that have no lines, by their places."""

    attributes: dict[int, Attributes] = field(default_factory=dict)
    interactions: dict[int, Interaction] = field(default_factory=dict)
    unless_newer: set[int] = field(default_factory=set)
    joined_to: dict[int, str] = field(default_factory=dict)
    aliases: dict[int, str] = field(default_factory=dict)
    handed_over: dict[int, HandOver] = field(default_factory=dict)

    def add(self, i: int, event: _Plain) -> None:
        """Of the rarer types."""
        if isinstance(event, _Interaction):
            self.interactions[i] = Interaction(event.kind == "clicked", event.source, event.items, event.reasons)
        elif isinstance(event, _Alias):
            self.aliases[i] = "" if event.alias_of in {None, event.customer_id} else str(event.alias_of)
        elif isinstance(event, HandOver):
            self.handed_over[i] = event
        elif isinstance(event, _Erase):
            if event.unless_newer:
                self.unless_newer.add(i)
            if event.joined_to is not None:
                self.joined_to[i] = event.joined_to


def _columns(partition: int, found: _Found) -> tuple[Events, set[int]]:
    """The events as columns, and which of them the contract must judge because of their amounts."""
    said = _Said()
    lines_from = [0]
    lines: list[_Line] = []
    kinds = [_KINDS[type(event)] for event in found.events]
    for i, (kind, event) in enumerate(zip(kinds, found.events, strict=True)):
        if kind <= _RETURN:
            lines += event.lines  # type: ignore[union-attr] # the kind says what it is, faster than isinstance
        elif kind == _PROFILE:
            said.attributes[i] = event.attributes  # type: ignore[union-attr]
        else:
            said.add(i, event)
        lines_from.append(len(lines))
    quantities = np.array([line.quantity for line in lines], dtype=np.int32)
    amounts, wrong = _amounts(np.array([line.unit_price for line in lines], dtype=np.float64), quantities, lines_from)
    if found.amounts:
        for i, place in enumerate(found.places):
            if place in found.amounts:
                amounts[i] = found.amounts[place]
                wrong.discard(i)
    events = Events(
        partition=partition,
        places=found.places,
        kinds=kinds,
        event_hashes=hashes([event.event_id for event in found.events]),
        customer_ids=[event.customer_id for event in found.events],
        ats=found.ats,
        attributes=said.attributes,
        interactions=said.interactions,
        lines_from=lines_from,
        items=[line.item_id for line in lines],
        quantities=quantities,
        amounts=amounts,
        unless_newer=said.unless_newer,
        joined_to=said.joined_to,
        aliases=said.aliases,
        handed_over=said.handed_over,
    )
    return events, wrong


def _amounts(
    prices: npt.NDArray[np.float64], quantities: npt.NDArray[np.int32], lines_from: list[int]
) -> tuple[npt.NDArray[np.int64], set[int]]:
    """Value of each event in millionths, and the events whose value floats can not vouch for."""
    starts = np.array(lines_from, dtype=np.int64)
    counts = np.diff(starts)
    millionths = np.rint(prices * MILLIONTHS)
    estimate = millionths * quantities
    wrong_lines = (millionths / MILLIONTHS != prices) | (estimate > _SAFE_LINE)
    owner = np.repeat(np.arange(len(counts)), counts)
    totals = np.bincount(owner, weights=estimate, minlength=len(counts))
    wrong = set(owner[wrong_lines].tolist()) | set(np.flatnonzero(totals > _SAFE_TOTAL).tolist())
    # A running sum may wrap; differences of it are exact all the same where an event's own total fits, and the
    # events where it may not are in `wrong`.
    exact = np.where(wrong_lines, 0, millionths).astype(np.int64) * quantities
    running = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(exact)))
    return running[starts[1:]] - running[starts[:-1]], wrong


def hashes(texts: Sequence[str]) -> npt.NDArray[np.uint64]:
    """The 64-bit blake2b of each text in UTF-8."""
    digests = [blake2b(text.encode(), digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join(digests), dtype="<u8")


# ---- the slow way: the contract's own verdict ----


def _no_event(value: bytes | None) -> _RefusedError:
    if value is None:
        message = "the record has no value (a tombstone); to forget a customer publish `erase`"
        return _RefusedError(Reason.EMPTY, message)
    message = f"{len(value)} bytes; a message may have {contract.MAX_MESSAGE_BYTES}"
    return _RefusedError(Reason.TOO_LARGE, message)


def _future(event: _Plain) -> _RefusedError:
    message = f"dated {event.occurred_at}, more than 5 minutes after the log took it in; check the producer's clock"
    return _RefusedError(Reason.FUTURE, message)


def _parse(value: bytes) -> contract.Event:
    try:
        return contract.parse_event(value)
    except pydantic.ValidationError as error:
        raise _verdict(value, error) from None


def _verdict(value: bytes, error: pydantic.ValidationError) -> _RefusedError:
    """The reason class and the text for what the contract refused."""
    try:
        body = json.loads(value.decode())  # decoded here: json would guess at other encodings than UTF-8
    except (ValueError, RecursionError) as broken:
        return _RefusedError(Reason.NOT_JSON, str(broken)[:500])
    if isinstance(body, dict):
        version = body.get("v", 1)
        if isinstance(version, int) and version > contract.VERSION:
            return _newer(version)
        kind = body.get("type")
        if not isinstance(kind, str) or kind not in contract.EVENT_TYPES:
            known = ", ".join(contract.EVENT_TYPES)
            return _RefusedError(Reason.UNKNOWN_TYPE, f"type {str(kind)[:80]!r} is none of {known}")
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "message"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return _RefusedError(Reason.INVALID, f"{where}: {first['msg']}{more}"[:500])


def _newer(version: int) -> _RefusedError:
    message = (
        f"version {str(version)[:20]} is newer than {contract.VERSION}, the newest known here; upgrade and replay it"
    )
    return _RefusedError(Reason.NEWER_VERSION, message)
