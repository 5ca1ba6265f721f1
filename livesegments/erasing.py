"""Forgetting a customer: the event, and the moment from which nothing of the customer is left."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from consumer.applying import marker_key
from consumer.decoding import hashes
from consumer.ragged import marker_of
from contracts.errors import LivesegmentsError
from contracts.times import from_micros
from livesegments.app import Deployment
from livesegments.customers import checked_id
from livesegments.parts import keys, log_names
from producer.publisher import EventPublisher

_WAITS: Final = (0.05, 0.1, 0.2, 0.5)
"""Seconds between looks: the whole of a partition's markers is read each time."""


class NotErasedError(LivesegmentsError):
    """The erasure stands on the log and no worker has applied it in time."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erase event that stands on the log."""

    customer_id: str
    event_id: str
    at: int
    partition: int


def publish(customer_id: str, deployment: Deployment, now: int) -> Erasure:
    """Put the event onto the log. `now`: microseconds UTC. Raises CustomerIdError, PublishError, LogError."""
    checked_id(customer_id)
    settings = deployment.settings
    event_id = f"erase-{uuid.uuid4()}"
    with EventPublisher(deployment.logs, log=log_names(settings).events, partitions=settings.partitions) as publisher:
        placed = publisher.erase(customer_id=customer_id, occurred_at=from_micros(now), event_id=event_id)
    return Erasure(customer_id, event_id, now, placed.result().partition)


def is_applied(erasure: Erasure, deployment: Deployment) -> bool:
    """Whether row and view are gone. What came later may be there again."""
    state = deployment.state
    marker = state.keep(erasure.partition).markers.get(marker_key(erasure.customer_id))
    if marker is None:
        return False
    known = marker_of(marker)
    if known.event != int(hashes([erasure.event_id])[0]) and known.at < erasure.at:
        return False
    view = deployment.views.get(keys(deployment.settings).customer(erasure.customer_id))
    return view is None or state.row(erasure.partition, erasure.customer_id) is not None


def wait_until_applied(
    erasure: Erasure,
    deployment: Deployment,
    timeout: float,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait for a worker at most so many seconds. Raises NotErasedError."""
    deadline = monotonic() + timeout
    looks = 0
    while not is_applied(erasure, deployment):
        if monotonic() >= deadline:
            raise NotErasedError(
                f"the erasure stands on the log, but no worker has applied it within {timeout:g} s: start a worker, or"
                " wait for it to catch up; nothing needs to be published again"
            )
        sleep(_WAITS[min(looks, len(_WAITS) - 1)])
        looks += 1
