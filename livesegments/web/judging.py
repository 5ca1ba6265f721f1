"""Events as a worker would judge them, before they stand on the log."""

from collections.abc import Sequence

from consumer.currency import Rates
from consumer.dead_letters import Reason
from consumer.decoding import Decoder
from consumer.event_columns import Kind
from consumer.hand_over import TYPE
from dashboard.event_intake import Judge, Judged
from logs.base import Batch


def judge_of(rates: Rates) -> Judge:
    """A judge by the workers' own decoder, under the deployment's currency and rates."""
    decoder = Decoder(rates)

    def judge(messages: Sequence[bytes], now: int) -> Judged:
        count = len(messages)
        decoded = decoder.decode(Batch(0, range(count), list(messages), [None] * count, [now] * count))
        events = decoded.events
        customer_ids = dict(zip(events.places, events.customer_ids, strict=True))
        refused = {one.place: (one.reason.value, one.message) for one in decoded.refused}
        for i in events.handed_over:  # what workers tell each other
            del customer_ids[events.places[i]]
            refused[events.places[i]] = (Reason.UNKNOWN_TYPE.value, f"type {TYPE!r} is none that anybody may publish")
        return Judged(
            customer_ids,
            refused,
            frozenset(place for place, kind in zip(events.places, events.kinds, strict=True) if kind == Kind.ERASE),
        )

    return judge
