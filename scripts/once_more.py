# ruff: noqa: INP001, T201 - a script
"""The tests that failed in the last run of pytest, once more and alone: what fails again fails.

For CI only, whose machine may give its cores to others in the middle of a test that has a deadline (ADR 38). Whatever
passes the second time is named as flaky, and is to be mended. More than a few are not run again.

Exit status: that of the second run; 1 where there was none.
"""

import json
import subprocess
import sys
from pathlib import Path

MOST = 4
FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main() -> int:
    """Run them; what was given on the command line is handed on to pytest."""
    failed = sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if not (0 < len(failed) <= MOST and all("::" in test for test in failed)):  # no file that can not be collected
        print(f"{len(failed)} failed: not tried again")
        return 1
    print(f"== once more, alone: {', '.join(failed)}", flush=True)
    command = [
        Path(sys.executable).with_name("pytest"),
        "-q",
        "--last-failed",
        "--last-failed-no-failures=none",
        *sys.argv[1:],
    ]
    status = subprocess.run(command, check=False).returncode  # noqa: S603
    if status == 0:
        for test in failed:
            print(f"FLAKY: {test} failed among the others and passed alone")
    return status


if __name__ == "__main__":
    sys.exit(main())
