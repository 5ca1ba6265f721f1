"""One worker as benchmarks run it: everything on, a real broker, a real Redis, by the wall clock, no word said."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import redis
import structlog

from consumer import collector
from consumer.clock import Clock
from consumer.redis_state import RedisState
from consumer.settings import WorkerSettings
from consumer.worker import Parts, Worker
from logs.open import open_logs
from recommender.store import RedisViews


@contextmanager
def one_worker(bootstrap: str, redis_url: str, settings: WorkerSettings) -> Iterator[Worker]:
    """A worker that has not begun; `run` is up to the caller."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    collector.calm()
    client = redis.Redis.from_url(redis_url)
    events = settings.names.events
    with (
        closing(open_logs(f"kafka://{bootstrap}", session_timeout=settings.session_timeout)) as logs,
        closing(logs.writer()) as writer,
    ):
        parts = Parts(
            log=logs.describe(events),
            describe=lambda: logs.describe(events),
            reader=logs.reader(events, settings.group),
            writer=writer,
            state=RedisState(client, settings.keys),
            views=RedisViews(client),
        )
        yield Worker(parts, settings, Clock("wall"))
