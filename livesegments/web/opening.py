"""The parts of the HTTP API, opened as the settings say."""

import contextlib
from collections.abc import Iterator

from consumer.clock import wall_micros
from consumer.state import StateUnavailableError
from contracts.documents import HistoryDay
from contracts.keys import Keys
from dashboard.access import ApiKeys
from dashboard.audit import AuditTrail
from dashboard.change_feed import ChangeFeed
from dashboard.event_intake import EventIntake
from dashboard.masking import Masks
from dashboard.parts import WebParts
from livesegments import __version__
from livesegments.app import Deployment, create_logs
from livesegments.day_documents import read_days
from livesegments.parts import audit_spec, log_names, rates
from livesegments.redis_address import redis_address
from livesegments.web.judging import judge_of
from livesegments.web.rows import StateRows
from recommender.reader_async import AsyncCustomerReader
from recommender.store import MemoryViews


@contextlib.contextmanager
def open_web(deployment: Deployment) -> Iterator[WebParts]:
    """Everything that the app needs, on a deployment that stays open. Creates logs that are missing.

    Raises LogUnavailableError.
    """
    settings, logs = deployment.settings, deployment.logs
    names, keys = log_names(settings), ApiKeys.read(settings.web_keys)
    create_logs(settings, logs)
    logs.create(audit_spec(settings))
    writer = logs.writer()
    try:
        yield WebParts(
            reader=_reader(deployment),
            intake=EventIntake(writer, names.events, judge_of(rates(settings))),
            rows=StateRows(deployment.state, settings.out_of_scope_name),
            history=lambda days: read_days(deployment, days, HistoryDay, Keys.history),
            changes=ChangeFeed(logs, names.changes, settings.group),
            audit=AuditTrail(writer, names.audit),
            now=wall_micros,
            keys=keys,
            masks=Masks(keys.secret()),
            max_body=settings.web_max_body,
            unavailable=(StateUnavailableError,),
            version=__version__,
        )
    finally:
        writer.close(10.0)


def _reader(deployment: Deployment) -> AsyncCustomerReader:
    settings = deployment.settings
    if isinstance(deployment.views, MemoryViews):
        return AsyncCustomerReader(deployment.views, settings.key_prefix)
    # No near-cache: with everybody's customers passing through it, it misses, and costs more than it saves.
    return AsyncCustomerReader(redis_address(settings.redis_url, settings), settings.key_prefix)
