"""Partitions in step with each other: nothing is lost or reordered, and time does not run ahead."""

from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from consumer.currency import Rates
from consumer.decoding import Decoder
from consumer.event_order import EventOrder
from contracts.events import Alias, Line, Profile, Purchase, encode_event
from contracts.times import DAY, EPOCH
from logs.base import Batch
from tests.in_process import LOG_TIME, START, InProcess

days = st.lists(st.one_of(st.none(), st.integers(0, 30)), max_size=12)


def message(number, day):
    """A purchase, a profile or an alias of a day; something unusable for None."""
    if day is None:
        return b"?"
    at = EPOCH + timedelta(microseconds=START + day * DAY)
    if number % 5 == 4:
        return encode_event(Profile(event_id=f"e{number}", customer_id="c", occurred_at=at, attributes={"age": number}))
    if number % 5 == 3:
        return encode_event(Alias(event_id=f"e{number}", customer_id="c", occurred_at=at, alias_of=f"d{number}"))
    lines = tuple(Line(item_id=f"i{place}", quantity=1 + place, unit_price=number) for place in range(1 + number % 3))
    return encode_event(
        Purchase(event_id=f"e{number}", customer_id="c", occurred_at=at, order_id="o", lines=lines, currency="GBP")
    )


def batch_of(partition, days):
    n = len(days)
    values = [message(100 * partition + place, day) for place, day in enumerate(days)]
    return Batch(partition, range(50, 50 + n), values, [None] * n, [LOG_TIME] * n, {0: (("h", b"v"),)} if n else {})


def plain(batch, decoded):
    """What a batch holds, record by record."""
    events = decoded.events
    found = [None] * len(batch)
    for one in decoded.refused:
        found[one.place] = (batch.positions[one.place], one.reason)
    for i, place in enumerate(events.places):
        lines = slice(events.lines_from[i], events.lines_from[i + 1])
        found[place] = (
            batch.positions[place],
            events.kinds[i],
            int(events.event_hashes[i]),
            events.ats[i],
            events.attributes.get(i),
            events.items[lines],
            np.asarray(events.quantities[lines]).tolist(),
            int(events.amounts[i]),
            events.aliases.get(i),
        )
        assert events.positions[i] == batch.positions[place]
    assert None not in found
    assert len(events.lines_from) == len(events) + 1
    assert events.lines_from[0] == 0
    return found


@given(st.lists(days.filter(bool), min_size=1, max_size=4), st.integers(1, 10))
def test_what_is_taken_is_all_there_was_in_the_order_of_the_log(partitions, interval):
    decoder, order = Decoder(Rates("GBP")), EventOrder(interval * DAY)
    whole = {}
    for number, some in enumerate(partitions):
        batch = batch_of(number, some)
        whole[number] = plain(batch, decoder.decode(batch))
        order.add(batch, decoder.decode(batch))
    taken = {number: [] for number in whole}
    steps = 0
    while order:
        nexts = [one.next_at for one in order._waiting.values()]
        oldest = min((at for at in nexts if at is not None), default=0)
        step = order.take()
        assert step
        for batch, decoded in step:
            taken[batch.partition] += plain(batch, decoded)
            assert all(at // (interval * DAY) <= oldest // (interval * DAY) for at in decoded.events.ats)
        steps += 1
    assert taken == whole
    assert steps <= sum(map(len, partitions))


def test_a_backlog_is_worked_off_day_by_day_in_all_partitions_at_once():
    shop = InProcess(partitions=3)
    for day in range(30):
        for who in range(60):
            if (who + day) % 3 == 0:
                at = EPOCH + timedelta(microseconds=START + day * DAY + who)
                shop.publish(
                    Purchase(
                        event_id=f"{who}-{day}",
                        customer_id=f"c{who}",
                        occurred_at=at,
                        order_id="o",
                        lines=(Line(item_id="i", quantity=1, unit_price=5.0 + who % 9),),
                        currency="GBP",
                    )
                )
    worker = shop.worker()
    seen = []
    while not worker.idle or not seen:
        worker.step(0.0)
        seen.append(max((held.clock for held in worker.memory.held.values()), default=0))
    clocks = sorted({(at - START) // DAY for at in seen if at > 0})
    assert len(clocks) == 30
    assert shop.run(worker).memory.learner.model.version >= 2
