"""The ASGI app, from its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.responses import Response

from dashboard.api import changes, customers, events, exports, problems, recommendations, segments
from dashboard.api.gate import Gate
from dashboard.api.openapi import describe
from dashboard.parts import WebParts

ABOUT = "Events in; customers, segments, recommendations and tables out. Every error is problem+json (RFC 9457)."


def create_app(parts: WebParts) -> FastAPI:
    """The app. It closes the reader and the feed of changes when it ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
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
    # Routes are looked through in this order: what is asked most comes first.
    for made in (customers, recommendations, events, segments, changes, exports):
        made.add_routes(app.router, parts)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return Response("ok\n", media_type="text/plain")

    describe(app)
    return app
