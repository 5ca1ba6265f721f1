"""The benchmark of reading measures everything that it says it does."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_prints_every_figure(one_redis_url):
    command = [
        sys.executable,
        "-m",
        "benchmarks.lookup",
        "--customers",
        "50",
        "--reads",
        "200",
        "--rounds",
        "2",
        "--json",
    ]
    environment = {"REDIS_URL": one_redis_url, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    for name in ("near_cached_per_s", "plain_per_s", "many_per_s", "redis_py_get_per_s", "plain_p99_ms"):
        assert figures[name] > 0
    assert figures["view_bytes"] <= 900
    assert figures["redis_version"]
