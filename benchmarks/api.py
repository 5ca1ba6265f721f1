"""The HTTP API under load: events in by batches, customers read at a rate, pages of a segment, tables.

One process of `livesegments web`; events go over it to the log, a worker makes customers of them, and these are read.
A speed on a shared machine means little: `load` says how busy it was.

    python -m benchmarks.api [--customers N] [--seconds N] [--rate N] [--redis-log] [--json]

Kafka and Redis are found as in tests. Reading needs `wrk`; without it those figures are null.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.servers import kafka_server, redis_server

BATCH: Final = 1_000
"""Events of one request."""
SENDERS: Final = 4
CONNECTIONS: Final = 32
"""Of wrk."""
PAGE: Final = 100
PAGES: Final = 50

# Asks for one customer after the other, with a pause that makes the rate; the ids of those there are.
_SCRIPT: Final = """
math.randomseed(1)
request = function() return wrk.format("GET", "/customers/c" .. math.random(0, %(customers)d - 1)) end
delay = function() return %(pause)s end
done = function(summary, latency, requests)
  io.write(string.format("FIGURES %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
"""


@dataclass(frozen=True)
class Reading:
    """What wrk found."""

    per_s: float
    p50_ms: float
    p99_ms: float
    errors: int


@dataclass(frozen=True)
class Figures:
    """What `--json` prints."""

    customers: int
    log: str
    events_per_s: float
    """By batches of 1,000 from four connections, each acknowledged."""
    cpu_us_per_event: float
    """Of the process of the API: what a busy machine changes least."""
    paced: Reading | None
    """GET /customers/{id} at the rate."""
    flat_out: Reading | None
    """The same as fast as it goes."""
    cpu_us_per_read: float | None
    page_ms: float
    """Of 100 members of the largest segment: median."""
    page_worst_ms: float
    csv_customers_per_s: float
    parquet_customers_per_s: float
    load: float
    """Processes that wanted to run, over the last minute."""


def _events(start: int) -> bytes:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
    return json.dumps(
        [
            {
                "type": "purchase",
                "event_id": f"e{n}",
                "customer_id": f"c{n}",
                "occurred_at": now,
                "order_id": f"o{n}",
                "lines": [
                    {"item_id": f"i{(n * 7 + line) % 2000}", "quantity": 1 + line, "unit_price": 2.5}
                    for line in range(1 + n % 3)
                ],
                "currency": "GBP",
            }
            for n in range(start, start + BATCH)
        ]
    ).encode()


def publish(address: str, bodies: Sequence[bytes]) -> float:
    """Events per second."""

    def send(mine: Sequence[bytes]) -> None:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
        for body in mine:
            connection.request("POST", "/events", body, {"Content-Type": "application/json"})
            answer = json.load(connection.getresponse())
            assert answer.get("accepted") == BATCH, answer
        connection.close()

    began = time.perf_counter()
    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(send, [bodies[place::SENDERS] for place in range(SENDERS)]))
    return BATCH * len(bodies) / (time.perf_counter() - began)


def read(address: str, customers: int, seconds: int, rate: int | None) -> Reading | None:
    """Let wrk ask."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return None
    pause = f"math.random(0, {2_000 * CONNECTIONS // rate})" if rate else "0"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_SCRIPT % {"customers": customers, "pause": pause})
        script.flush()
        out = subprocess.run(  # noqa: S603 - our own arguments
            [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", script.name, address],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    line = next(line for line in out.splitlines() if line.startswith("FIGURES"))
    requests, micros, p50, p99, errors = map(int, line.split()[1:])
    return Reading(round(requests * 1e6 / micros, 1), p50 / 1e3, p99 / 1e3, errors)


def _asked_for(rate: int, found: Reading) -> int:
    """The rate to ask for so that it comes out: wrk's pauses begin only when an answer is there."""
    return round(rate * min(rate / found.per_s, 1.5))


def _get(address: str, path: str) -> bytes:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=600)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    assert response.status == http.HTTPStatus.OK, body
    connection.close()
    return body


def pages(address: str) -> list[float]:
    """Milliseconds of each of the first pages of the largest segment."""
    sizes: list[dict[str, Any]] = json.loads(_get(address, "/segments"))["segments"]
    largest = max(sizes, key=lambda one: one["size"])["id"]
    found: list[float] = []
    cursor = ""
    while len(found) < PAGES:
        began = time.perf_counter()
        page = json.loads(_get(address, f"/segments/{largest}/customers?limit={PAGE}{cursor}"))
        found.append((time.perf_counter() - began) * 1e3)
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    return found


def _rate_of(address: str, path: str, customers: int) -> float:
    began = time.perf_counter()
    _get(address, path)
    return customers / (time.perf_counter() - began)


@contextlib.contextmanager
def serving(settings: Sequence[str]) -> Iterator[tuple[str, int]]:
    """`livesegments web` in a process of its own; its URL and number."""
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "livesegments", "web", *settings, "--web-address", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield found[0], process.pid
                return
        raise RuntimeError("livesegments web did not start")
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(process: int) -> float:
    """What a process has used."""
    used = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")


def measure(customers: int, seconds: int, rate: int, redis_url: str, log_url: str) -> Figures:
    """All figures."""
    tag = f"bench-{uuid.uuid4().hex[:8]}"
    settings = [
        *("--redis-url", redis_url, "--log-url", log_url, "--key-prefix", tag, "--log-prefix", f"{tag}-"),
        *("--group", tag, "--log-level", "info"),
    ]
    bodies = [_events(start) for start in range(0, customers, BATCH)]
    with serving(settings) as (address, process):
        used = cpu_seconds(process)
        events_per_s = publish(address, bodies)
        per_event = (cpu_seconds(process) - used) / customers
        worker = [sys.executable, "-m", "livesegments", "worker", *settings, "--until-idle", "3s"]
        subprocess.run(worker, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
        warming = read(address, customers, 2, rate)
        paced = read(address, customers, seconds, _asked_for(rate, warming)) if warming else None
        used = cpu_seconds(process)
        flat_out = read(address, customers, seconds, None)
        per_read = (cpu_seconds(process) - used) / (flat_out.per_s * seconds) if flat_out else None
        times = sorted(pages(address))
        return Figures(
            customers=customers,
            log=urlsplit(log_url).scheme,
            events_per_s=round(events_per_s),
            cpu_us_per_event=round(per_event * 1e6, 1),
            paced=paced,
            flat_out=flat_out,
            cpu_us_per_read=None if per_read is None else round(per_read * 1e6, 1),
            page_ms=round(times[len(times) // 2], 1),
            page_worst_ms=round(times[-1], 1),
            csv_customers_per_s=round(_rate_of(address, "/export/customers.csv", customers)),
            parquet_customers_per_s=round(_rate_of(address, "/export/customers.parquet", customers)),
            load=round(os.getloadavg()[0], 1),
        )


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """--json [FILE]."""
    parser.add_argument("--json", type=Path, nargs="?", const=Path("-"), help="into a file, or to the screen")


def tell(figures: dict[str, Any], to: Path | None) -> None:
    """Figures as JSON, to where --json says; to the screen where it says nothing."""
    text = json.dumps(figures, indent=2)
    if to is None or str(to) == "-":
        print(text)
    else:
        to.write_text(f"{text}\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rate", type=int, default=2_000, help="requests per second")
    parser.add_argument("--redis-log", action="store_true", help="the log in Redis in place of Kafka")
    add_json_argument(parser)
    asked = parser.parse_args()
    customers = -(-asked.customers // BATCH) * BATCH
    with contextlib.ExitStack() as stack:
        redis_url = stack.enter_context(redis_server())
        log_url = redis_url if asked.redis_log else f"kafka://{stack.enter_context(kafka_server())}"
        figures = asdict(measure(customers, asked.seconds, asked.rate, redis_url, log_url))
    tell(figures, asked.json)


if __name__ == "__main__":
    main()
