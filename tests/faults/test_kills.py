"""Workers killed at any checkpoint, joining and leaving: rows end as if nothing had happened."""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Self

import pytest

from consumer.clock import wall_micros
from contracts.events import parse_event
from producer.message import Message
from producer.replay import read_events
from tests.against_oracle import wrong_changes, wrong_history, wrong_rows
from tests.deployment import Deployment
from tests.faults.doomed_worker import PLACES
from tests.online_retail import FILE
from tests.oracle import Oracle

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
MESSAGES = 8_000
"""Enough for a minute: what all of the file comes to is tested without kills."""
KILLS = 4


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


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_kills_and_workers_coming_and_going_change_nothing_on_online_retail(
    kafka_bootstrap, redis_url, unique, data_folder, fault_report
):
    """Paced; at any time about two workers, of which each dies at a random checkpoint or leaves cleanly.

    More kills, in a shop of profiles, returns, late and repeated events: test_soak_short.
    """
    deployment = Deployment(f"kafka://{kafka_bootstrap}", redis_url, unique, PARTITIONS)
    messages = list(islice(read_events(data_folder / FILE, now=wall_micros()), MESSAGES))
    kill_and_check(deployment, messages, kills=KILLS)
    fault_report(
        f"{KILLS} SIGKILLs of workers, each at one of its checkpoints, and others joining and leaving,"
        f" {len(messages)} events of Online Retail",
        f"{len(deployment.rows())} rows exact, {len(deployment.changes())} changes, each under one id with one content",
    )


def kill_and_check(deployment: Deployment, messages: Sequence[Message], kills: int) -> None:
    """Publish at about 100 events a second until enough workers were killed, then the rest at once."""
    rng = random.Random(20)
    enough = threading.Event()

    def publish() -> None:
        with deployment.writer() as writer:
            for place, message in enumerate(messages):
                writer.append(deployment.names.events, message.key, message.value)
                if place % 10 == 9:
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
    assert not wrong_rows(deployment.rows(), oracle)
    changes = deployment.changes()
    assert changes
    assert not wrong_changes(changes, {who: row["segment"] for who, row in deployment.rows().items()})
    days = deployment.redis.scan_iter(deployment.keys.history("*"))
    assert not wrong_history([deployment.redis.get(day) for day in days], changes)


def in_log_order(deployment: Deployment):
    with closing(deployment.logs()) as logs:
        for batch in logs.read_all(deployment.names.events):
            yield from batch.values
