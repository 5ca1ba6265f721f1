"""The ASGI app, from its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from starlette.responses import Response

from dashboard.api import (
    audiences,
    campaigns,
    changes,
    customers,
    events,
    exports,
    lassos,
    problems,
    recommendations,
    segments,
    webhooks,
)
from dashboard.api.gate import Gate
from dashboard.api.lookup import Lookup
from dashboard.api.openapi import describe
from dashboard.pages.app import create_pages
from dashboard.pages.below import Below
from dashboard.pages.parts import PageParts
from dashboard.parts import WebParts

ABOUT = "Events in; customers, segments, recommendations and tables out. Every error is problem+json (RFC 9457)."


def create_app(parts: WebParts, pages: PageParts | None = None) -> FastAPI:
    """The app, with pages below /app/ where they are given. It closes the reader and the feed of changes at its end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            if pages is not None:
                pages.live.close()
            parts.changes.close()
            await parts.reader.close()

    app = FastAPI(
        title="livesegments",
        description=ABOUT,
        version=parts.version or "0",
        lifespan=lifespan,
        redirect_slashes=False,
        # Its pages load scripts from elsewhere: a deployment may have no way out, and a page no business there.
        docs_url=None,
        redoc_url=None,
    )
    app.state.api_keys = parts.keys
    problems.install(app, parts.unavailable)
    app.add_middleware(Gate, max_body=parts.max_body)
    app.add_middleware(Lookup, keys=parts.keys, reader=parts.reader)
    if pages is not None:
        # Outermost: pages have a gate of their own, and the API pays one comparison for them.
        app.add_middleware(Below, make=partial(create_pages, pages))
    # Routes are looked through in this order: what is asked most comes first.
    for made in (customers, recommendations, events, segments, changes, exports, audiences, campaigns, webhooks):
        made.add_routes(app.router, parts)
    if pages is not None:
        lassos.add_routes(app.router, parts, pages.analysis)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return Response("ok\n", media_type="text/plain")

    describe(app)
    return app
