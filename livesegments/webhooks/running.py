"""All endpoints of a deployment at a time, until told to stop: none of them waits for another."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, MutableSequence, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from consumer.clock import wall_micros
from contracts.times import SECOND
from livesegments.app import Deployment
from livesegments.parts import log_names, retry_policy
from livesegments.settings import Settings
from livesegments.webhooks.delivery import Delivery, Source
from livesegments.webhooks.dispatching import Dispatcher
from livesegments.webhooks.endpoints import Endpoint
from livesegments.webhooks.filtering import Filter, SegmentNames
from livesegments.webhooks.ledger import Ledger
from livesegments.webhooks.sending import Sender, trusted
from livesegments.webhooks.signing import keys_of
from recommender.reader import CustomerReader

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 15.0
"""After a fault of ours an endpoint is begun with anew after so long."""

_log = structlog.get_logger("livesegments.webhooks")


@dataclass(frozen=True, slots=True)
class Running:
    """One endpoint that is told."""

    endpoint: Endpoint
    delivery: Delivery
    sender: Sender


def group_of(settings: Settings, name: str) -> str:
    """The consumer group of an endpoint: independent of all others."""
    return f"{settings.group}-webhook-{name}"


def segment_names(reader: CustomerReader) -> Callable[[], Mapping[int, str]]:
    """What reads what segments are called."""

    def read() -> Mapping[int, str]:
        found = reader.segments()
        return {} if found is None else {one.id: one.name for one in found.segments}

    return read


async def deliver(
    deployment: Deployment,
    ledger: Ledger,
    endpoints: Mapping[str, Endpoint],
    secrets: Mapping[str, Sequence[str]],
    *,
    stopping: asyncio.Event,
    on_look: Callable[[Sequence[Running]], None],
    again_seconds: float = AGAIN_SECONDS,
) -> None:
    """Tell every endpoint until `stopping` is set; `on_look` is called every second.

    `secrets` are those of each endpoint as texts. A fault of ours ends what one endpoint is told, and no other's:
    after `again_seconds` it is begun with anew.
    """
    settings = deployment.settings
    context, names = trusted(settings.webhook_ca_file), SegmentNames(segment_names(deployment.reader()))

    def begin(endpoint: Endpoint) -> Running:
        name = endpoint.name
        sender = Sender(endpoint, keys_of(secrets[name]), context, settings.webhook_timeout.seconds)
        dispatcher = Dispatcher(endpoint, sender, retry_policy(settings), wall_micros, random.Random())
        source = Source(deployment.logs, log_names(settings).changes, group_of(settings, name))
        delivery = Delivery(name, source, ledger, dispatcher, Filter(endpoint, names), now=wall_micros)
        return Running(endpoint, delivery, sender)

    running = [begin(endpoint) for endpoint in endpoints.values()]
    tasks = [
        asyncio.create_task(_kept_going(running, place, begin, stopping, again_seconds))
        for place in range(len(running))
    ]
    waiting = asyncio.create_task(stopping.wait())
    try:
        while not stopping.is_set():
            await asyncio.wait([waiting], timeout=LOOK_SECONDS)
            on_look(running)
    finally:
        waiting.cancel()
        stopping.set()
        for one in running:
            one.delivery.stop()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in running:
            await one.sender.close()
        on_look(running)


async def _kept_going(
    running: MutableSequence[Running],
    place: int,
    begin: Callable[[Endpoint], Running],
    stopping: asyncio.Event,
    again_seconds: float,
) -> None:
    """Tell one endpoint, and begin anew after each fault of ours."""
    while not stopping.is_set():
        one = running[place]
        try:
            await one.delivery.run()
        except Exception as error:  # noqa: BLE001 - whatever it is: the others are told on
            _log.exception("telling an endpoint ended by a fault of ours; please report it", endpoint=one.endpoint.name)
            one.delivery.error = f"a fault of livesegments ({type(error).__name__}), its log says more"
            await one.sender.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), again_seconds)
            if not stopping.is_set():
                running[place] = begin(one.endpoint)


class StatusLine:
    """Says how all endpoints are doing, every so many seconds.

    Parameters:
        interval: microseconds.
    """

    def __init__(self, interval: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval / SECOND
        self._monotonic = monotonic
        self._said_at = monotonic()
        self._delivered = 0

    def __call__(self, running: Sequence[Running]) -> None:
        """Say it if it is time."""
        passed = self._monotonic() - self._said_at
        if passed < self._interval:
            return
        delivered = sum(one.delivery.dispatcher.delivered for one in running)
        _log.info(
            "telling",
            endpoints=len(running),
            # Whoever was begun with anew counts from nothing.
            changes_per_s=round(max(0, delivered - self._delivered) / passed, 1),
            waiting=sum(one.delivery.waiting or 0 for one in running),
            failing=[one.endpoint.name for one in running if one.delivery.dispatcher.failing_seconds is not None],
            given_up=sum(one.delivery.dispatcher.given_up for one in running),
        )
        self._said_at, self._delivered = self._said_at + passed, delivered
