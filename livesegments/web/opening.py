"""The parts of the HTTP API and of the pages, opened as the settings say."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from consumer.clock import wall_micros
from consumer.state import StateUnavailableError
from contracts.documents import AudienceDay, HistoryDay
from contracts.keys import Keys
from contracts.segment_names import OwnName
from dashboard.access import ApiKeys
from dashboard.audit import AuditTrail
from dashboard.change_feed import ChangeFeed
from dashboard.event_intake import EventIntake
from dashboard.imports import ImportDesk, NoImports
from dashboard.masking import Masks
from dashboard.pages.live import Live
from dashboard.pages.parts import PageParts
from dashboard.pages.sessions import Ends, EndsHere
from dashboard.parts import WebParts
from livesegments import __version__
from livesegments.app import Deployment, create_logs, open_ledger
from livesegments.day_documents import read_days
from livesegments.item_names import item_names
from livesegments.look_alikes import look_alike_table, look_alikes
from livesegments.open_explainer import explainer_of
from livesegments.parts import audit_spec, log_names, rates
from livesegments.records import count_partitions, read_forecaster
from livesegments.redis_address import redis_address
from livesegments.segment_renaming import rename_segment, reset_segment
from livesegments.sources import Loaded
from livesegments.web.analysing import StateAnalysis
from livesegments.web.auditing import AuditBook
from livesegments.web.campaigning import StateCampaigns
from livesegments.web.ended_sessions import SharedEnds
from livesegments.web.importing import StateImports
from livesegments.web.judging import judge_of
from livesegments.web.rows import StateRows
from livesegments.web.sheets import Sheets
from livesegments.webhooks.desk import Desk
from livesegments.worker_status import read_status
from online_model.forecasts.words import TURNED_OFF, about
from recommender.reader_async import AsyncCustomerReader
from recommender.store import MemoryViews

_log = structlog.get_logger("livesegments.web")


@contextlib.contextmanager
def open_web(deployment: Deployment, loaded: Loaded | None = None) -> Iterator[WebParts]:
    """Everything that the app needs, on a deployment that stays open. Creates logs that are missing.

    Files are imported by page where it is known where the settings come from: `loaded`.

    Raises LogUnavailableError.
    """
    settings, logs = deployment.settings, deployment.logs
    names, keys = log_names(settings), ApiKeys.read(settings.web_keys)
    if keys.masks_nothing:
        _log.warning(
            "whoever holds the only key can find out whom masked ids stand for: make a second one, which nobody needs"
            " to use (livesegments web-key)"
        )
    create_logs(settings, logs)
    logs.create(audit_spec(settings))
    with contextlib.ExitStack() as stack:
        writer = logs.writer()
        stack.callback(writer.close, 10.0)
        ledger = stack.enter_context(open_ledger(settings))
        imports: ImportDesk = NoImports()
        if loaded is not None:
            imports = stack.enter_context(contextlib.closing(StateImports(loaded, settings.web_import_max)))
        ends: Ends = EndsHere()  # nobody logs in without keys
        if keys:
            ends = stack.enter_context(contextlib.closing(SharedEnds(deployment.state)))
        yield WebParts(
            reader=_reader(deployment),
            intake=EventIntake(writer, names.events, judge_of(rates(settings))),
            rows=_rows(deployment),
            history=lambda days: read_days(deployment, days, HistoryDay, Keys.history),
            changes=ChangeFeed(logs, names.changes, settings.group),
            audit=AuditTrail(writer, names.audit),
            now=wall_micros,
            keys=keys,
            masks=Masks(keys.secret()),
            max_body=settings.web_max_body,
            unavailable=(StateUnavailableError,),
            version=__version__,
            audiences=frozenset(settings.audiences),
            look_alikes=partial(likest, deployment),
            webhooks=Desk(deployment, ledger),
            campaigns=StateCampaigns(deployment),
            imports=imports,
            ends=ends,
            acts=AuditBook(logs, names.audit).read,
        )


def likest(deployment: Deployment, audience: str, most: int) -> Any:
    """See dashboard.parts.WebParts.look_alikes."""
    explainer = explainer_of(deployment)
    return look_alike_table(look_alikes(explainer, audience, most), explainer.names.name, is_text=False)


def open_pages(deployment: Deployment, web: WebParts) -> PageParts:
    """What the pages need beside it."""
    settings, state = deployment.settings, deployment.state
    return PageParts(
        web=web,
        currency=settings.currency,
        live=Live(
            web,
            lambda: [one for told in state.workers().values() if (one := read_status(told)) is not None],
            partial(count_partitions, state),
        ),
        sheet=Sheets(deployment).sheet,
        naming=StateNaming(deployment),
        item_names=partial(item_names, state),
        conditions=dict(settings.audiences),
        audience_days=lambda days: read_days(deployment, days, AudienceDay, Keys.audience_sizes),
        about_forecasts=lambda: (
            about(read_forecaster(state, told=True).document) if settings.forecasts else (TURNED_OFF,)
        ),
        analysis=StateAnalysis(deployment, _rows(deployment)),
    )


@dataclass(frozen=True, slots=True)
class StateNaming:
    """See dashboard.pages.parts.Naming."""

    deployment: Deployment

    def rename(self, segment_id: int, name: str | None, strategy: str | None) -> OwnName:
        """See Naming."""
        return rename_segment(self.deployment.state, self.deployment.reader().segments(), segment_id, name, strategy)

    def reset(self, segment_id: int) -> None:
        """See Naming."""
        reset_segment(self.deployment.state, segment_id)


def _rows(deployment: Deployment) -> StateRows:
    settings = deployment.settings
    return StateRows(deployment.state, settings.out_of_scope_name, settings.clock, forecasts=settings.forecasts)


def _reader(deployment: Deployment) -> AsyncCustomerReader:
    settings = deployment.settings
    if isinstance(deployment.views, MemoryViews):
        return AsyncCustomerReader(deployment.views, settings.key_prefix)
    # No near-cache: with everybody's customers passing through it, it misses, and costs more than it saves.
    return AsyncCustomerReader(redis_address(settings.redis_url, settings), settings.key_prefix)
