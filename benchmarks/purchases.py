"""Purchases put together by hand: whoever publishes them shares the machine with those that are measured."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from benchmarks.loading import of_shop


def purchases(**shop: Any) -> Callable[[str, int, str, float], bytes]:
    """Makes an event from a customer, a number, what makes its id nobody else's, and when it happened (epoch seconds).

    What is bought is what the synthetic shop's customers buy.
    """
    events = (json.loads(message.value) for message in of_shop(5_000, **shop))
    parts = [{"currency": "GBP", "lines": event["lines"]} for event in events if event["type"] == "purchase"]
    rests = [json.dumps(part)[1:] for part in parts]

    def purchase(customer: str, number: int, prefix: str, at: float) -> bytes:
        return (
            f'{{"type": "purchase", "event_id": "{prefix}{number}", "customer_id": "{customer}", '
            f'"order_id": "{number}", "occurred_at": "{datetime.fromtimestamp(at, UTC).isoformat()}", '
            f"{rests[number % len(rests)]}"
        ).encode()

    return purchase
