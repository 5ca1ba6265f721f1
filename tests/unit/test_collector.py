"""What a worker let go of goes back to the system, and what it needs again at once does not."""

import gc
import os
import platform
import subprocess
import sys

import pytest

from consumer import collector
from tests.in_process import InProcess

WORK = """
import gc
import os
from consumer.collector import give_back

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")

rows = [os.urandom(1_000) for _ in range(100_000)]
kept = rows[::1_000]  # a few between them, so that no end of the heap falls free by itself
before = resident()
del rows
between = resident()
give_back()
print(before, between, resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such call")
def test_memory_of_rows_that_are_gone_goes_back_although_some_between_them_stay():
    found = subprocess.run(
        [sys.executable, "-c", WORK], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": "."}
    )
    before, between, after = map(int, found.stdout.split())
    assert before - between < 30e6, "the C library keeps it"
    assert before - after > 70e6


ARRAYS = """
import resource
import numpy as np
from consumer.collector import calm

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        first, second = np.ones(1_500_000, np.float32), np.ones(1_500_000, np.float32)
        del first, second
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

one_after_the_other = faults()
calm()
faults()
print(one_after_the_other, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such call")
def test_the_memory_of_arrays_is_used_again():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    found = subprocess.run(
        [sys.executable, "-c", ARRAYS],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, "PYTHONPATH": "."},
    )
    before, after = map(int, found.stdout.split())
    assert after < 100
    assert before > 10_000, "the C library keeps it by itself"


def test_what_is_young_is_looked_at_after_a_step_and_not_within_it():
    looked = []
    gc.callbacks.append(lambda phase, _: looked.append(phase))
    try:
        with collector.later():
            young = [[number] for number in range(3 * gc.get_threshold()[0])]
            assert not looked
        young.extend([[], []])
        assert looked
        gc.disable()
        with collector.later():
            pass
        assert not gc.isenabled(), "who wants none at all gets none"
    finally:
        gc.callbacks.pop()
        gc.enable()


def test_a_worker_gives_back_once_a_minute(monkeypatch):
    given, now = [], [0.0]
    monkeypatch.setattr(collector, "give_back", lambda: given.append(now[0]))
    worker = InProcess().worker(monotonic=lambda: now[0])
    for now[0] in (0.0, 10.0, 59.0, 61.0, 62.0, 300.0):
        worker.step(0.0)
    worker.close()
    assert given == [0.0, 61.0, 300.0]
