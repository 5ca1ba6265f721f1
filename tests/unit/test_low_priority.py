"""The child process for reviews."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from consumer.reviews import ReviewProcess

WORKER = """
import os, time
from consumer.reviews import ReviewProcess

if __name__ == "__main__":
    print(ReviewProcess().submit(os.getpid).result()[0], flush=True)
    time.sleep(60)
"""


def test_it_ends_with_a_worker_that_was_killed(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as worker:
        child = int(worker.stdout.readline())
        os.kill(child, 0)
        worker.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while _runs(child):
        assert time.monotonic() < deadline, "the child outlives its parent"
        time.sleep(0.02)


def test_it_gives_way_from_its_first_moment():
    process = ReviewProcess()
    try:
        future = process.submit(partial(os.getpriority, os.PRIO_PROCESS, 0))
        (child,) = process._processes
        least = min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)
        assert not future.done(), "it still imports"
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == least
        assert future.result()[0] == least, "and not more often than once"
    finally:
        process.close()


def _runs(pid: int) -> bool:
    """Whether the process is there and no zombie: nobody may be left to reap it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
