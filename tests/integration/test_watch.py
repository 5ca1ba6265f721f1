"""A worker as a process of its own, watched from another."""

import json
import os
import signal
import subprocess
import sys
import time

DEADLINE = 60.0


def test_a_worker_is_seen_while_it_works_and_takes_itself_out(redis_url, one_redis_url, unique, tmp_path):
    environment = os.environ | {
        "LIVESEGMENTS_REDIS_URL": redis_url,
        "LIVESEGMENTS_KEY_PREFIX": unique,
        "LIVESEGMENTS_LOG_PREFIX": f"{unique}-",
        "LIVESEGMENTS_LOG_URL": one_redis_url,
    }
    command = [sys.executable, "-m", "livesegments"]

    def looks():
        asked = [*command, "watch", "--json", "--every", "100ms"]
        with subprocess.Popen(asked, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as watching:
            try:
                for line in watching.stdout:
                    yield json.loads(line)
            finally:
                watching.terminate()

    def wait_for(wanted):
        deadline = time.monotonic() + DEADLINE
        for seen in looks():
            if wanted(seen):
                return seen
            assert time.monotonic() < deadline, f"it did not come to that: {seen}"
        raise AssertionError("the watch ended")

    with subprocess.Popen([*command, "worker"], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as working:
        try:
            seen = wait_for(lambda seen: seen["workers"] and seen["lag"] == 0)
            assert [one["gone"] for one in seen["workers"]] == [False]
            assert seen["workers"][0]["worker"].endswith(f":{working.pid}")
        finally:
            working.send_signal(signal.SIGTERM)
        assert working.wait(DEADLINE) == 0
    assert not wait_for(lambda _: True)["workers"]
