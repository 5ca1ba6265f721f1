"""Counts and sums up with Faust: an agent and a table, in memory, with a changelog topic."""

import json
import os
import sys
import time
import uuid
from typing import Any

import faust

what = json.loads(sys.argv[1])
app = faust.App(
    f"faust-{uuid.uuid4().hex[:8]}",
    broker=f"kafka://{what['bootstrap']}",
    store="memory://",
    datadir=what["folder"],
    topic_partitions=what["partitions"],
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
)
topic = app.topic(what["topic"], value_serializer="json")
totals = app.Table("totals", default=lambda: (0, 0.0))


@app.agent(topic)
async def add(events: Any) -> None:
    """Count events, and sum up by customer."""
    began, seen, buyers = 0.0, 0, set()
    async for event in events:
        began = began or time.perf_counter()
        seen += 1
        who = event["customer_id"]
        count, spend = totals[who]
        if event["type"] == "purchase":
            buyers.add(who)
            spend += sum(line["quantity"] * line["unit_price"] for line in event["lines"])
        totals[who] = (count + 1, spend)
        if seen == what["events"]:
            figures = {
                "events": seen,
                "seconds": time.perf_counter() - began,
                "customers": len(buyers),
                "spend": sum(totals[who][1] for who in buyers),
            }
            print(json.dumps(figures), flush=True)
            os._exit(0)  # leaving a group in order takes Faust many seconds


faust.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()
