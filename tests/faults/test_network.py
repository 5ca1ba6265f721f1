"""The network between a worker and its servers: cut without a word, reset, slow."""

import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.processes import wait_for
from tests.faults.scenario import Scenario, faulty
from tests.servers import LocalKafka
from tests.servers.cut_proxy import CutProxy

PROXIED = {
    "listeners": "PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{spare[0]},CONTROLLER://127.0.0.1:{controller}",
    "advertised.listeners": "PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{spare[1]}",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
}


def test_redis_reset_slow_and_cut_off(kafka_bootstrap, redis_url, unique, fault_report, soak_seconds):
    """One of two workers sees Redis through a proxy; it keeps its place in the group, and waits."""
    with (
        CutProxy(port_of(redis_url)) as proxy,
        Scenario(faulty(f"kafka://{kafka_bootstrap}", redis_url, unique)) as shop,
    ):
        (cut,) = shop.start(1, where={"redis_url": f"redis://127.0.0.1:{proxy.port}/0"})
        shop.start(1)
        shop.load()
        proxy.reset()
        shop.more_checkpoints(5, cut)
        proxy.delay = 0.05
        shop.more_checkpoints(3, cut)
        proxy.black_hole()
        held = cut.held
        seconds = soak_seconds(8, 30)
        shop.wait(seconds)
        began = cpu_seconds(cut.pid)
        shop.wait(1.0)
        used = cpu_seconds(cut.pid) - began
        proxy.heal()
        took = shop.recovered(time.monotonic())
        rows = shop.checked()
        assert cut.held == held, "a member of the group all the time"
        assert cut.status("conflicts") == 0
        assert used < 0.8, "it spins"
        fault_report(
            "one of two workers cut off from Redis: connections reset, then 50 ms more for each reply, then nothing at"
            f" all for {seconds:.0f} s",
            f"{rows} rows exact, no conflict, its partitions kept; {used:.0%} of a core while it waited",
            took,
        )


@pytest.fixture(scope="module")
def proxied_kafka():
    with LocalKafka(PROXIED) as kafka:
        yield kafka


def test_kafka_reset_slow_and_cut_off(proxied_kafka, redis_url, unique, fault_report):
    """One of two workers sees Kafka through a proxy; cut off past its session, it loses its partitions and writes
    nothing of them; then the group takes it back."""
    with (
        CutProxy(proxied_kafka.spare[0], proxied_kafka.spare[1]) as proxy,
        Scenario(faulty(f"kafka://{proxied_kafka.bootstrap}", redis_url, unique)) as shop,
    ):
        (cut,) = shop.start(1, where={"log_url": f"kafka://127.0.0.1:{proxy.port}"})
        (other,) = shop.start(1)
        shop.load()
        proxy.reset()
        shop.more_checkpoints(5, cut)
        proxy.delay = 0.05
        shop.more_checkpoints(3, cut)
        had = cut.held
        proxy.black_hole()
        wait_for(lambda: shop.all_held_by(other), "the other one takes over")
        wait_for(lambda: cut.status("silent"), "it says that the log is silent")
        proxy.heal()
        over = time.monotonic()
        wait_for(lambda: cut.held != had, "it hears of it")
        took = shop.recovered(over)
        rows = shop.checked()
        assert cut.held, "it works again"
        fault_report(
            "one of two workers cut off from Kafka: connections reset, then 50 ms more for each reply, then nothing at"
            " all until the group had given its partitions away",
            f"{rows} rows exact; the other one took over, then it got partitions again",
            took,
        )


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
