"""`livesegments snapshot` as a user runs it: beside a worker, onto a prefix in use, and after an accident."""

import pytest

from contracts.keys import Keys
from recommender.redis_open import open_redis
from tests.integration.test_cli import Shell, table


@pytest.fixture
def shell(redis_url, one_redis_url, unique, tmp_path):
    settings = {
        "REDIS_URL": redis_url,
        "LOG_URL": one_redis_url,
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
    shell.run("worker", "--until-idle", "1s")
    with shell.start("worker") as worker:
        worker.wait_for("partition claimed")
        assert "customers in 1 partitions" in shell.run("snapshot", "save", "beside.snapshot")
        assert "stop them first" in shell.run("snapshot", "restore", "beside.snapshot", "--replace", status=1)
        assert worker.end() == 0
    shell.run("export", "before.csv")
    assert "80 customers" in shell.run("snapshot", "save", "all.snapshot")
    model = shell.run("model", "show", "--json")

    assert "is in use" in shell.run("snapshot", "restore", "all.snapshot", status=1)
    there = ("--key-prefix", f"{unique}-b", "--log-prefix", f"{unique}-b-")
    shell.run("worker", "--until-idle", "0.2s", *there)
    assert "--accept-log" in shell.run("snapshot", "restore", "all.snapshot", "--replace", *there, status=1)
    with open_redis(redis_url) as client:
        for key in client.scan_iter(f"{unique}:*"):
            client.delete(key)
        assert "80 customers" in shell.run("snapshot", "restore", "all.snapshot")
        assert "80 customers" in shell.run("snapshot", "restore", "all.snapshot", "--replace")
        assert shell.run("model", "show", "--json") == model
        shell.run("export", "after.csv")
        before, after = ((shell.folder / f"{name}.csv").read_text() for name in ("before", "after"))
        assert sorted(before.splitlines()) == sorted(after.splitlines())
        assert client.get(Keys(unique).customer("17")) is None
        shell.run("worker", "--until-idle", "1s")
        assert client.get(Keys(unique).customer("17")) is not None
