"""Fixtures shared by all tests. A server that can not be had skips the test; under CI=true it fails it."""

import contextlib
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.servers import LocalCluster, LocalKafka, LocalRedis, LocalSentinel, NoServerError, kafka_server, redis_server

TRIES = 3
DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    """Told to stop, stop as on Ctrl-C: containers of the fixtures would outlive us otherwise."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A time limit for each example, hypothesis' default outside CI, makes a busy machine a failing test.
    hypothesis.settings.register_profile("unhurried", parent=hypothesis.settings(), deadline=None)
    hypothesis.settings.load_profile("unhurried")
    # A broker that lives for a test spends most of its processor time on compiling itself well for later.
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
    if os.environ.get("CI") == "true":
        # Of a run there only a part may be kept: what failed, and not a thousand lines of a broker that was killed.
        config.option.showcapture = "no"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: what one process begins at the end, all others would wait for."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, "unit" in item.path.parts))


def missing(reason: str) -> None:
    """Skip with the reason, or fail where everything is meant to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true: this must not be skipped)")
    pytest.skip(reason)


@contextlib.contextmanager
def _or_skip(server: Callable[[], AbstractContextManager]) -> Iterator:
    with contextlib.ExitStack() as stack:
        yield _started(server, stack)


def _started(server: Callable[[], AbstractContextManager], stack: contextlib.ExitStack) -> Any:
    """What the server gives. Testers start many at once, and a port that was free just now may be another's by then."""
    for tries_left in reversed(range(TRIES)):
        try:
            return stack.enter_context(server())
        except NoServerError as error:
            if not tries_left:
                missing(str(error))
        except Exception:
            if not tries_left:
                raise
    raise AssertionError


@pytest.fixture(scope="session")
def kafka_bootstrap():
    """host:port of a Kafka broker shared by all tests: use `unique` in the names of logs and groups."""
    with _or_skip(kafka_server) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def redis_url():
    """URL of a Redis shared by all tests: use `unique` as key prefix, and flush nothing. It may name a cluster."""
    with _or_skip(redis_server) as url:
        yield url


@pytest.fixture(scope="session")
def one_redis_url(redis_url):
    """The same, for what needs one server: a log, a near-cache. Where REDIS_URL is a cluster it is another."""
    if not redis_url.startswith("redis+cluster:"):
        yield redis_url
        return
    with _or_skip(LocalRedis) as local:
        yield local.url


@pytest.fixture(scope="session")
def cluster_url():
    """redis+cluster:// URL of a Redis Cluster shared by all tests, as above: nothing may be killed in it."""
    given = os.environ.get("REDIS_URL", "")
    if given.startswith("redis+cluster:"):
        yield given
        return
    with _or_skip(LocalCluster) as cluster:
        yield cluster.url


@pytest.fixture
def unique() -> str:
    """A name that nobody else uses, for logs, groups and key prefixes: this is a test's clean slate."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def local_kafka():
    """A broker of one's own, to kill, freeze and restart."""
    with _or_skip(LocalKafka) as kafka:
        yield kafka


@pytest.fixture
def local_cluster():
    """A Redis Cluster of one's own, to fail over and to move slots in."""
    with _or_skip(LocalCluster) as cluster:
        yield cluster


@pytest.fixture
def local_sentinel():
    """A Redis of one's own with a replica and a Sentinel over both, to fail over."""
    with _or_skip(LocalSentinel) as sentinel:
        yield sentinel


@pytest.fixture
def local_redis():
    """A Redis of one's own, to kill and restart."""
    with _or_skip(LocalRedis) as redis:
        yield redis


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Public data sets, beside the repository and not part of it."""
    if not DATA.is_dir():
        missing(f"no data sets in {DATA}")
    return DATA
