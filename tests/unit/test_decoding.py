"""Any bytes become an event or a dead letter, and what is read fast is what the contract says."""

import json
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from hashlib import blake2b

import pydantic
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consumer import decoding
from consumer.aside import dead_letter
from consumer.currency import Rates
from consumer.dead_letters import Reason
from consumer.decoding import Decoder, hashes
from consumer.event_columns import Kind
from contracts.documents import DeadLetter
from contracts.events import (
    MAX_LINES,
    MAX_MESSAGE_BYTES,
    Alias,
    Erase,
    Interaction,
    Profile,
    Purchase,
    Return,
    parse_event,
)
from contracts.keys import LogNames
from contracts.money import to_millionths
from contracts.times import DAY, EPOCH, MINUTE, to_micros
from logs.base import Batch

NEVER_FUTURE = 4 * 10**17  # after the year 9999
START = 20_000 * DAY
RATES = Rates("GBP", {"EUR": [(START, Decimal("0.85")), (START + 10 * DAY, Decimal("0.9"))]})
quick = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def batch_of(values, log_time=NEVER_FUTURE, partition=3):
    n = len(values)
    return Batch(partition, range(100, 100 + n), values, [None] * n, [log_time] * n)


def decode(*values, log_time=NEVER_FUTURE):
    return Decoder(RATES).decode(batch_of(values, log_time))


def refused(value, **more):
    """The reason and the message of the one record, which must be refused."""
    decoded = decode(value, **more)
    assert len(decoded.events) == 0
    (one,) = decoded.refused
    return one.reason, one.message


def events_of(decoded):
    """The events in plain values, by place."""
    events = decoded.events
    found = {}
    for i, place in enumerate(events.places):
        first, last = events.lines_from[i], events.lines_from[i + 1]
        found[place] = (
            events.kinds[i],
            int(events.event_hashes[i]),
            events.customer_ids[i],
            events.ats[i],
            repr(sorted(events.attributes[i].items())) if i in events.attributes else None,
            list(zip(events.items[first:last], events.quantities[first:last].tolist(), strict=True)),
            int(events.amounts[i]),
            said(events.interactions[i]) if i in events.interactions else None,
            i in events.unless_newer,
            events.joined_to.get(i),
            events.aliases.get(i),
        )
    assert len(events.lines_from) == len(events) + 1
    assert set(events.attributes) == {i for i, kind in enumerate(events.kinds) if kind == Kind.PROFILE}
    assert set(events.aliases) == {i for i, kind in enumerate(events.kinds) if kind == Kind.ALIAS}
    assert set(events.interactions) == {i for i, kind in enumerate(events.kinds) if kind == Kind.INTERACTION}
    return found


def said(one):
    return one.clicked, one.source, tuple(one.items), tuple(one.reasons)


def by_contract(value):
    """What the contract alone says of a message, in the same terms; None where it refuses it."""
    if value is None or len(value) > MAX_MESSAGE_BYTES:
        return None
    try:
        event = parse_event(value)
    except pydantic.ValidationError:
        return None
    at = to_micros(event.occurred_at)
    kind = Kind[event.type.upper()]
    h = int.from_bytes(blake2b(event.event_id.encode(), digest_size=8).digest(), "little")
    attributes = repr(sorted(event.attributes.items())) if isinstance(event, Profile) else None
    lines, amount = [], 0
    if isinstance(event, Purchase | Return):
        lines = [(line.item_id, line.quantity) for line in event.lines]
        prices = [to_millionths(line.unit_price) for line in event.lines]
        if event.currency == "EUR" and at >= START:
            rate = Decimal("0.9") if at >= START + 10 * DAY else Decimal("0.85")
            prices = [int((price * rate).quantize(Decimal(1))) for price in prices]  # half to even
        elif event.currency != "GBP":
            return None
        amount = sum(quantity * price for (_, quantity), price in zip(lines, prices, strict=True))
    interaction = None
    if isinstance(event, Interaction):
        interaction = event.kind == "clicked", event.source, event.items, event.reasons
    unless_newer = isinstance(event, Erase) and event.unless_newer
    joined_to = event.joined_to if isinstance(event, Erase) else None
    alias_of = None
    if isinstance(event, Alias):
        alias_of = "" if event.alias_of in {None, event.customer_id} else event.alias_of
    return kind, h, event.customer_id, at, attributes, lines, amount, interaction, unless_newer, joined_to, alias_of


def assert_decoded_as_the_contract_says(values):
    batch = batch_of(values)
    decoded = Decoder(RATES).decode(batch)
    found = events_of(decoded)
    assert found == {place: event for place, value in enumerate(values) if (event := by_contract(value)) is not None}
    # Every record in exactly one of the two, in order.
    places = [one.place for one in decoded.refused]
    assert sorted([*found, *places]) == list(range(len(values)))
    assert decoded.events.places == sorted(decoded.events.places)
    assert places == sorted(places)
    for one in decoded.refused:
        assert one.message.strip()
        letter = DeadLetter.model_validate_json(dead_letter(LogNames(), batch, one).value)
        assert letter.bytes == (values[one.place] or b"")
        assert (letter.partition, letter.offset, letter.message) == (3, 100 + one.place, one.message)


# ---- messages, valid or nearly so: a field is a piece of JSON as it stands in the message ----


def quoted(texts):
    return [json.dumps(text, ensure_ascii=False) for text in texts]


plain_text = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1, max_size=12),
    st.sampled_from(
        ["a", "17850", "é", "日本語", "x" * 128, "\U0001f600" * 128, " ", 'a"b', "a\\b", "a/b", "a\u200db"]
    ),
    st.sampled_from(["a\xa0b", "a\u2028b", "\ufeffa", "\ue000", "e\u0301"]),
)
text_json = st.builds(json.dumps, plain_text, ensure_ascii=st.booleans())
odd_text = st.sampled_from(
    [
        *quoted(["", "x" * 129, "é" * 129, "\U0001f600" * 129, "a\x7fb", "a\x80b", "a\x9fb", "a\x00b", "a\nb", "\x1f"]),
        *(r'"\ud800"', r'"\ud800x"', r'"\udc00\ud800"', r'"\u0000"', r'"a\u007f"', r'"a\u0085b"', '"\x01"', '"a\x7fb"'),
        *(r'"\ud83d\ude00"', r'"\x41"', '"a\nb"', '"\ud800"'),
    ]
)
any_json = st.sampled_from(
    [
        *("null", "true", "1", "0", "-1", '""', '"x"', "[]", "{}", "[[]]", "1.5", "NaN", "Infinity", "-Infinity"),
        *("1e999", "9" * 400, "01", "+1", ".5", "'x'", '"' + "x" * 300 + '"'),
    ]
)

an_id = (text_json, odd_text)
good_quantity = st.one_of(st.integers(1, 20).map(str), st.sampled_from(["1", "1000000"]))
odd_quantity = st.sampled_from(["0", "1000001", "-1", "1.0", "1e2", '"1"', "true", "9" * 30, "-0", "0.5"])
good_price = st.one_of(
    st.integers(0, 10**13).map(lambda n: str(Decimal(n) / 10**6)),
    st.integers(0, 10**7).map(str),
    st.sampled_from(["0", "-0.0", "-0", "10000000", "9999999.999999", "0.000001", "1e-6", "1E2", "1e7", "2.550000"]),
)
odd_price = st.one_of(
    st.integers(0, 10**10).map(lambda n: str(Decimal(n) / 10**7)),
    st.floats(0, 1.1e7).map(repr),
    st.sampled_from(
        [
            *("10000000.000001", "10000001", "0.0000001", "0.0000005", "1e-7", "-1", "-0.000001", "5e-324"),
            *("0.30000000000000004", "0.1234567", "8388608.000001", "2.5500000000000001", '"1.5"', "1e400"),
        ]
    ),
)
good_time = st.one_of(
    st.integers(START - DAY, START + 20 * DAY).map(
        lambda micros: json.dumps((EPOCH + timedelta(microseconds=micros)).isoformat())
    ),
    st.sampled_from(['"2026-05-04T10:15:00Z"', '"2026-05-04T10:15:00.1Z"', '"2026-05-04T10:15:00.123456Z"']),
)
odd_time = st.sampled_from(
    [
        *('"2026-05-04t10:15:00z"', '"2026-05-04 10:15:00Z"', '"2026-05-04T10:15Z"', '"2026-05-04T10:15:00"'),
        *('"2026-05-04"', '"20260504T101500Z"', '"2026-W19-1T10:15:00Z"', '"2026-05-04T10:15:00.123456789Z"'),
        *('"2026-05-04T10:15:00.9999999Z"', '"1960-05-04T10:15:00.9999999Z"', '"2026-05-04T10:15:00.1234Z"'),
        *('"2026-05-04T10:15:00.Z"', '"2026-05-04T10:15:00,5Z"', '"2026-05-04T10:15:60Z"', '"2016-12-31T23:59:60Z"'),
        *('"2026-05-04T24:00:00Z"', '"2026-02-29T10:15:00Z"', '"2024-02-29T10:15:00Z"', '"2026-13-04T10:15:00Z"'),
        *('"2026-00-04T10:15:00Z"', '"2026-05-04T10:15:00+14:00"', '"2026-05-04T10:15:00-12:30"'),
        *('"2026-05-04T10:15:00+23:59"', '"2026-05-04T10:15:00+24:00"', '"2026-05-04T10:15:00+05:60"'),
        *('"2026-05-04T10:15:00-00:00"', '"2026-05-04T10:15:00+0100"', '"2026-05-04T10:15:00+01:00:30"'),
        *('"2026-05-04T10:15:00 Z"', '"0001-01-01T00:00:00Z"', '"0001-01-01T00:00:00+01:00"', '"0000-01-01T00:00:00Z"'),
        *('"9999-12-31T23:59:59.999999Z"', '"9999-12-31T23:59:59-01:00"', '"10000-01-01T00:00:00Z"'),
        *('"1899-12-31T23:59:59.5Z"', '"1969-12-31T23:59:59.999999Z"', '"1900-01-01T00:00:00+00:00"'),
        *('"２０２６-05-04T10:15:00Z"', '"2026-05-04T10:15:00Z "', "1767225600", '"1767225600"'),
    ]
)
good_currency = st.sampled_from(['"GBP"', '"GBP"', '"GBP"', '"EUR"'])
odd_currency = st.sampled_from(['"USD"', '"gbp"', '"GB"', '"GBPP"', r'"GBP\n"', '"GBP "', "null"])
odd_version = st.sampled_from(["2", "0", "-1", "1.0", "true", '"1"', "null", "9" * 30, "9" * 5000])
good_attribute = st.one_of(
    text_json,
    st.integers(-(10**15), 10**15).map(str),
    st.floats(-1e15, 1e15).map(json.dumps),
    st.sampled_from(
        ["true", "false", "0", "-0", "-0.0", "1.0", "1e15", '""', '"' + "x" * 40 + '"', '"' + "x" * 41 + '"']
    ),
    st.sampled_from([r'"a\u0000b"', '"a\x7fb"', "9007199254740993", "999999999999999.9"]),
)
odd_attribute = st.sampled_from(
    [
        *("null", "1000000000000001", "-1000000000000001", "1.1e15", "NaN", "1e400", "[]", "{}", "9" * 30),
        *('"' + "é" * 127 + '"', '"' + "x" * 255 + '"', '"' + "x" * 256 + '"', r'"\ud800"'),
    ]
)


def as_object(pairs):
    return "{" + ",".join(f"{name}:{value}" for name, value in pairs) + "}"


@st.composite
def an_object(draw, fields):
    """An object of these fields, each (usual, odd): at most one odd, perhaps one missing, twice, or unknown."""
    names = list(fields)
    odd = draw(st.one_of(st.none(), st.none(), st.sampled_from(names)))
    pairs = [(json.dumps(name), draw(fields[name][name == odd])) for name in names]
    quirk = draw(st.sampled_from(["none"] * 8 + ["missing", "twice", "unknown", "another kind"]))
    place = draw(st.integers(0, len(pairs) - 1))
    if quirk == "missing":
        del pairs[place]
    elif quirk == "twice":
        name = draw(st.sampled_from(names))
        pairs.insert(place, (json.dumps(name), draw(draw(st.sampled_from(fields[name])))))
    elif quirk == "unknown":
        pairs.insert(place, (draw(text_json), draw(any_json)))
    elif quirk == "another kind":
        pairs[place] = (pairs[place][0], draw(any_json))
    return as_object(draw(st.permutations(pairs)) if draw(st.booleans()) else pairs)


@st.composite
def list_of(draw, usual, odd):
    """A JSON list, now and then of none, or with one that is odd."""
    some = draw(st.lists(usual, min_size=1, max_size=3))
    if draw(st.integers(0, 5)) == 5:
        some = draw(st.sampled_from([[], [*some, draw(odd)]]))
    return "[" + ",".join(some) + "]"


line = an_object({"item_id": an_id, "quantity": (good_quantity, odd_quantity), "unit_price": (good_price, odd_price)})
plain_line = st.builds(
    lambda i, q, p: as_object([('"item_id"', i), ('"quantity"', q), ('"unit_price"', p)]),
    text_json,
    good_quantity,
    good_price,
)
names_and_values = st.lists(st.tuples(text_json, good_attribute), max_size=6)
good_attributes = names_and_values.map(as_object)
odd_attributes = st.builds(
    lambda some, one: as_object([*some, one]),
    names_and_values,
    st.one_of(st.tuples(text_json, odd_attribute), st.tuples(odd_text, good_attribute)),
)
head = {
    "event_id": an_id,
    "customer_id": an_id,
    "occurred_at": (good_time, odd_time),
    "v": (st.just("1"), odd_version),
}
guest = st.just('"guest:1"')
order = {
    **head,
    "order_id": an_id,
    "lines": (list_of(plain_line, line), list_of(line, any_json)),
    "currency": (good_currency, odd_currency),
}
odd_type = st.sampled_from(['"aliases"', '"Purchase"', '""', r'"\ud800"', '"erase"', '"profile"', '"return"'])


def typed(name, fields):
    return an_object({"type": (st.just(f'"{name}"'), odd_type), **fields})


nearly_valid = st.one_of(
    typed("purchase", order),
    typed("return", order),
    typed("profile", {**head, "attributes": (good_attributes, odd_attributes)}),
    typed("erase", head),
    typed("erase", {**head, "unless_newer": (st.sampled_from(["true", "false"]), any_json), "joined_to": an_id}),
    typed("alias", {**head, "alias_of": (st.one_of(text_json, st.just("null")), st.one_of(odd_text, guest))}),
    typed(
        "interaction",
        {
            **head,
            "kind": (st.sampled_from(['"shown"', '"clicked"']), any_json),
            "items": (list_of(text_json, odd_text), any_json),
            "source": (text_json, odd_text),
            "reasons": (list_of(text_json, odd_text), any_json),
        },
    ),
).map(lambda text: text.encode("utf-8", "surrogatepass"))


@st.composite
def mutated(draw):
    """A message after an accident."""
    message = bytearray(draw(nearly_valid))
    how = draw(st.integers(0, 6))
    if how == 0:
        return bytes(message[: draw(st.integers(0, len(message)))])
    if how == 1:
        for _ in range(draw(st.integers(1, 3))):
            message[draw(st.integers(0, len(message) - 1))] = draw(st.integers(0, 255))
    if how == 2:
        place = draw(st.integers(0, len(message)))
        message[place:place] = draw(st.binary(min_size=1, max_size=4))
    if how == 3:
        return b"\xef\xbb\xbf" + bytes(message)
    if how == 4:
        return (
            bytes(message).decode("utf-8", "replace").encode(draw(st.sampled_from(["utf-16", "utf-16-le", "utf-32"])))
        )
    if how == 5:
        return bytes(message) + draw(st.sampled_from([b" ", b"\n", b"x", b"{}", b"\x00"]))
    return bytes(message)


PURCHASE = (
    b'{"type":"purchase","event_id":"e1","customer_id":"c","occurred_at":"2026-05-04T10:15:00Z","order_id":"o",'
    b'"lines":[{"item_id":"i","quantity":2,"unit_price":2.55}],"currency":"GBP"}'
)

PROFILE = (
    b'{"type":"profile","event_id":"p1","customer_id":"c","occurred_at":"2026-05-04T10:15:00Z","attributes":{"a":1}}'
)

ALIAS = b'{"type":"alias","event_id":"a1","customer_id":"c","occurred_at":"2026-05-04T10:15:00Z","alias_of":"d"}'


def changed(old, new):
    assert old in PURCHASE
    return PURCHASE.replace(old, new)


@quick
@given(st.lists(nearly_valid, min_size=1, max_size=4))
@example([PURCHASE])
@example([changed(b'"e1"', b'"e\x7f"')])
@example([changed(b'"GBP"', b'"GBP","currency":"EUR"')])
@example([changed(b'"quantity":2', b'"quantity":2,"quantity":3')])
@example([changed(b"2.55", b"0.1234567"), PURCHASE, changed(b"2.55", b"0.123456")])
@example([changed(b'"quantity":2,"unit_price":2.55', b'"quantity":1000000,"unit_price":1000000')])
@example([changed(b'"quantity":2,"unit_price":2.55', b'"quantity":1000000,"unit_price":1000000.000001')])
def test_what_is_decoded_is_what_the_contract_accepts_with_the_same_values(messages):
    assert_decoded_as_the_contract_says(messages)


@quick
@given(st.lists(st.one_of(st.none(), st.binary(max_size=60), mutated(), nearly_valid), max_size=5))
@example([b"", b"\xff\xfe", b"\xef\xbb\xbf" + PURCHASE, None, PURCHASE.decode().encode("utf-16")])
@example([b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000])
@example([changed(b'"i"', b'"\xed\xa0\x80"'), changed(b'"i"', rb'"\ud800"'), changed(b'"c"', rb'"\udfff"')])
@example([b"1" * 100_000, b"1e" + b"9" * 1000, b"-", b'"', b"null", b"true", b"[]", b"{}", b'"purchase"'])
@example([changed(b"}],", b'}],"x":' + b"[" * 10_000 + b"]" * 10_000 + b",")])
@example([changed(b"}],", b'}],"\x80":1,'), changed(b"}],", b'}],"x":"\x80",'), changed(b"}],", b'}],"x":NaN,')])
@example([changed(b"}],", b'}],"x":' + b"1" * 5000 + b",")])
@example([PROFILE.replace(b"1}", b"9" * digits + b"}") for digits in (308, 309, 400, 4_000, 5_000)])
@example([changed(b"}],", b'}],"x":' + b"[" * 300 + b"]" * 300 + b",")])
@example([changed(b"}],", b'}],"x":' + b'{"a":' * 300 + b"1" + b"}" * 300 + b",")])
def test_any_bytes_are_an_event_or_a_dead_letter(values):
    assert_decoded_as_the_contract_says(values)


def plain(number):
    """A message that the fast reading takes."""
    return (
        b'{"type":"purchase","event_id":"e%d","customer_id":"c%d","occurred_at":"2024-01-%02dT10:00:00.5Z",'
        b'"order_id":"o","lines":[{"item_id":"a","quantity":2,"unit_price":2.5},'
        b'{"item_id":"b","quantity":1,"unit_price":0.07}],"currency":"GBP"}'
    ) % (number, number % 7, 1 + number % 28)


@given(
    st.integers(0, 70),
    st.dictionaries(st.integers(0, 70), st.one_of(st.none(), st.binary(max_size=20), mutated(), nearly_valid)),
)
@example(60, {5: plain(1).replace(b'"order_id"', b'"x":' + b"[" * 150 + b"]" * 150 + b',"order_id"')})
@example(60, {40: plain(1).replace(b'"order_id"', b'"x":' + b"[" * 250 + b"]" * 250 + b',"order_id"')})
@example(60, {40: plain(1).replace(b'"order_id"', b'"x":' + b'{"y":' * 250 + b"1" + b"}" * 250 + b',"order_id"')})
@example(60, {40: plain(1).replace(b'"order_id"', b'"x":' + b"7" * 5000 + b',"order_id"')})
@example(60, {23: plain(1).replace(b"GBP", b"EUR"), 24: plain(2).replace(b"2024", b"2999")})
@quick
def test_odd_records_change_nothing_for_those_beside_them(n, odd):
    values = [odd.get(place, plain(place)) for place in range(n)]
    assert_decoded_as_the_contract_says(values)


@given(
    st.integers(0, 30),
    st.dictionaries(st.integers(0, 30), st.one_of(st.none(), st.binary(max_size=20), mutated(), nearly_valid)),
)
@quick
def test_a_batch_that_is_decoded_in_pieces_is_as_in_one(n, odd):
    values = [odd.get(place, plain(place)) for place in range(n)]
    whole = decode(*values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_PIECE", 5)
        assert_decoded_as_the_contract_says(values)
        pieces = decode(*values)
    assert pieces.refused == whole.refused
    assert events_of(pieces) == events_of(whole)
    assert list(pieces.events.positions) == [100 + place for place in pieces.events.places]


@given(
    st.lists(st.integers(0, 9), max_size=6),
    st.dictionaries(st.integers(0, 30), st.one_of(st.none(), st.binary(max_size=20), mutated(), nearly_valid)),
)
@example([3, 0, 2], {0: b"", 3: PURCHASE, 4: changed(b"2.55", b"0.1234567")})
@quick
def test_batches_that_are_decoded_together_are_as_each_alone(sizes, odd):
    values = iter([odd.get(place, plain(place)) for place in range(sum(sizes))])
    batches = [batch_of([next(values) for _ in range(size)], partition=n) for n, size in enumerate(sizes)]
    apart = [Decoder(RATES).decode(batch) for batch in batches]
    for piece in (8, 480):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoding, "_PIECE", piece)
            together = Decoder(RATES).decode_each(batches)
        for one, alone in zip(together, apart, strict=True):
            assert one.events.partition == alone.events.partition
            assert one.refused == alone.refused
            assert events_of(one) == events_of(alone)
            assert list(one.events.positions) == list(alone.events.positions)


def test_records_of_the_future_are_told_apart_from_those_beside_them():
    messages = [plain(place) for place in range(50)]
    times = [to_micros(parse_event(message).occurred_at) for message in messages]
    batch = Batch(3, range(50), messages, [None] * 50, [at - (10 * MINUTE if at % 3 else 0) for at in times])
    decoded = Decoder(RATES).decode(batch)
    late = [place for place, at in enumerate(times) if at % 3]
    assert [(one.place, one.reason) for one in decoded.refused] == [(place, Reason.FUTURE) for place in late]
    assert sorted([*late, *decoded.events.places]) == list(range(50))


def test_the_generators_make_both_kinds_and_every_type():
    """Guards the properties above: they would hold trivially if nothing valid were ever drawn."""
    seen = Counter()

    @settings(max_examples=500, deadline=None, database=None, derandomize=True)
    @given(nearly_valid)
    def look(message):
        event = by_contract(message)
        seen["refused" if event is None else Kind(event[0]).name] += 1

    look()
    assert min(seen[name] for name in ("refused", *(set(Kind.__members__) - {"HAND_OVER"}))) >= 10, seen


def test_a_message_as_large_as_may_be_is_read_and_one_byte_more_is_not():
    fits = PURCHASE + b" " * (MAX_MESSAGE_BYTES - len(PURCHASE))
    assert len(decode(fits).events) == 1
    reason, message = refused(fits + b" ")
    assert reason == Reason.TOO_LARGE
    assert message == "1048577 bytes; a message may have 1048576"


def test_an_order_of_as_many_lines_as_may_be():
    one = b'{"item_id":"i","quantity":1,"unit_price":0.01}'
    whole = changed(b'{"item_id":"i","quantity":2,"unit_price":2.55}', b",".join([one] * MAX_LINES))
    assert decode(whole).events.amounts.tolist() == [MAX_LINES * 10_000]
    reason, message = refused(whole.replace(b"[" + one, b"[" + one + b"," + one))
    assert reason == Reason.INVALID
    assert "lines" in message
    assert "10000" in message


def test_an_orders_total_is_exact_up_to_its_limit():
    """9e12 in nine lines of 1e12, one of them with a millionth less: nothing a float could hold."""
    full = b'{"item_id":"i","quantity":1000000,"unit_price":1000000}'
    less = b'{"item_id":"i","quantity":999999,"unit_price":1000000.000001}'
    lines = [full] * 8 + [less]
    message = changed(b'{"item_id":"i","quantity":2,"unit_price":2.55}', b",".join(lines))
    amount = 8 * 10**18 + 999_999 * 1_000_000_000_001
    assert decode(message, PURCHASE).events.amounts.tolist() == [amount, 5_100_000]
    ten = changed(b'{"item_id":"i","quantity":2,"unit_price":2.55}', b",".join([full] * 10))
    reason, said = refused(ten)
    assert reason == Reason.INVALID
    assert "at most 9e12" in said
    assert by_contract(ten) is None


@pytest.mark.parametrize(
    ("value", "reason", "says"),
    [
        (None, Reason.EMPTY, "publish `erase`"),
        (b"", Reason.NOT_JSON, "Expecting value"),
        (b"hello", Reason.NOT_JSON, "Expecting value"),
        (PURCHASE[:50], Reason.NOT_JSON, "line 1 column"),
        (b"[1]", Reason.INVALID, "should be an object"),
        (changed(b'"purchase"', b'"order"'), Reason.UNKNOWN_TYPE, "'order' is none of purchase, return, profile"),
        (changed(b'"type":"purchase",', b""), Reason.UNKNOWN_TYPE, "none of purchase"),
        (changed(b'"purchase"', b'"alias"'), Reason.INVALID, "alias_of: Field required"),
        (ALIAS.replace(b'"d"', b'"guest:1"'), Reason.INVALID, "order of nobody known"),
        (ALIAS.replace(b'"d"', b'"d","customer_id":"guest:1"'), Reason.INVALID, "order of nobody known"),
        (b'{"type":"hand-over","event_id":"h"}', Reason.UNKNOWN_TYPE, "'hand-over' is none of purchase"),
        (changed(b"{", b'{"v":2,').replace(b'[{"v":2,', b"[{"), Reason.NEWER_VERSION, "upgrade and replay"),
        (changed(b'"c"', b'""'), Reason.INVALID, "customer_id: String should have at least 1 character"),
        (changed(b'"c"', b"17850"), Reason.INVALID, "customer_id: Input should be a valid string"),
        (changed(b'"c"', rb'"a\u0007"'), Reason.INVALID, "control characters are not allowed"),
        (changed(b"2.55", b"NaN"), Reason.INVALID, "finite number"),
        (changed(b"2.55", b"-1"), Reason.INVALID, "lines.0.unit_price: Input should be greater than or equal to 0"),
        (changed(b"2.55", b"0.1234567"), Reason.INVALID, "lines.0.unit_price: Value error, at most 6 decimals"),
        (changed(b'"quantity":2', b'"quantity":0'), Reason.INVALID, "quantity: Input should be greater than or equal"),
        (changed(b'"quantity":2', b'"quantity":1.5'), Reason.INVALID, "lines.0.quantity: Input should be a valid int"),
        (changed(b'T10:15:00Z"', b'T10:15:00"'), Reason.INVALID, "RFC 3339 time with a zone, such as 2026-05-04"),
        (changed(b'"2026-05-04T10:15:00Z"', b"1767225600"), Reason.INVALID, "RFC 3339 time with a zone"),
        (changed(b'"GBP"', b'"pounds"'), Reason.INVALID, "currency"),
        (changed(b'"GBP"', b'"USD"'), Reason.CURRENCY, "currency USD is not the shop's GBP and has no rate"),
        (
            changed(b'"GBP"', b'"EUR"').replace(b"2026-05", b"2016-05"),
            Reason.CURRENCY,
            "currency EUR has no rate as early",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_dead_letter_says_what_is_wrong_in_words(value, reason, says):
    got, message = refused(value)
    assert got == reason
    assert says in message
    assert len(message) <= 500


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_another_encoding_is_no_json(encoding):
    assert refused(PURCHASE.decode().encode(encoding))[0] == Reason.NOT_JSON


def test_a_version_of_a_thousand_digits_makes_no_message_of_a_thousand_digits():
    reason, message = refused(changed(b'{"type"', b'{"v":' + b"9" * 1000 + b',"type"'))
    assert reason == Reason.NEWER_VERSION
    assert len(message) <= 500


def test_amounts_are_converted_at_the_rate_of_their_day():
    euros = changed(b'"GBP"', b'"EUR"')

    def on(day):
        moment = (EPOCH + timedelta(microseconds=START + day * DAY)).isoformat().encode()
        return euros.replace(b"2026-05-04T10:15:00Z", moment)

    decoded = decode(on(0), on(9), on(10), on(11))
    assert decoded.events.amounts.tolist() == [2 * 2_167_500, 2 * 2_167_500, 2 * 2_295_000, 2 * 2_295_000]
    assert refused(on(-1))[0] == Reason.CURRENCY


def test_an_amount_that_is_too_large_only_after_conversion_is_a_dead_letter():
    rates = Rates("GBP", {"EUR": [(0, Decimal(1000))]})
    costly = changed(b'"GBP"', b'"EUR"').replace(b'2,"unit_price":2.55', b'1000,"unit_price":9999999')
    decoded = Decoder(rates).decode(batch_of([costly, PURCHASE]))
    assert [one.reason for one in decoded.refused] == [Reason.AMOUNT]
    assert "1e12" in decoded.refused[0].message
    assert decoded.events.amounts.tolist() == [5_100_000]


@pytest.mark.parametrize("after", [-MINUTE, 0, 5 * MINUTE])
def test_a_clock_that_is_a_little_fast_is_fine(after):
    at = by_contract(PURCHASE)[3]
    assert len(decode(PURCHASE, log_time=at - after).events) == 1


@pytest.mark.parametrize("message", [PURCHASE, PURCHASE.replace(b"T10", b" 10")], ids=["fast", "slow"])
def test_an_event_from_the_future_is_a_dead_letter(message):
    at = by_contract(message)[3]
    reason, text = refused(message, log_time=at - 5 * MINUTE - 1)
    assert reason == Reason.FUTURE
    assert "2026-05-04" in text
    assert "clock" in text


SHOWN = (
    b'{"type":"interaction","event_id":"e","customer_id":"c","occurred_at":"2026-05-04T10:15:00Z",'
    b'"kind":"shown","items":["i","j"],"source":"discover","reasons":["because:k","new"]}'
)


@pytest.mark.parametrize(
    "message",
    [
        SHOWN,
        SHOWN.replace(b',"source":"discover","reasons":["because:k","new"]', b""),
        SHOWN.replace(b'"shown"', b'"clicked"'),
        SHOWN.replace(b'"because:k"', b'"because:' + b"k" * 128 + b'"'),
        SHOWN.replace(b"discover", "d\u00e9couvrir".encode()),
        SHOWN.replace(b'["because:k","new"]', b"[]"),
    ],
)
def test_an_interaction_is_read_and_has_no_lines(message):
    assert isinstance(parse_event(message), Interaction)
    assert_decoded_as_the_contract_says([message])
    assert events_of(decode(message))[0][0] == Kind.INTERACTION


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'["because:k","new"]', b'["new"]'),
        (b'["because:k","new"]', b"null"),
        (b'"because:k"', b'"' + b"r" * 161 + b'"'),
        (b'"discover"', b'"a\x7f"'),
        (b'"discover"', b'"a\\u0000"'),
        (b'"discover"', rb'"\ud800"'),
        (b'"shown"', b'"seen"'),
        (b'["i","j"]', b"[]"),
    ],
)
def test_an_interaction_that_the_contract_refuses(old, new):
    message = SHOWN.replace(old, new)
    assert by_contract(message) is None
    assert refused(message)[0] == Reason.INVALID
    assert_decoded_as_the_contract_says([message, SHOWN])


def test_an_empty_batch():
    decoded = decode()
    assert len(decoded.events) == 0
    assert decoded.refused == []


@given(st.lists(st.text(max_size=8)))
def test_hashes_are_the_documented_ones(texts):
    """Stored in rows: another hash would count every known event again."""
    try:
        expected = [int.from_bytes(blake2b(t.encode(), digest_size=8).digest(), "little") for t in texts]
    except UnicodeEncodeError:
        return
    assert hashes(texts).tolist() == expected
