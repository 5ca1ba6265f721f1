"""Tables of whoever is inside a lasso that was drawn on the pages' map."""

from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from dashboard.access import Caller
from dashboard.analysis import Analysis
from dashboard.api.auth import Needs
from dashboard.api.exports import Exports
from dashboard.api.problems import Problem
from dashboard.lasso import Lasso, LassoError
from dashboard.parts import WebParts
from dashboard.table_stream import TableFormat


def add_routes(router: APIRouter, parts: WebParts, analysis: Analysis) -> None:
    """Let a router answer. The routes are no part of the API's promise: what a lasso is may change."""
    exports = Exports(parts)
    may = Depends(Needs("export"))
    text = Query(max_length=40_000)

    @router.get("/export/lasso.csv", response_class=Response, include_in_schema=False)
    async def lasso_csv(caller: Annotated[Caller, may], lasso: Annotated[str, text]) -> Response:
        return await table("csv", caller, lasso)

    @router.get("/export/lasso.parquet", response_class=Response, include_in_schema=False)
    async def lasso_parquet(caller: Annotated[Caller, may], lasso: Annotated[str, text]) -> Response:
        return await table("parquet", caller, lasso)

    async def table(kind: TableFormat, caller: Caller, text: str) -> Response:
        try:
            lasso = Lasso.read(text)
            return await exports.some_customers(kind, caller, f"/export/lasso.{kind}", partial(analysis.inside, lasso))
        except LassoError as error:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", str(error)) from None
