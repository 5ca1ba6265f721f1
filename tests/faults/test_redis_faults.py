"""Redis killed, emptied, rolled back, full, stalled: rows and positions stay together, the log makes up for both."""

import time

import pytest

from tests.deployment import Deployment
from tests.faults.processes import wait_for
from tests.faults.scenario import LEARNT_AT_ONCE, Scenario, faulty


@pytest.fixture
def shop(kafka_bootstrap, local_redis, unique):
    with Scenario(faulty(f"kafka://{kafka_bootstrap}", local_redis.url, unique)) as shop:
        yield shop


def test_redis_killed_again_and_again_comes_back_with_everything(shop, local_redis, fault_report):
    """With either way of writing its append-only file."""
    shop.start(2)
    shop.load()
    for fsync in ("everysec", "always", "everysec"):
        shop.deployment.redis.config_set("appendfsync", fsync)
        shop.more_checkpoints(3)
        local_redis.restart()
        over = time.monotonic()
    took = shop.recovered(over)
    rows = shop.checked()
    assert all(one.status("conflicts") == 0 for one in shop.workers)
    fault_report(
        "Redis killed and started again three times (append-only file, fsync everysec and always) under two workers",
        f"{rows} rows exact, no conflict",
        took,
    )


LOST = {
    "everything": "with nothing of its state",
    "some": "as it was at a snapshot",
    "tail": "with the end of its append-only file torn off",
}


@pytest.mark.parametrize("lost", LOST)
def test_redis_rolled_back_is_noticed_and_the_log_read_again(shop, local_redis, fault_report, lost):
    """Rows, positions and models are of then, workers are ahead."""
    shop.start(2)
    shop.load()
    local_redis.snapshot()
    before = local_redis.appended
    shop.more_checkpoints(20)
    reached = shop.positions()
    if lost == "tail":
        local_redis.kill()
        # Most of what came since: views alone may be the last tens of kilobytes.
        local_redis.tear_off((local_redis.appended - before) * 3 // 4)
        local_redis.start()
    else:
        local_redis.roll_back(everything=lost == "everything")
    over = time.monotonic()
    noticed = all if lost == "everything" else any
    wait_for(lambda: noticed((one.status("conflicts") or 0) > 0 for one in shop.workers), "they notice")
    took = shop.recovered(over)
    rows = shop.checked(rolled_back=True)
    assert sum(reached.values()) > 0
    fault_report(
        f"Redis killed and started {LOST[lost]}, two workers ahead of it by then",
        f"{rows} rows exact; the workers dropped what they had in memory and read the log again",
        took,
    )


def test_a_key_of_another_type_is_told_before_anything_is_written(shop, fault_report):
    """An error inside the checkpoint's script would roll nothing back: it must not come that far."""
    keys = shop.deployment.keys
    shop.deployment.redis.set(keys.rows(0, 5), "somebody else's")
    worker = shop.begin()
    wait_for(lambda: worker.exitcode is not None, "it stops")
    assert "WRONGTYPE" in worker.status("error")
    assert not any(shop.seqs.values())
    fault_report("a string where a hash of rows should be", "the worker stopped with a StateError, nothing written")


def test_redis_without_memory_refuses_and_nothing_is_lost(shop, fault_report):
    client = shop.deployment.redis
    shop.start(2)
    shop.load()
    client.config_set("maxmemory", "1mb")
    wait_for(lambda: all(one.waiting_for == "checkpoint" for one in shop.workers), "they wait")
    seqs = shop.seqs
    wait_for(lambda: shop.published_since(seqs) > 200, "events pile up")
    assert shop.seqs == seqs, "nothing is written, and nothing in part"
    client.config_set("maxmemory", "0")
    took = shop.recovered(time.monotonic())
    rows = shop.checked()
    fault_report(
        "`maxmemory` below what is used, `noeviction`: every write refused until it was raised",
        f"{rows} rows exact; no checkpoint meanwhile, both workers waited",
        took,
    )


def test_redis_without_memory_is_waited_for_where_the_log_is_in_it_too(local_redis, unique, fault_report):
    """Then it refuses what is only read, too, where that is read in one piece; the only reader's lease runs out."""
    settings = {"model": LEARNT_AT_ONCE}
    deployment = Deployment(local_redis.url, local_redis.url, unique, 1, session_timeout=2.0, settings=settings)
    with Scenario(deployment) as shop:
        shop.start(1)
        shop.load()
        shop.deployment.redis.config_set("maxmemory", "1mb")
        wait_for(lambda: shop.workers[0].waiting_for == "checkpoint", "it waits")
        seqs = shop.seqs
        wait_for(lambda: shop.published_since(seqs) > 300, "events pile up")
        assert shop.seqs == seqs, "nothing is written"
        shop.deployment.redis.config_set("maxmemory", "0")
        took = shop.recovered(time.monotonic())
        rows = shop.checked()
    fault_report(
        "the same with the log in the same Redis, which then refuses to be read, too",
        f"{rows} rows exact; the worker waited past its lease, what was published meanwhile waited in its producer",
        took,
    )


def test_redis_that_stands_still_is_waited_for(shop, local_redis, fault_report):
    """As a disk does that takes long over an fsync: connections stay, answers come late, and requests are repeated."""
    shop.start(2)
    shop.load()
    local_redis.freeze()
    seconds = 7.0  # past the client's patience for a reply, and past the group's session
    shop.wait(seconds)
    local_redis.thaw()
    took = shop.recovered(time.monotonic())
    rows = shop.checked()
    assert all(one.status("conflicts") == 0 for one in shop.workers), "members of the group all the time"
    fault_report(
        f"Redis stood still (SIGSTOP) for {seconds:.0f} s amid its work, then answered all at once",
        f"{rows} rows exact, no conflict",
        took,
    )
