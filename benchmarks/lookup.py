"""Answers per second of a CustomerReader: plain, near-cached, many at once; beside redis-py's GET and redis-benchmark.

All in one process against one server, over one connection each, in turns; figures are medians over the rounds. A speed
on a shared machine means little: the ratios are what counts.

    python -m benchmarks.lookup [--customers N] [--reads N] [--rounds N] [--json]

The server is that of REDIS_URL, else Docker's `redis:8`, else the machine's.
"""

import argparse
import asyncio
import csv
import io
import json
import random
import shutil
import statistics
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import redis

from contracts.documents import ColdStart, CustomerView, Membership, Withdrawn
from contracts.keys import Keys
from recommender.reader import CustomerReader
from recommender.reader_async import AsyncCustomerReader
from tests.servers import redis_server

SLICE: Final = 250
"""Reads of one kind before it is another one's turn."""
MANY: Final = 100
"""Customers of one `get_many`."""
UPDATES: Final = 200
SEED: Final = 1
AS_OF: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Figures:
    """What `--json` prints. Speeds are reads (customers) per second of one thread."""

    near_cached_per_s: float
    plain_per_s: float
    many_per_s: float
    redis_py_get_per_s: float
    plain_to_redis_py: float
    """Median of the ratio, round by round."""
    plain_p99_ms: float
    async_plain_per_s: float
    """One question after the other."""
    async_near_cached_per_s: float
    redis_benchmark_get_per_s: float | None
    """With its 50 clients; None where there is no redis-benchmark."""
    redis_benchmark_one_client_per_s: float | None
    update_seen_p99_ms: float
    """From the writer's SET being sent to a near-cached reader's new answer."""
    view_bytes: int
    redis_version: str


def fill(client: "redis.Redis", keys: Keys, customers: int) -> int:
    """Write a view of twenty items for everybody; the size of one."""
    view = b""
    withdrawn = Withdrawn(version=1, items=tuple(f"gone{i}" for i in range(1_000)))
    with client.pipeline(transaction=False) as pipeline:
        for number in range(customers):
            view = document(number, version=1)
            pipeline.set(keys.customer(str(number)), view)
        pipeline.set(keys.cold_start(), ColdStart(items=(), as_of=AS_OF, model_version=1).encode())
        pipeline.set(keys.withdrawn(), withdrawn.encode())
        pipeline.set(keys.catalogue_version(), 1)
        pipeline.execute()
    return len(view)


def document(number: int, version: int) -> bytes:
    """The view of a customer."""
    return CustomerView(
        customer_id=str(number),
        segment=Membership(id=5, name="Champions", since=AS_OF, previous=3, cause="purchase"),
        items=tuple(
            (str(20_000 + (number * 7 + i * 13) % 5_000), round(0.9 / (i + 1), 4), "again" if i % 2 else "popular")
            for i in range(20)
        ),
        as_of=AS_OF,
        model_version=version,
        written_by=(version, "4bb8b9b11c247a4b"),
    ).encode()


def in_turns(
    work: Mapping[str, Callable[[Sequence[str]], object]], ids: Sequence[str], order: random.Random
) -> dict[str, float]:
    """Customers per second of each kind of work.

    They take turns at the ids, so that what disturbs one disturbs all, in an order drawn anew each time: who comes
    after whom matters, too.
    """
    passed = dict.fromkeys(work, 0.0)
    for start in range(0, len(ids), SLICE):
        some = ids[start : start + SLICE]
        for name in order.sample(list(work), len(work)):
            began = time.perf_counter()
            work[name](some)
            passed[name] += time.perf_counter() - began
    return {name: len(ids) / seconds for name, seconds in passed.items()}


def each_of(question: Callable[[Any], object], about: Sequence[Any]) -> None:
    """Ask, and let go of the answer as an application would."""
    for one in about:
        question(one)


def percentile_99(seconds: Sequence[float]) -> float:
    """In milliseconds."""
    return statistics.quantiles(seconds, n=100)[98] * 1_000


def timings(reader: CustomerReader, ids: Sequence[str]) -> list[float]:
    """Seconds of each read."""
    taken = []
    for customer_id in ids:
        began = time.perf_counter()
        reader.get(customer_id)
        taken.append(time.perf_counter() - began)
    return taken


def redis_benchmark(url: str, key: str, clients: int, reads: int) -> float | None:
    """What the server's own tool makes of GET; None where there is none."""
    program = shutil.which("redis-benchmark")
    if program is None:
        return None
    where = urlsplit(url)
    command = [program, "-h", where.hostname or "", "-p", str(where.port or 6379), "--csv"]
    for flag, value in (("--user", where.username), ("-a", where.password)):
        command += [flag, value] if value else []
    if where.scheme == "rediss":
        files = dict(parse_qsl(where.query))
        flags = {"--cacert": "ssl_ca_certs", "--cert": "ssl_certfile", "--key": "ssl_keyfile"}
        command += ["--tls", *(part for flag, name in flags.items() if name in files for part in (flag, files[name]))]
    done = subprocess.run(  # noqa: S603 - found by its name
        [*command, "-c", str(clients), "-n", str(reads), "GET", key], capture_output=True, text=True, check=True
    )
    header, row = list(csv.reader(io.StringIO(done.stdout)))[-2:]
    return float(row[header.index("rps")])


def update_delays(client: "redis.Redis", keys: Keys, reader: CustomerReader) -> list[float]:
    """Seconds from writing a view to the near-cached reader's answer, one after the other."""
    delays = []
    for version in range(2, UPDATES + 2):
        reader.get("0")
        began = time.perf_counter()
        client.set(keys.customer("0"), document(0, version))
        while reader.get("0").model_version != version:
            time.sleep(0)  # the listener is a thread of this process
        delays.append(time.perf_counter() - began)
    return delays


async def asking(url: str, prefix: str, ids: Sequence[str], *, near_cache: int) -> float:
    """Reads per second in an event loop, one after the other, after a warming round."""
    async with AsyncCustomerReader(url, prefix, near_cache=near_cache) as reader:
        began = 0.0
        for _ in range(2):
            for customer_id in [*ids, *ids]:
                await reader.get(customer_id)
                if not began:
                    await asyncio.sleep(0)  # lets the listener connect
            if began:
                return 2 * len(ids) / (time.perf_counter() - began)
            began = time.perf_counter()
    return 0.0


def measure(url: str, customers: int, reads: int, rounds: int) -> Figures:
    """Everything, in turns."""
    keys = Keys(f"bench-{uuid.uuid4().hex[:8]}")
    order = random.Random(SEED)
    ids = [str(order.randrange(customers)) for _ in range(reads)]
    with (
        redis.Redis.from_url(url) as client,
        CustomerReader(url, keys.prefix) as plain,
        CustomerReader(url, keys.prefix, near_cache=customers + 10) as near,
    ):
        view_bytes = fill(client, keys, customers)
        work: dict[str, Callable[[Sequence[str]], object]] = {
            "redis_py": lambda some: each_of(client.get, [keys.customer(customer_id) for customer_id in some]),
            "plain": lambda some: each_of(plain.get, some),
            "many": lambda some: each_of(plain.get_many, [some[i : i + MANY] for i in range(0, len(some), MANY)]),
        }
        in_turns(work, ids, order)
        near_work = {"near": lambda some: each_of(near.get, some)}
        hot = ids * 5
        in_turns(near_work, ids, order)
        speeds: dict[str, list[float]] = {name: [] for name in (*work, "near", "async", "async near", "tool", "tool 1")}
        taken: list[float] = []
        for _ in range(rounds):
            for name, speed in (in_turns(work, ids, order) | in_turns(near_work, hot, order)).items():
                speeds[name].append(speed)
            taken += timings(plain, ids)
            speeds["async"].append(asyncio.run(asking(url, keys.prefix, ids[: reads // 4], near_cache=0)))
            speeds["async near"].append(asyncio.run(asking(url, keys.prefix, ids[:1_000], near_cache=customers + 10)))
            for name, clients in (("tool", 50), ("tool 1", 1)):
                found = redis_benchmark(url, keys.customer(ids[0]), clients, reads)
                speeds[name] += [] if found is None else [found]
        delays = update_delays(client, keys, near)
        version = client.info("server")["redis_version"]
        for key in client.scan_iter(f"{keys.prefix}:*", count=1_000):
            client.unlink(key)
    median = {name: round(statistics.median(found), 1) if found else None for name, found in speeds.items()}
    ratios = [ours / theirs for ours, theirs in zip(speeds["plain"], speeds["redis_py"], strict=True)]
    return Figures(
        near_cached_per_s=median["near"] or 0.0,
        plain_per_s=median["plain"] or 0.0,
        many_per_s=median["many"] or 0.0,
        redis_py_get_per_s=median["redis_py"] or 0.0,
        plain_to_redis_py=round(statistics.median(ratios), 3),
        plain_p99_ms=round(percentile_99(taken), 3),
        async_plain_per_s=median["async"] or 0.0,
        async_near_cached_per_s=median["async near"] or 0.0,
        redis_benchmark_get_per_s=median["tool"],
        redis_benchmark_one_client_per_s=median["tool 1"],
        update_seen_p99_ms=round(percentile_99(delays), 3),
        view_bytes=view_bytes,
        redis_version=version,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--reads", type=int, default=10_000, help="in each round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with redis_server() as url:
        figures = asdict(measure(url, options.customers, options.reads, options.rounds))
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:34} {value:>14,}" if isinstance(value, int | float) else f"{name:34} {value or '-':>14}")


if __name__ == "__main__":
    main()
