"""Audiences: tables of who is in one, and of who is like them."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from dashboard.access import Caller
from dashboard.api.auth import Needs
from dashboard.api.exports import Exports, tables
from dashboard.api.openapi import PRINTABLE, problems
from dashboard.api.problems import Problem
from dashboard.audience_rows import members
from dashboard.parts import WebParts
from dashboard.table_stream import TableFormat
from online_model.look_alikes import NotComparableError

Most = Annotated[int, Query(ge=1, le=100_000, description="So many customers.")]
Audience = Annotated[str, Path(min_length=1, max_length=200, pattern=PRINTABLE, examples=["Big spenders"])]


def add_routes(router: APIRouter, parts: WebParts) -> None:
    """Let a router answer."""
    exports = Exports(parts)
    may = Depends(Needs("export"))
    if parts.look_alikes is not None:
        _add_look_alikes(router, parts, exports, parts.look_alikes)

    async def table(kind: TableFormat, audience: str, caller: Caller) -> Response:
        _known(parts, audience)
        path = f"/audiences/{audience}/customers.{kind}"
        return await exports.some_customers(kind, caller, path, partial(members, parts.rows, audience))

    def told(kind: TableFormat) -> dict[int | str, dict[str, Any]]:
        return tables(kind, "There is no such audience.")

    @router.get("/audiences/{audience:path}/customers.csv", response_class=Response, responses=told("csv"))
    async def members_csv(audience: Audience, caller: Annotated[Caller, may]) -> Response:
        """Every customer of an audience."""
        return await table("csv", audience, caller)

    @router.get("/audiences/{audience:path}/customers.parquet", response_class=Response, responses=told("parquet"))
    async def members_parquet(audience: Audience, caller: Annotated[Caller, may]) -> Response:
        """The same as Parquet, compressed."""
        return await table("parquet", audience, caller)


def _known(parts: WebParts, audience: str) -> None:
    if audience not in parts.audiences:
        there = ", ".join(sorted(parts.audiences)) or "none"
        raise Problem(
            HTTPStatus.NOT_FOUND, "not-found", f"the settings name no audience {audience!r}; there are: {there}"
        )


def _add_look_alikes(
    router: APIRouter, parts: WebParts, exports: Exports, look_alikes: Callable[[str, int], Any]
) -> None:
    may = Depends(Needs("export"))

    async def likes(kind: TableFormat, audience: str, most: int, caller: Caller) -> Response:
        _known(parts, audience)
        path = f"/audiences/{audience}/look-alikes.{kind}"
        try:
            return await exports.one_batch(kind, caller, path, partial(look_alikes, audience, most))
        except NotComparableError as error:
            raise Problem(HTTPStatus.CONFLICT, "not-comparable", str(error)) from error

    def told_of_likes(kind: TableFormat) -> dict[int | str, dict[str, Any]]:
        return tables(kind, "There is no such audience.") | problems(
            s409="There are too few members, or no segments yet."
        )

    @router.get("/audiences/{audience:path}/look-alikes.csv", response_class=Response, responses=told_of_likes("csv"))
    async def look_alikes_csv(audience: Audience, caller: Annotated[Caller, may], n: Most = 1_000) -> Response:
        """The n customers most like an audience, the nearest first, and what brings them near."""
        return await likes("csv", audience, n, caller)

    @router.get(
        "/audiences/{audience:path}/look-alikes.parquet", response_class=Response, responses=told_of_likes("parquet")
    )
    async def look_alikes_parquet(audience: Audience, caller: Annotated[Caller, may], n: Most = 1_000) -> Response:
        """The same as Parquet, compressed."""
        return await likes("parquet", audience, n, caller)
