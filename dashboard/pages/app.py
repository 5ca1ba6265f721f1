"""The pages as an ASGI app: Dash on FastAPI, behind their gate."""

import logging
from http import HTTPStatus
from pathlib import Path
from typing import Final

import structlog
from dash import Dash, set_props
from dash.exceptions import DependencyException
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from dashboard.pages import shell
from dashboard.pages.gate import Gate
from dashboard.pages.page import NOTICE, PREFIX, Callbacks
from dashboard.pages.parts import PageParts
from dashboard.pages.registry import PAGES
from dashboard.pages.sessions import Sessions
from dashboard.pages.static_files import StaticFiles

_log = structlog.get_logger("livesegments.web")
ASSETS: Final = Path(__file__).parents[1] / "assets"
_INDEX: Final = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<title>{%title%}</title>
<link rel="icon" href="/app/assets/icons/mark.svg" type="image/svg+xml">
{%css%}
</head>
<body>
{%app_entry%}
<footer>
{%config%}
{%scripts%}
{%renderer%}
</footer>
</body>
</html>"""


def create_pages(parts: PageParts, api: ASGIApp) -> ASGIApp:
    """The app for everything below PREFIX; `api` is asked for downloads."""
    server = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app = Dash(
        __name__,
        server=server,  # type: ignore[arg-type]  # what is documented is wider than its annotation
        url_base_pathname=PREFIX,
        assets_folder=str(ASSETS),
        assets_ignore=r".*\.svg",
        title="livesegments",
        update_title="",
        index_string=_INDEX,
        suppress_callback_exceptions=True,
        websocket_inactivity_timeout=0,
        add_log_handler=False,
        on_error=_fault,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    # Of a file that it does not have Dash says so by a fault.
    server.add_exception_handler(DependencyException, _no_file)
    app.logger.setLevel(logging.WARNING)
    app.enable_dev_tools(debug=False)
    app.layout = shell.layout
    shell.register(app, PAGES, parts)
    for page in PAGES:
        page.register(Callbacks(app, page.needs), parts)
    sessions = Sessions(parts.web.keys, parts.web.ends)
    return Gate(
        server, StaticFiles(server), api, parts.web.keys, sessions, parts.web.now, policy(app), parts.web.imports
    )


def _fault(error: Exception) -> None:
    """A fault of ours in an answer: it goes to our log, and the visitor is told that there was one."""
    _log.error("a page could not be drawn: a fault of ours", exc_info=error)
    set_props(
        NOTICE, {"children": "This could not be shown: a fault of livesegments. Its log says more; please report it."}
    )


def _no_file(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("there is no such file", HTTPStatus.NOT_FOUND)


def policy(app: Dash) -> str:
    """Content-Security-Policy: our own files, Dash's one inline script by its hash, and nothing from elsewhere."""
    scripts = " ".join(app.csp_hashes())
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data: blob:;"
        " font-src 'self'; connect-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    )
