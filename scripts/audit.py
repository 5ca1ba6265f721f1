# ruff: noqa: INP001 - a script
"""Known vulnerabilities in what the lock files pin, by pip-audit; says plainly what it could not look up.

Exit status: 0 nothing known, or nothing learnt (offline, a mirror without advisories); 1 something is known;
2 with AUDIT=required, where anything could not be looked up.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TOOL = "pip-audit==2.10.1"
SECONDS = 180
LOCK = Path(__file__).parents[1] / "requirements-dev.lock"
"""Holds the other one whole."""


def audited() -> tuple[list[dict], str]:
    """What pip-audit found of each package, or nothing and why."""
    uv = Path(sys.executable).with_name("uv")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--timeout", "10")
        command = [uv, "tool", "run", "--quiet", TOOL, "-r", LOCK, *options, "-f", "json", "-o", report]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired) as error:
            return [], str(error)
        if not report.exists() or not report.read_text():
            return [], (done.stderr.strip().splitlines() or ["it said nothing"])[-1].strip()
        return json.loads(report.read_text())["dependencies"], ""


def main() -> int:
    """Say it, and give the exit status."""
    found, why = audited()
    known = [package for package in found if package.get("vulns")]
    skipped = [package["name"] for package in found if "skip_reason" in package]
    for package in known:
        for one in package["vulns"]:
            fixed = f"; fixed in {', '.join(one['fix_versions'])}" if one.get("fix_versions") else ""
            print(f"{package['name']} {package['version']}: {one['id']}{fixed}")  # noqa: T201
    looked_up = len(found) - len(skipped)
    print(f"{looked_up} packages looked up, {len(known)} with known vulnerabilities")  # noqa: T201
    if known:
        return 1
    if skipped or not looked_up:
        reason = why or f"the index of this machine has no advisories on {len(skipped)} packages"
        print(f"NOT AUDITED: {reason}. Run `make audit` where PyPI can be reached.")  # noqa: T201
        return 2 if os.environ.get("AUDIT") == "required" else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
