"""Counts and sums up with Bytewax: a stateful fold by customer over the Kafka source, a thousand records at a time."""

import json
import sys
import time
from types import SimpleNamespace
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, run_main

what = json.loads(sys.argv[1])
clock = SimpleNamespace(began=0.0, ended=0.0)
Total = tuple[int, float, bool]


def paid(message: Any) -> tuple[str, tuple[float, bool]]:
    """Who an event is about, and what was paid."""
    clock.began = clock.began or time.perf_counter()
    event = orjson.loads(message.value)
    purchase = event["type"] == "purchase"
    spend = sum(line["quantity"] * line["unit_price"] for line in event["lines"]) if purchase else 0.0
    return event["customer_id"], (spend, purchase)


def add(total: Total, one: tuple[float, bool]) -> Total:
    """A customer's events, what they paid, and whether they bought at all."""
    clock.ended = time.perf_counter()
    count, spend, bought = total
    return count + 1, spend + one[0], bought or one[1]


flow = Dataflow("count")
records = kop.input("records", flow, brokers=[what["bootstrap"]], topics=[what["topic"]], tail=False, batch_size=1000)
keyed = op.map("paid", records.oks, paid)
found: list[tuple[str, Total]] = []
op.output("found", op.fold_final("add", keyed, lambda: (0, 0.0, False), add), TestingSink(found))
run_main(flow)
totals = [total for _, total in found]
print(
    json.dumps(
        {
            "events": sum(count for count, _, _ in totals),
            "seconds": clock.ended - clock.began,
            "customers": sum(bought for _, _, bought in totals),
            "spend": sum(spend for _, spend, _ in totals),
        }
    )
)
