"""Counts and sums up with Quix Streams: a stateful `update`, its state in RocksDB, with a changelog topic."""

import json
import sys
import time
import uuid
from types import SimpleNamespace
from typing import Any

from quixstreams import Application

what = json.loads(sys.argv[1])
app = Application(
    broker_address=what["bootstrap"],
    consumer_group=f"quix-{uuid.uuid4().hex[:8]}",
    auto_offset_reset="earliest",
    state_dir=what["folder"],
    loglevel="ERROR",
)
so_far = SimpleNamespace(began=0.0, ended=0.0, events=0)
totals: dict[str, float] = {}


def add(event: dict[str, Any], state: Any) -> None:
    """Count an event, and add what a customer paid to the customer's state."""
    so_far.began = so_far.began or time.perf_counter()
    so_far.events += 1
    count, spend = state.get("total", (0, 0.0))
    if event["type"] == "purchase":
        spend += sum(line["quantity"] * line["unit_price"] for line in event["lines"])
        totals[event["customer_id"]] = spend
    state.set("total", (count + 1, spend))
    if so_far.events == what["events"]:
        so_far.ended = time.perf_counter()


events = app.dataframe(app.topic(what["topic"], value_deserializer="json"))
events.update(add, stateful=True)
app.run(count=what["events"], timeout=60)
seconds = (so_far.ended or time.perf_counter()) - so_far.began
figures = {"events": so_far.events, "seconds": seconds, "customers": len(totals), "spend": sum(totals.values())}
print(json.dumps(figures))
