"""The installed command on real servers: replay, worker, show, segments, export, erase, check, demo."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
import redis

from logs.kafka_log import KafkaLogs
from logs.redis_server import find_redis_server, free_port
from tests.conftest import missing
from tests.servers.secured import clean_environment, kafka_security_of_tests

COMMAND = [sys.executable, "-m", "livesegments"]
DEADLINE = 120.0


@dataclass
class Shell:
    """A user's shell: settings in the environment, a folder of one's own."""

    folder: Path
    environment: dict = field(default_factory=dict)

    def variables(self) -> dict:
        return clean_environment() | {"COLUMNS": "200"} | self.environment

    def run(self, *arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.variables(),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def start(self, *arguments: str, command=COMMAND) -> "Running":
        return Running(self, [*command, *arguments])


class Running:
    """A command under way whose lines can be waited for."""

    def __init__(self, shell: Shell, command) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=shell.folder,
            env=shell.variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait_for(self, pattern: str) -> str:
        """The first line with the pattern, from now or before."""
        deadline = time.monotonic() + DEADLINE
        with self._news:
            while True:
                for line in self.lines:
                    if re.search(pattern, line):
                        return line
                assert not self._ended, f"ended without {pattern!r}:\n{''.join(self.lines)}"
                assert self._news.wait(deadline - time.monotonic()), f"no {pattern!r}:\n{''.join(self.lines)}"

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def wait_until_nothing_is_left(self) -> None:
        """Until no child lives on, such as the one that reviews."""
        deadline = time.monotonic() + DEADLINE
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.killpg(self.process.pid, 0)
                assert time.monotonic() < deadline, "a child process lives on"
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


TABLE_HEAD = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


def table() -> str:
    """80 customers of a known layout, each with one to eight invoices, postage, and now and then a cancellation."""
    lines = []
    number = 0
    for customer in range(80):
        for turn in range(1 + customer % 8):
            number += 1
            day = f"2011-{1 + (turn + customer) % 11:02}-{1 + customer % 28:02} 10:{turn:02}"
            lines.append(f"{number},sku{customer % 9},CUP,{1 + turn},{day},2.50,{customer},UK")
            lines.append(f"{number},POST,POSTAGE,1,{day},18,{customer},UK")
            lines.append(f"{number},{'M' if turn else 'sku0'},Manual,1,{day},1,{customer},UK")
        if customer % 10 == 0:
            lines.append(f"C{number},sku{customer % 9},CUP,-1,2011-12-01 09:00,2.50,{customer},UK")
    return TABLE_HEAD + "\n".join(lines) + "\n"


@pytest.fixture(params=["redis", "kafka"])
def shell(request, redis_url, one_redis_url, unique, tmp_path):
    """The same deployment on both logs."""
    on_kafka = request.param == "kafka"
    log_url = f"kafka://{request.getfixturevalue('kafka_bootstrap')}" if on_kafka else one_redis_url
    names = {"KEY_PREFIX": unique, "LOG_PREFIX": f"{unique}-", "GROUP": unique}
    settings = {
        "REDIS_URL": redis_url,
        "LOG_URL": log_url,
        "CLOCK": "event",
        "PARTITIONS": "4",
        "ALLOWED_LATENESS": "62d",
        "SESSION_TIMEOUT": "6s",
        **names,
    }
    (tmp_path / "orders.csv").write_text(table())
    return Shell(tmp_path, {f"LIVESEGMENTS_{name}": value for name, value in settings.items()})


def test_a_table_becomes_segments_recommendations_and_an_export(shell):
    assert "is not there yet" in shell.run("check")
    assert "there are no segments yet" in shell.run("segments")

    replayed = shell.run("replay", "orders.csv")
    assert "2 items are no products: POST, M" in replayed.replace("M, POST", "POST, M")
    shell.run("worker", "--until-idle", "2s")

    shown = json.loads(shell.run("show", "17", "--json"))
    assert shown["row"]["orders"] == 2
    assert shown["row"]["spend"] == 2.5 * (1 + 2) + 2 * 18 + 1 + 1
    assert shown["segment"]["name"] in shell.run("show", "17")
    items = [item for item, _, _ in shown["items"]]
    assert items
    assert not {"POST", "M"} & set(items)
    assert "nothing is known of this customer" in shell.run("show", "[bold]nobody[/bold]")

    cards = json.loads(shell.run("segments", "--json"))
    assert sum(card["size"] for card in cards) == 80
    assert all(card["name"] in shell.run("segments") for card in cards[:1])

    shell.run("export", "all.parquet")
    rows = pd.read_parquet(shell.folder / "all.parquet").set_index("customer_id")
    assert len(rows) == 80
    assert rows.orders.sum() == sum(1 + customer % 8 for customer in range(80))
    assert rows.returns.sum() == 8
    assert rows.segment_name["17"] == shown["segment"]["name"]

    checked = shell.run("check")
    assert "failed" not in checked
    assert f"version {cards[0]['model_version']}" in checked

    shell.run("replay", "orders.csv")
    shell.run("worker", "--until-idle", "2s")
    shell.run("export", "again.parquet")
    again = pd.read_parquet(shell.folder / "again.parquet").set_index("customer_id")
    exact = ["orders", "returns", "spend", "refunds", "units", "first_purchase_at", "last_purchase_at"]
    pd.testing.assert_frame_equal(again.sort_index()[exact], rows.sort_index()[exact])


def test_erase_waits_for_a_worker(shell):
    shell.run("replay", "orders.csv")
    assert "no worker has applied it within 1 s" in shell.run("erase", "17", "--timeout", "1s", status=1)
    with shell.start("worker") as worker:
        worker.wait_for("partition claimed")
        assert "17 is erased" in shell.run("erase", "17")
        assert not json.loads(shell.run("show", "17", "--json"))["known"]
        # The event clock stands in 2011; a check sees that the worker lives all the same.
        assert re.search(r"workers +ok", shell.run("check"))
        assert worker.end() == 0


@pytest.mark.parametrize("shell", ["redis"], indirect=True)
def test_versions_are_listed_tried_adopted_rolled_back_and_pinned(shell):
    assert "there is no model yet" in shell.run("model", "list")
    shell.run("replay", "orders.csv")
    shell.run("worker", "--until-idle", "2s")
    first = json.loads(shell.run("model", "show", "--json"))
    assert first["lineage"]
    assert first["why"]

    tried = json.loads(shell.run("model", "try", "--k", "3", "--json"))
    assert (tried["k"], tried["customers"]) == (3, 80)
    assert sum(one["customers"] for one in tried["segments"]) == 80
    assert "would move" in shell.run("model", "try", "--k", "3")
    assert json.loads(shell.run("model", "show", "--json")) == first, "to try is not to adopt"
    assert "no worker took the request within 1 s" in shell.run("model", "pin", "--timeout", "1s", status=1)

    with shell.start("worker") as worker:
        worker.wait_for("partition claimed")
        version = first["version"]
        assert f"version {version + 1} is adopted" in shell.run("model", "try", "--k", "3", "--adopt")
        assert "there is no version 77" in shell.run("model", "rollback", "77", status=1)
        back = shell.run("model", "rollback", str(version))
        assert f"version {version + 2} brings back version {version}" in back
        assert f"version {version + 2} is pinned" in shell.run("model", "pin")
        assert "is pinned" in shell.run("model", "try", "--k", "3", "--adopt", status=1)
        assert "(pinned)" in shell.run("model", "list")
        assert "the shadow learns" in shell.run("model", "shadow", "--k", "4")
        review = json.loads(shell.run("model", "review", "--now", "--json"))
        assert review["shadow"]["k"] == 4
        assert review["look"]["curves"]
        assert "silhouette" in shell.run("model", "review")
        assert "the shadow is gone" in shell.run("model", "shadow", "--off")
        assert "learns again" in shell.run("model", "unpin")
        assert worker.end() == 0
    shown = json.loads(shell.run("model", "show", "--json"))
    assert (shown["version"], shown["rolled_back_to"]) == (version + 2, version)
    assert [one["id"] for one in shown["segments"]] == [one["id"] for one in first["segments"]]
    assert shell.run("model", "show").count("\n") >= 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_clean_stop_with_totals(shell, number):
    shell.run("replay", "orders.csv")
    shell.environment["LIVESEGMENTS_STATUS_INTERVAL"] = "200ms"
    with shell.start("worker") as worker:
        worker.wait_for('"lag": 0,')
        assert worker.end(number) == 0
    said = [json.loads(line) for line in worker.lines]
    assert said[-1]["event"] == "worker stopped"
    assert said[-1]["events"] == {"purchase": 360, "return": 8}
    assert {line["level"] for line in said} <= {"info", "warning"}


def test_simulate_publishes_until_told_to_stop(shell):
    with shell.start("simulate", "--customers", "60", "--history-days", "30", "--rate", "50") as shop:
        with shell.start("worker", "--clock", "wall") as worker:
            worker.wait_for("model adopted")
            assert worker.end() == 0
        assert shop.end() == 0
        shop.wait_for("events published")


# ---- servers that are down ----


@pytest.fixture
def own(unique, tmp_path):
    if find_redis_server() is None:
        missing("there is no redis-server")
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    (tmp_path / "orders.csv").write_text(table())
    return Shell(tmp_path, {"LIVESEGMENTS_REDIS_URL": url, "LIVESEGMENTS_CLOCK": "event"})


def test_a_worker_waits_for_servers_that_are_down_and_carries_on(own, local_redis):
    own.environment["LIVESEGMENTS_REDIS_URL"] = local_redis.url
    own.run("replay", "orders.csv")
    local_redis.stop()
    with own.start("worker") as worker:
        worker.wait_for("does not answer; trying again")
        local_redis.start()
        worker.wait_for("answers again")
        worker.wait_for("model adopted")
        local_redis.restart()
        assert worker.end() == 0


def test_a_worker_that_waits_ends_at_once(own):
    with own.start("worker") as worker:
        worker.wait_for("does not answer; trying again")
        assert worker.end() == 0


def test_a_log_in_that_fails_is_named(local_redis, own):
    with redis.Redis.from_url(local_redis.url) as client:
        client.config_set("requirepass", "secret")
    host = local_redis.url.removeprefix("redis://")
    assert "log-in failed" in own.run("check", "--redis-url", f"redis://:wrong@{host}", status=1)
    shown = own.run("check", "--redis-url", f"redis://:secret@{host}")
    assert "redis    ok" in shown
    assert "secret" not in shown
    with redis.Redis.from_url(f"redis://:secret@{host}") as client:
        client.config_set("requirepass", "")


def test_a_replica_is_no_place_to_write(local_redis, own):
    with redis.Redis.from_url(local_redis.url) as client:
        client.replicaof("127.0.0.1", free_port())
    assert "read-only replica" in own.run("check", "--redis-url", local_redis.url, status=1)


def test_a_server_that_is_not_redis(own):
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        assert "does not answer like Redis" in own.run("check", "--redis-url", f"redis://127.0.0.1:{port}", status=1)


@pytest.mark.parametrize("shell", ["kafka"], indirect=True)
def test_a_topic_made_by_hand_gets_advice(kafka_bootstrap, shell, unique):
    with closing(KafkaLogs(kafka_bootstrap, security=kafka_security_of_tests())) as logs, logs._asking() as admin:
        topic = {"num_partitions": 2, "replication_factor": 1, "configs": {"message.timestamp.type": "CreateTime"}}
        admin.create_topics({f"{unique}-customer-events": topic}, wait_for_metadata=True)
    shown = shell.run("check")
    assert "set message.timestamp.type=LogAppendTime" in shown
    assert "set retention.ms=-1" in shown


# ---- demo ----


@pytest.fixture
def at_home(tmp_path):
    if find_redis_server() is None:
        missing("there is no redis-server")
    return Shell(tmp_path, {"LIVESEGMENTS_REDIS_URL": "redis://127.0.0.1:1/0"})


SEGMENTS = r"model version [1-9]"
IN_MEMORY = """
import livesegments.demo.servers
from livesegments.cli import main

livesegments.demo.servers.find_redis_server = lambda: None
main()
"""
"""The command on a machine without any redis-server."""


def test_a_demo_ends_by_itself_and_leaves_nothing_running(at_home):
    shown = at_home.run("demo", "--for", "3s", "--customers", "100")
    assert re.search(r"after \d+ s: [\d,]+ events of [\d,]+ customers", shown)
    port = re.search(r"private redis-server on port (\d+)", shown)[1]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port))) != 0


def test_a_demo_can_be_looked_at_and_ends_on_ctrl_c(at_home):
    with at_home.start("demo", "--customers", "300") as demo:
        port = re.search(r"on port (\d+)", demo.wait_for("private redis-server"))[1]
        demo.wait_for(SEGMENTS)
        url = f"redis://127.0.0.1:{port}/0"
        assert re.search(r"workers +ok", at_home.run("check", "--redis-url", url))
        assert "customer c0000001" in at_home.run("show", "c0000001", "--redis-url", url)
        assert demo.end(signal.SIGINT) == 0
        demo.wait_for("first segments after")
        demo.wait_for("recommended:")
        demo.wait_until_nothing_is_left()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port))) != 0


def test_a_kept_demo_goes_on_without_its_first_year(at_home):
    counts = []
    for _ in range(2):
        with at_home.start("demo", "--customers", "200", "--rate", "1", "--keep", "data") as demo:
            demo.wait_for(SEGMENTS)
            assert demo.end(signal.SIGINT) == 0
            counts.append(int(re.search(r"s: ([\d,]+) events", demo.wait_for("^after"))[1].replace(",", "")))
    # The first year is some 3,700 events, wherever the first demo was in it when it ended.
    assert sum(counts) < 5000


def test_without_any_redis_a_demo_runs_in_memory(at_home):
    # A file, since the review process imports the main module anew.
    script = at_home.folder / "demo_in_memory.py"
    script.write_text("if __name__ == '__main__':" + IN_MEMORY.replace("\n", "\n    "))
    with at_home.start("demo", "--customers", "100", command=[sys.executable, str(script)]) as demo:
        demo.wait_for("this process's memory")
        demo.wait_for(SEGMENTS)
        assert demo.end(signal.SIGINT) == 0
        demo.wait_for("recommended:")
