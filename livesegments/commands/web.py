"""`livesegments web`: the pages and the HTTP API, until told to stop."""

import structlog
import typer

from consumer import collector
from livesegments.app import open_deployment
from livesegments.flags import with_settings
from livesegments.log_output import configure
from livesegments.signals import stop_signals
from livesegments.sources import Loaded

app = typer.Typer(add_completion=False)
_log = structlog.get_logger("livesegments.web")


@app.command()
@with_settings
def web(loaded: Loaded) -> None:
    """Serve the pages for people (docs/dashboard.md) and the HTTP API for programs (docs/http-api.md)."""
    # The rest of the command line is not to wait for these.
    from dashboard.api.app import create_app  # noqa: PLC0415
    from livesegments.web.opening import open_pages, open_web  # noqa: PLC0415
    from livesegments.web.serving import Server, address_of, listening  # noqa: PLC0415

    settings = loaded.settings
    configure(settings)
    with (
        listening(settings) as listener,
        open_deployment(settings) as deployment,
        open_web(deployment, loaded) as parts,
    ):
        listener.listen()
        if parts.keys:
            who = f"{len(parts.keys.callers)} keys"
        elif settings.web_open:
            who = "anybody who reaches it: no keys are set, and web_open is on"
        else:
            who = "this machine only: no keys are set (`livesegments web-key` makes one)"
        _log.info("serving the pages and the HTTP API", at=address_of(listener), open_to=who)
        server = Server(create_app(parts, open_pages(deployment, parts)))
        collector.calm()
        # uvicorn sends itself the signal again when it has stopped, to those who listened before it.
        with stop_signals(lambda: None):
            server.run(sockets=[listener])
        _log.info("stopped")
