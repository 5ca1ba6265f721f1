"""Workers killed at any checkpoint, joining and leaving: rows end as if nothing had happened."""

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Self

import pytest

from consumer.clock import wall_micros
from contracts.documents import HistoryDay
from contracts.events import parse_event
from producer.message import Message
from producer.replay import read_events
from producer.shop import Shop, ShopSettings
from tests.deployment import DECAYED, EXACT, Deployment
from tests.faults.doomed_worker import PLACES
from tests.online_retail import FILE, assert_equal_to_batch, batch_rows
from tests.oracle import Oracle

ROOT = Path(__file__).parents[2]
PARTITIONS = 4


class Fleet:
    """Doomed workers of one deployment, in processes of their own."""

    def __init__(self, deployment: Deployment, seed: int) -> None:
        self._deployment = deployment
        self._rng = random.Random(seed)
        self.alive: list[subprocess.Popen] = []
        self.kills = 0

    def start(self, checkpoints: int) -> None:
        order = {
            "deployment": {
                "log_url": self._deployment.log_url,
                "redis_url": self._deployment.redis_url,
                "tag": self._deployment.tag,
                "partitions": self._deployment.partitions,
            },
            "place": self._rng.choice(PLACES),
            "checkpoints": checkpoints,
        }
        command = [sys.executable, "-m", "tests.faults.doomed_worker", json.dumps(order)]
        self.alive.append(subprocess.Popen(command, cwd=ROOT))

    def bury(self) -> int:
        """Count and forget those that are dead; fail on any that did not die by the bullet."""
        dead = [one for one in self.alive if one.poll() is not None]
        self.alive = [one for one in self.alive if one.poll() is None]
        for one in dead:
            assert one.returncode in (-9, 0, -15), f"a worker ended by itself with {one.returncode}"
            self.kills += one.returncode == -9
        return len(dead)

    def leave(self, one: subprocess.Popen) -> None:
        one.terminate()
        assert one.wait(30) in (0, -9, -15)  # -15: asked before it had begun to listen
        self.bury()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nobody outlives the test, also if it fails or is interrupted."""
        for one in self.alive:
            one.kill()
        for one in self.alive:
            one.wait()


def assert_rows_equal(deployment: Deployment, oracle: Oracle) -> None:
    rows = deployment.rows()
    assert set(rows) == set(oracle.rows)
    for customer, expected in oracle.rows.items():
        got = rows[customer]
        for name in EXACT:
            if name == "day_map":
                continue
            want = len(expected.days) if name == "purchase_days" else getattr(expected, name)
            assert got[name] == want, (customer, name)
        assert got["lines"] == [(item, quantity) for _, _, _, item, quantity in expected.lines]
        assert got["attributes"] == {name: value for name, (_, _, value) in expected.attributes.items()}
        for name, half_life, kind in (
            ("orders_decayed", 365, {"money": False, "purchases_only": True}),
            ("net_decayed", 365, {"money": True}),
            ("recent_net", 90, {"money": True}),
        ):
            value, magnitude = expected.decayed(half_life * 86_400_000_000, **kind) if expected.counted else (0.0, 0.0)
            assert abs(got[name] - value) <= 1e-9 * magnitude, (customer, name)
    assert set(DECAYED) <= set(next(iter(rows.values())))


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_twenty_kills_and_workers_coming_and_going_change_nothing_on_online_retail(
    kafka_bootstrap, redis_url, unique, data_folder
):
    """Paced; at any time about two workers, of which each dies at a random checkpoint or leaves cleanly."""
    deployment = Deployment(f"kafka://{kafka_bootstrap}", redis_url, unique, PARTITIONS)
    messages = list(read_events(data_folder / FILE, now=wall_micros()))
    kill_and_check(deployment, messages, kills=20)
    assert_equal_to_batch(deployment.rows(), batch_rows(data_folder / FILE))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kills_change_nothing_in_a_shop_of_profiles_returns_late_and_repeated_events(
    kafka_bootstrap, redis_url, unique
):
    deployment = Deployment(f"kafka://{kafka_bootstrap}", redis_url, unique, PARTITIONS)
    shop = Shop(ShopSettings(now=wall_micros(), customers=2_000, seed=7, currency="GBP"))
    kill_and_check(deployment, list(islice(shop.history(), 8_000)), kills=6)


def kill_and_check(deployment: Deployment, messages: Sequence[Message], kills: int) -> None:
    """Publish at about 200 events a second until enough workers were killed, then the rest at once."""
    rng = random.Random(20)
    enough = threading.Event()

    def publish() -> None:
        with deployment.writer() as writer:
            for place, message in enumerate(messages):
                writer.append(deployment.names.events, message.key, message.value)
                if place % 20 == 19:
                    enough.wait(0.1)

    publisher = threading.Thread(target=publish, daemon=True)
    with Fleet(deployment, seed=20) as fleet:
        publisher.start()
        fleet.start(checkpoints=rng.randint(3, 25))
        fleet.start(checkpoints=rng.randint(3, 25))
        deadline = time.monotonic() + 240
        joined = 0
        while fleet.kills < kills and time.monotonic() < deadline:
            for _ in range(fleet.bury()):
                fleet.start(checkpoints=rng.randint(3, 25))
            if fleet.kills // 5 > joined:  # one more joins, and a moment later one leaves
                joined += 1
                fleet.start(checkpoints=rng.randint(30, 60))
            elif len(fleet.alive) > 2:
                fleet.leave(fleet.alive[0])
            enough.wait(0.05)
        assert publisher.is_alive(), "the last kills hit workers with nothing to do: pace the events slower"
        enough.set()
        assert fleet.kills >= kills
        publisher.join(60)
        assert not publisher.is_alive()
        for one in list(fleet.alive):
            fleet.leave(one)

    deployment.run(until_idle=1.5)

    oracle = Oracle().replay(parse_event(value) for value in in_log_order(deployment))
    assert_rows_equal(deployment, oracle)
    changes = deployment.changes()
    assert changes
    assert all(len(set(contents)) == 1 for contents in changes.values())
    assert_changes_lead_to_where_everybody_is(deployment, changes)
    assert_history_adds_up_to(deployment, changes)


def assert_history_adds_up_to(deployment: Deployment, changes) -> None:
    """Every change stands in the matrix of one day, once."""
    told = Counter()
    for key in deployment.redis.scan_iter(deployment.keys.history("*")):
        for move in HistoryDay.model_validate_json(deployment.redis.get(key)).moves:
            told[move.from_segment, move.to_segment, move.cause] += move.customers
    published = map(json.loads, (contents[0] for contents in changes.values()))
    assert told == Counter((change["from"], change["to"], change["cause"]) for change in published)


def in_log_order(deployment: Deployment):
    with closing(deployment.logs()) as logs:
        for batch in logs.read_all(deployment.names.events):
            yield from batch.values


def assert_changes_lead_to_where_everybody_is(deployment: Deployment, changes) -> None:
    """Followed in the order of their ids' checkpoints, a customer's changes end in the segment of the row."""
    last: dict[str, tuple] = {}
    for contents in changes.values():
        change = json.loads(contents[0])
        partition, _, seq, n = change["change_id"].rsplit("-", 3)
        order = (partition, int(seq), int(n))
        if change["customer_id"] not in last or last[change["customer_id"]][0] < order:
            last[change["customer_id"]] = (order, change["to"])
    assert {customer: to for customer, (_, to) in last.items()} == {
        customer: row["segment"] for customer, row in deployment.rows().items()
    }
