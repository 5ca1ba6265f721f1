"""Kafka killed, gone, frozen: nothing that was acknowledged is lost, nobody counts anything twice, all go on soon."""

import time

import pytest

from tests.faults.processes import wait_for
from tests.faults.scenario import Scenario, faulty


@pytest.fixture
def shop(local_kafka, redis_url, unique):
    with Scenario(faulty(f"kafka://{local_kafka.bootstrap}", redis_url, unique)) as shop:
        yield shop


def test_a_broker_killed_gone_and_frozen_under_load(shop, local_kafka, fault_report, soak_seconds):
    """One after the other, since a broker takes long to start."""
    shop.start(2)
    shop.load()
    local_kafka.restart()
    back = time.monotonic()
    shop.more_checkpoints(3)
    restarted = time.monotonic() - back

    local_kafka.kill()
    gone = soak_seconds(8, 60)
    wait_for(lambda: all(one.status("silent") for one in shop.workers), "the workers say that the log is silent")
    shop.wait(gone)
    assert all(one.exitcode is None for one in shop.workers)
    local_kafka.start()
    back = time.monotonic()
    shop.more_checkpoints(3)
    returned = time.monotonic() - back

    local_kafka.freeze()
    frozen = soak_seconds(6, 12)
    shop.wait(frozen)
    local_kafka.thaw()
    took = shop.recovered(time.monotonic())
    rows = shop.checked()
    fault_report(
        f"the broker killed and started at once, then killed and gone for {gone:.0f} s, then frozen (SIGSTOP) for"
        f" {frozen:.0f} s, two workers and the publisher going on",
        f"{rows} rows exact; checkpoints again {restarted:.1f} s and {returned:.1f} s after it listened",
        took,
    )
