"""Events as a worker would judge them, before they stand on the log."""

from collections.abc import Sequence

from consumer.currency import Rates
from consumer.decoding import Decoder
from dashboard.event_intake import Judge, Judged
from logs.base import Batch


def judge_of(rates: Rates) -> Judge:
    """A judge by the workers' own decoder, under the deployment's currency and rates."""
    decoder = Decoder(rates)

    def judge(messages: Sequence[bytes], now: int) -> Judged:
        count = len(messages)
        decoded = decoder.decode(Batch(0, range(count), list(messages), [None] * count, [now] * count))
        return Judged(
            dict(zip(decoded.events.places, decoded.events.customer_ids, strict=True)),
            {one.place: (one.reason.value, one.message) for one in decoded.refused},
        )

    return judge
