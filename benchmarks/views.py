"""Customers per second whose view one process rewrites, each with full recommendations of a learnt item model.

The worker's own writer ranks, encodes and writes views of everybody, as after an item review. Beside it, in turns, the
same documents are written by redis-py alone: the ceiling. Figures are medians over the rounds.

    python -m benchmarks.views [--customers N] [--items N] [--repeat N] [--json]
"""

import argparse
import json
import statistics
import time
import uuid
from functools import partial
from typing import Any

import redis

from benchmarks.filling import fill, settings_of
from benchmarks.loading import Servers
from benchmarks.one_worker import one_worker
from benchmarks.throughput import apart
from consumer.view_writer import CHUNK
from contracts.documents import CustomerView
from contracts.keys import Keys
from tests.servers import kafka_server, redis_server


def rewrite(servers: Servers, repeat: int) -> dict[str, float]:
    """Load everybody, and write all views again and again."""
    keys = Keys(servers.tag)
    with one_worker(servers.bootstrap, servers.redis_url, settings_of(servers)) as worker:
        while not worker.memory.holds_all or not worker.idle:
            worker.step(0.1)
        memory = worker.memory
        held, views = memory.held, memory.views
        ids = [customer_id for one in held.values() for customer_id in one.rows.index]
        speeds, ceilings, busy = [], [], []
        for _ in range(repeat):
            views.rewrite_all(held.values())
            written, began, worked = views.figures.written, time.perf_counter(), time.process_time()
            while views.pending(held.values()):
                views.write(held, memory.learner.model, worker.clock.now, 3600.0)
            passed = time.perf_counter() - began
            busy.append((time.process_time() - worked) / (views.figures.written - written) * 1e6)
            speeds.append((views.figures.written - written) / passed)
            ceilings.append(_written_alone(servers, keys, ids))
        assert memory.item_model is not None, "no item model was learnt"
        known = len(memory.item_model.ids)
        worker.close()
    with redis.Redis.from_url(servers.redis_url) as client:
        some = [document for document in client.mget(map(keys.customer, ids[:1_000])) if document is not None]
    lists = [len(CustomerView.model_validate_json(document).items) for document in some]
    return {
        "customers": len(ids),
        "items_learnt": known,
        "items_in_a_view": round(statistics.fmean(lists), 1),
        "view_bytes": round(statistics.fmean(map(len, some))),
        "views_per_s": round(statistics.median(speeds)),
        "processor_s_per_million": round(statistics.median(busy), 1),
        "redis_py_writes_per_s": round(statistics.median(ceilings)),
        "share_of_redis_py": round(statistics.median(a / b for a, b in zip(speeds, ceilings, strict=True)), 3),
    }


def _written_alone(servers: Servers, keys: Keys, ids: list[str]) -> float:
    """Documents per second that redis-py writes, as many in a round trip as the worker does."""
    with redis.Redis.from_url(servers.redis_url) as client:
        names = list(map(keys.customer, ids))
        found = [pair for pair in zip(names, client.mget(names), strict=True) if pair[1] is not None]
        began = time.perf_counter()
        for start in range(0, len(found), CHUNK):
            pipe = client.pipeline(transaction=False)
            for name, document in found[start : start + CHUNK]:
                pipe.set(name, document, px=7_200_000)
            pipe.execute()
        return len(found) / (time.perf_counter() - began)


def run(customers: int, items: int, repeat: int) -> dict[str, Any]:
    """Fill, then write."""
    with kafka_server() as bootstrap, redis_server() as redis_url:
        servers = Servers(bootstrap, redis_url, f"views-{uuid.uuid4().hex[:8]}")
        fill(servers, customers, items)
        figures: dict[str, Any] = apart(partial(rewrite, servers, repeat))
        return figures


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=6_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    arguments = parser.parse_args()
    figures = run(arguments.customers, arguments.items, arguments.repeat)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:28} {value:>14,}")


if __name__ == "__main__":
    main()
