"""The composition root: the only place that chooses what a deployment is made of. Nothing connects until used."""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, cast
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from consumer.clock import Clock
from consumer.patience import Patience
from consumer.redis_state import RedisState
from consumer.state import State
from livesegments.campaigns.holding import trim_unneeded
from livesegments.campaigns.opening import open_campaigns
from livesegments.parts import kafka_security, keys, log_names, log_specs, worker_settings
from livesegments.redis_address import redis_address
from livesegments.settings import Settings
from livesegments.webhooks.ledger import Ledger
from livesegments.webhooks.redis_ledger import RedisLedger
from logs.base import Logs
from logs.kafka_log import KafkaLogs
from logs.redis_log import RedisLogs
from recommender.reader import CustomerReader
from recommender.redis_open import open_redis as open_client
from recommender.store import RedisViews, ViewStore

if TYPE_CHECKING:
    from consumer.worker import Worker

HEALTH_CHECK_SECONDS: Final = 20
"""A connection that a firewall dropped silently costs a timeout otherwise."""
CONNECT_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Deployment:
    """The servers of one deployment: its log, its state, its views."""

    settings: Settings
    logs: Logs
    state: State
    views: ViewStore

    def reader(self) -> CustomerReader:
        """What an application would ask. Not to be closed apart from the deployment."""
        return CustomerReader(self.views, prefix=self.settings.key_prefix)

    def close(self) -> None:
        """Let go of all connections."""
        self.logs.close()
        self.state.close()
        self.views.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_deployment(settings: Settings) -> Deployment:
    """The deployment that the settings describe."""
    client = open_redis(settings)
    return Deployment(settings, open_logs(settings), RedisState(client, keys(settings)), RedisViews(client))


def open_redis(settings: Settings, *, patient: bool = True) -> Redis:
    """A client for state and views. It keeps redis-py's retries: every script of ours knows a repeated call.

    Without patience each call is tried once, for a few seconds.
    """
    options: dict[str, Any] = {} if patient else {"socket_timeout": CONNECT_SECONDS, "retry": Retry(NoBackoff(), 0)}
    client = open_client(
        redis_address(settings.redis_url, settings),
        socket_connect_timeout=CONNECT_SECONDS,
        health_check_interval=HEALTH_CHECK_SECONDS,
        **options,
    )
    return cast("Redis", client)  # or one of a cluster, which answers to the same methods


def open_logs(settings: Settings) -> Logs:
    """The log server."""
    url = settings.event_log_url
    timeout = settings.session_timeout.seconds
    if not url.startswith("kafka:"):
        return RedisLogs(redis_address(url, settings), session_timeout=timeout)
    return KafkaLogs(
        urlsplit(url).netloc,
        security=kafka_security(settings),
        session_timeout=timeout,
        replication_factor=settings.replication_factor,
    )


def create_logs(settings: Settings, logs: Logs) -> None:
    """Create every log that is missing. Raises LogUnavailableError."""
    for spec in log_specs(settings):
        logs.create(spec)


@contextlib.contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """What is kept of webhooks' endpoints."""
    with contextlib.closing(open_redis(settings)) as client:
        yield RedisLedger(client, keys(settings), settings.webhook_dead_letters)


@contextlib.contextmanager
def open_worker(deployment: Deployment, patience: Patience) -> Iterator["Worker"]:
    """A worker, once the servers answer. Raises StoppedError where it is to stop before they do."""
    # Learning and ranking bring scipy and river: nobody else waits for these.
    from consumer.catalogue import CatalogueFollower  # noqa: PLC0415
    from consumer.worker import Parts, Worker  # noqa: PLC0415

    settings, logs = deployment.settings, deployment.logs
    events = log_names(settings).events

    patience.try_until_done("create logs", lambda: create_logs(settings, logs))
    log = patience.try_until_done("look at the log", lambda: logs.describe(events))
    patience.try_until_done("look at the state", lambda: deployment.state.meta(0))
    with contextlib.ExitStack() as stack:
        writer = patience.try_until_done("open a writer", logs.writer)
        stack.callback(writer.close, 10.0)
        reader = patience.try_until_done("join the group", lambda: logs.reader(events, settings.group))
        parts = Parts(
            log=log,
            describe=lambda: logs.describe(events),
            reader=reader,
            writer=writer,
            state=deployment.state,
            views=deployment.views,
            trim=partial(trim_unneeded, open_campaigns(settings, deployment.state, logs))
            if isinstance(logs, RedisLogs)
            else None,
            catalogue=CatalogueFollower(
                logs, log_names(settings).catalog, f"{settings.group}-catalog-{uuid.uuid4().hex}"
            ),
        )
        yield Worker(parts, worker_settings(settings), Clock(settings.clock))
