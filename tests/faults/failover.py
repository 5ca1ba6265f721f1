"""A master of a Redis Cluster dies under load: when it goes on, how late views become, and that rows end exact.

`python -m tests.faults.failover --events 2000 --rounds 3` starts a Kafka broker and a cluster of three
masters and three replicas on this machine. Meanwhile a slot that holds a partition is moved to another master.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from contracts.documents import CustomerView
from contracts.events import Line, Purchase, encode_event
from recommender.redis_open import open_redis
from recommender.store import RedisViews, ViewsUnavailableError
from tests.against_oracle import wrong_rows
from tests.deployment import Deployment
from tests.faults.processes import wait_for
from tests.faults.scenario import PARTITIONS, Scenario, wrong_assignments
from tests.oracle import Oracle
from tests.servers import LocalCluster, kafka_server

_EVERY_SECONDS = 0.2
"""A probe is published so often."""


class Probes:
    """New customers, one at a time, and how long it takes until readers see each of them."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._waiting: dict[str, float] = {}
        self.seen: list[tuple[float, float]] = []
        """Monotonic time of publication, and seconds until the view was there."""

    def _run(self) -> None:
        client = open_redis(self._deployment.redis_url, socket_timeout=1, socket_connect_timeout=1, attempts=1)
        number, due = 0, 0.0
        with closing(self._deployment.logs()) as logs, closing(logs.writer()) as writer, client:
            views = RedisViews(client)
            while not self._stopping.is_set() or self._waiting:
                if time.monotonic() >= due and not self._stopping.is_set():
                    due = time.monotonic() + _EVERY_SECONDS
                    number += 1
                    who = f"probe-{number}"
                    writer.append(self._deployment.names.events, who.encode(), _purchase(who)).result(30)
                    self._waiting[who] = time.monotonic()
                self._look(views)
                self._stopping.wait(0.02) if self._stopping.is_set() else time.sleep(0.02)

    def _look(self, views: RedisViews) -> None:
        for who, published in list(self._waiting.items()):
            try:
                found = views.get(self._deployment.keys.customer(who))
            except ViewsUnavailableError:
                continue
            if found is not None:
                self.seen.append((published, time.monotonic() - published))
                del self._waiting[who]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Publish no more, and wait for the last to be seen."""
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), f"never seen: {sorted(self._waiting)}"

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._waiting.clear()

    def worst(self, since: float) -> float:
        """Seconds, of those published since then."""
        return max((late for published, late in self.seen if published >= since), default=0.0)


def _purchase(who: str) -> bytes:
    return encode_event(
        Purchase(
            type="purchase",
            event_id=str(uuid.uuid4()),
            customer_id=who,
            occurred_at=datetime.now(UTC),
            order_id=f"o-{who}",
            lines=(Line(item_id="probe", quantity=1, unit_price=1.0),),
            currency="GBP",
        )
    )


@dataclass(frozen=True)
class Round:
    """One fail-over."""

    took_over_s: float
    """From the kill until another node served the slots."""
    worst_view_s: float
    """From publication until a reader saw it, of the probes from five seconds before the kill on."""
    lost_checkpoints: bool
    """The replica had been held back, so that it lacked what the master had acknowledged."""


def fail_over(cluster: LocalCluster, probes: Probes, key: str, *, lossy: float = 0.0) -> Round:
    """Kill the master of a key; with `lossy`, after its replica has missed so many seconds."""
    old = cluster.master_of(key)
    began = time.monotonic() - 5
    if lossy:
        cluster.kill_with_a_lagging_replica(old, lambda: time.sleep(lossy))
    else:
        cluster.kill(old)
    killed = time.monotonic()
    cluster.wait_for_new_master(key, old)
    took = time.monotonic() - killed
    wait_for(lambda: any(published > killed + took for published, _ in probes.seen), "a view after the fail-over")
    cluster.nodes[old].start()
    cluster.wait_until_whole()
    return Round(took, probes.worst(began), bool(lossy))


def stale_views(deployment: Deployment) -> list[str]:
    """Customers whose view is not there, or is not of the row as it stands."""
    stale = []
    views = RedisViews(deployment.redis)
    rows = deployment.rows()
    for who, document in zip(rows, views.get_many([deployment.keys.customer(who) for who in rows]), strict=True):
        if document is None:
            stale.append(f"{who} has no view")
            continue
        view = CustomerView.model_validate_json(document)
        segment = view.segment.id if view.segment else None
        if segment != rows[who]["segment"]:
            stale.append(f"{who} is in {rows[who]['segment']}, the view says {segment}")
    return stale


def main() -> int:
    """Run, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2000, help="a second")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calm", type=float, default=5.0, help="seconds between fail-overs")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--customers", type=int, default=5000)
    asked = parser.parse_args()
    with kafka_server() as bootstrap, LocalCluster() as cluster:
        deployment = Deployment(f"kafka://{bootstrap}", cluster.url, f"f-{uuid.uuid4().hex[:8]}", PARTITIONS)
        sys.stdout.write(json.dumps(measured(deployment, cluster, asked), indent=1) + "\n")
    return 0


@contextlib.contextmanager
def workers(deployment: Deployment, count: int) -> Iterator[None]:
    """`livesegments worker`, as it is run in production."""
    settings = {
        "REDIS_URL": deployment.redis_url,
        "LOG_URL": deployment.log_url,
        "KEY_PREFIX": deployment.tag,
        "LOG_PREFIX": f"{deployment.tag}-",
        "GROUP": deployment.tag,
        "PARTITIONS": str(deployment.partitions),
        "SESSION_TIMEOUT": f"{deployment.session_timeout}s",
    }
    environment = os.environ | {f"LIVESEGMENTS_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "livesegments", "worker"]
    started = [subprocess.Popen(command, env=environment, stdout=sys.stderr) for _ in range(count)]
    try:
        yield
    finally:
        for one in started:
            one.terminate()
        for one in started:
            one.wait(30)


def measured(deployment: Deployment, cluster: LocalCluster, asked: Any) -> dict[str, Any]:
    """What was seen, by name."""
    with Scenario(deployment) as shop, Probes(deployment) as probes, workers(deployment, asked.workers):
        shop.load(asked.events, asked.customers)
        wait_for(lambda: probes.seen, "a first view")
        began = time.monotonic()
        time.sleep(asked.calm)
        calm = probes.worst(began)
        rounds = []
        for number in range(asked.rounds):
            key = deployment.keys.meta(number % deployment.partitions)
            rounds.append(fail_over(cluster, probes, key, lossy=1.0 * (number % 2)))
            sys.stderr.write(f"{rounds[-1]}\n")
            time.sleep(asked.calm)
        moving = time.monotonic()
        cluster.move_slot(deployment.keys.meta(0))
        moved = time.monotonic() - moving
        time.sleep(asked.calm)
        probes.stop()
        after_move = probes.worst(moving)
        shop.recovered(time.monotonic())
        rows = deployment.rows()
        wrong = wrong_rows(rows, Oracle().replay(shop.events())) + wrong_assignments(deployment)
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not stale_views(deployment), "views", 30)
        return {
            "events_per_second": asked.events,
            "load_average": os.getloadavg()[0],
            "rows": len(rows),
            "wrong_rows": len(wrong),
            "stale_views": len(stale_views(deployment)),
            "worst_view_s_calm": round(calm, 2),
            "slot_moved_in_s": round(moved, 2),
            "worst_view_s_slot_moved": round(after_move, 2),
            "fail_overs": [vars(one) for one in rounds],
        }


if __name__ == "__main__":
    sys.exit(main())
