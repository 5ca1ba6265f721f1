"""What fault tests share: a deployment on the shared servers, and the report that becomes docs/reliability.md."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deployment import Deployment
from tests.faults import reliability
from tests.faults.reliability import Entry
from tests.faults.scenario import faulty

FOUND = pytest.StashKey[list[Entry]]()
FAILED: set[str] = set()
REPORT = Path(__file__).parents[2] / ".state" / "reliability.json"


@pytest.fixture
def deployment(kafka_bootstrap, redis_url, unique) -> Deployment:
    return faulty(f"kafka://{kafka_bootstrap}", redis_url, unique)


@pytest.fixture
def soak_seconds() -> Callable[[float, float], float]:
    """How long a fault lasts: the first in CI, the second with RELIABILITY=1."""
    return lambda short, long: long if os.environ.get("RELIABILITY") == "1" else short


@pytest.fixture
def fault_report(request) -> Callable[..., None]:
    """Call it at the end of a test with what happened and what was found: `make reliability` publishes that."""

    def report(happened: str, found: str, back_after: float | None = None) -> None:
        entry = Entry(request.node.name, happened, back_after, found)
        request.config.stash.setdefault(FOUND, []).append(entry)

    return report


def pytest_runtest_logreport(report) -> None:
    """A test that has reported and then failed found nothing."""
    if report.failed:
        FAILED.add(report.nodeid.rpartition("::")[2])


def pytest_sessionfinish(session) -> None:
    """With RELIABILITY=1: keep what was found, and write the page once everything was."""
    found = [entry for entry in session.config.stash.get(FOUND, []) if entry.test not in FAILED]
    if os.environ.get("RELIABILITY") != "1" or not found:
        return
    reliability.save(found, REPORT)
    page = reliability.PAGE
    page.write_text(reliability.written(page.read_text(), reliability.load(REPORT)))
