"""`livesegments worker`: rows, segments and recommendations from the log, until told to stop."""

import contextlib
import threading
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from consumer import collector
from consumer.patience import Patience, StoppedError
from contracts.redaction import without_password
from livesegments.app import open_deployment, open_worker
from livesegments.audience_days import AudienceDays
from livesegments.durations import Duration
from livesegments.flags import duration, with_settings
from livesegments.log_output import configure
from livesegments.monitoring.monitor import monitored
from livesegments.parts import keys
from livesegments.signals import stop_signals
from livesegments.sources import Loaded
from livesegments.status import StatusLine, report
from livesegments.worker_status import StatusPublisher

if TYPE_CHECKING:
    from consumer.worker import Worker

app = typer.Typer(add_completion=False)
_log = structlog.get_logger("livesegments")


@app.command()
@with_settings
def worker(
    loaded: Loaded,
    until_idle: Annotated[
        Duration | None,
        typer.Option(
            parser=duration,
            metavar="DURATION",
            help="Stop when nothing has been left to do for so long, such as 5s: to script a replay.",
        ),
    ] = None,
) -> None:
    """Keep rows, segments and recommendations up with the log. Start as many as there are partitions."""
    settings = loaded.settings
    configure(settings)
    stopping = threading.Event()
    patience = Patience(stopping)
    with (
        open_deployment(settings) as deployment,
        contextlib.suppress(StoppedError),
        stop_signals(stopping.set),
        monitored(settings, patience) as monitor,
    ):
        _log.info(
            "worker starts",
            log=without_password(settings.event_log_url),
            redis=without_password(settings.redis_url),
            clock=settings.clock,
        )
        with open_worker(deployment, patience) as working:
            for warning in deployment.state.warnings():
                _log.warning(warning)
            collector.calm()
            line = StatusLine(settings.status_interval.seconds)
            published = StatusPublisher(deployment.state, settings.figures_interval.seconds)
            audience_days = AudienceDays(deployment.state, deployment.views, keys(settings))

            def on_step(stepped: "Worker") -> None:
                line(stepped)
                published(stepped)
                audience_days(stepped)
                monitor(stepped)

            with contextlib.closing(published), stop_signals(working.stop):
                if stopping.is_set():
                    working.stop()
                working.run(until_idle=until_idle.seconds if until_idle is not None else None, on_step=on_step)
            report(working, settings)
