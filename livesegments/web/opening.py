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
from livesegments.app import create_logs, open_deployment
from livesegments.day_documents import read_days
from livesegments.parts import audit_spec, log_names, rates
from livesegments.redis_address import redis_address
from livesegments.settings import Settings
from livesegments.web.judging import judge_of
from livesegments.web.rows import StateRows
from recommender.reader_async import AsyncCustomerReader
from recommender.redis_url import RedisUrl


@contextlib.contextmanager
def open_web(settings: Settings) -> Iterator[WebParts]:
    """Everything that the app needs. Creates logs that are missing. Raises LogUnavailableError."""
    names, keys = log_names(settings), ApiKeys.read(settings.web_keys)
    with contextlib.ExitStack() as stack:
        deployment = stack.enter_context(open_deployment(settings))
        create_logs(settings, deployment.logs)
        deployment.logs.create(audit_spec(settings))
        writer = deployment.logs.writer()
        stack.callback(writer.close, 10.0)
        address = redis_address(settings.redis_url, settings)
        # Only one server tells its clients what has changed.
        near_cache = RedisUrl.read(address).kind == "server"
        yield WebParts(
            reader=AsyncCustomerReader(address, settings.key_prefix, near_cache=near_cache),
            intake=EventIntake(writer, names.events, judge_of(rates(settings))),
            rows=StateRows(deployment.state, settings.out_of_scope_name),
            history=lambda days: read_days(deployment, days, HistoryDay, Keys.history),
            changes=ChangeFeed(deployment.logs, names.changes, settings.group),
            audit=AuditTrail(writer, names.audit),
            now=wall_micros,
            keys=keys,
            masks=Masks(keys.secret()),
            max_body=settings.web_max_body,
            unavailable=(StateUnavailableError,),
            version=__version__,
        )
