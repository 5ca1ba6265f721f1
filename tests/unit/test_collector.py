"""What a worker let go of goes back to the system."""

import os
import platform
import subprocess
import sys

import pytest

WORK = """
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
