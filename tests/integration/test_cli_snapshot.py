"""`livesegments snapshot` as a user runs it: beside a worker, onto a prefix in use, and after an accident."""

import pytest
import redis

from contracts.keys import Keys
from tests.integration.test_cli import Shell, table


@pytest.fixture
def shell(redis_url, unique, tmp_path):
    settings = {
        "REDIS_URL": redis_url,
        "LOG_URL": redis_url,
        "CLOCK": "event",
        "KEY_PREFIX": unique,
        "LOG_PREFIX": f"{unique}-",
        "GROUP": unique,
        "ALLOWED_LATENESS": "62d",
    }
    (tmp_path / "orders.csv").write_text(table())
    return Shell(tmp_path, {f"LIVESEGMENTS_{name}": value for name, value in settings.items()})


def test_a_deployment_is_saved_lost_and_restored(shell, redis_url, unique):
    shell.run("replay", "orders.csv")
    with shell.start("worker") as worker:
        worker.wait_for("model adopted")
        assert "customers in 1 partitions" in shell.run("snapshot", "save", "beside.snapshot")
        assert "stop them first" in shell.run("snapshot", "restore", "beside.snapshot", "--replace", status=1)
        assert worker.end() == 0
    shell.run("worker", "--until-idle", "1s")
    shell.run("export", "before.csv")
    assert "80 customers" in shell.run("snapshot", "save", "all.snapshot")
    model = shell.run("model", "show", "--json")

    assert "--replace" in shell.run("snapshot", "restore", "all.snapshot", status=1)
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter(f"{unique}:*"):
            client.delete(key)
        assert "80 customers" in shell.run("snapshot", "restore", "all.snapshot")
        assert shell.run("model", "show", "--json") == model
        shell.run("export", "after.csv")
        before, after = ((shell.folder / f"{name}.csv").read_text() for name in ("before", "after"))
        assert sorted(before.splitlines()) == sorted(after.splitlines())
        assert client.get(Keys(unique).customer("17")) is None
        shell.run("worker", "--until-idle", "1s")
        assert client.get(Keys(unique).customer("17")) is not None
    shell.run("snapshot", "restore", "beside.snapshot", "--replace")
    shell.run("worker", "--until-idle", "1s")
    shell.run("export", "again.csv")
    assert len((shell.folder / "again.csv").read_text().splitlines()) == 81


def test_another_log_is_not_gone_on_from(shell, unique):
    shell.run("replay", "orders.csv")
    shell.run("worker", "--until-idle", "1s")
    shell.run("snapshot", "save", "all.snapshot")
    there = ("--key-prefix", f"{unique}-b", "--log-prefix", f"{unique}-b-")
    shell.run("worker", "--until-idle", "0.2s", "--key-prefix", f"{unique}-c", *there[2:])
    assert "--accept-log" in shell.run("snapshot", "restore", "all.snapshot", *there, status=1)
