"""Campaigns: what came of them, and tables of the treated. They are made by people, on the page or by the command."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Depends, Path
from pydantic import ConfigDict, create_model
from starlette.responses import Response

from contracts.campaigns import MAX_NAME, Campaign
from dashboard.access import Caller
from dashboard.api.answers import Answer
from dashboard.api.auth import Needs
from dashboard.api.customers import json_answer
from dashboard.api.exports import Exports, tables
from dashboard.api.openapi import PRINTABLE, problems
from dashboard.api.problems import Problem
from dashboard.campaigns import NoSuchCampaignHereError
from dashboard.formula_safe import formula_safe
from dashboard.parts import WebParts
from dashboard.table_stream import TableFormat

Name = Annotated[str, Path(min_length=1, max_length=MAX_NAME, pattern=PRINTABLE, examples=["Spring letter"])]


_INTERNAL: Final = frozenset({"number", "log_identity", "positions"})
"""Where members are kept and where the log is read from: of nobody's concern."""
_shown: Any = {
    name: (field.annotation, ... if field.is_required() else field.default)
    for name, field in Campaign.model_fields.items()
    if name not in _INTERNAL
}
CampaignAnswer: Any = create_model("CampaignAnswer", __base__=Answer, __doc__=Campaign.__doc__, **_shown)


class CampaignsAnswer(Answer):
    """All campaigns, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"campaigns": []}]})

    campaigns: list[CampaignAnswer]


def add_routes(router: APIRouter, parts: WebParts) -> None:
    """Let a router answer."""
    exports = Exports(parts)
    may = Depends(Needs("export"))

    @router.get("/campaigns", response_model=CampaignsAnswer, responses=problems())
    async def campaigns(_: Annotated[Caller, Depends(Needs("members:read"))]) -> Response:
        """Who was frozen when, how far each campaign is, and what was worked out last. Nobody is named."""
        found = await to_thread.run_sync(parts.campaigns.all)
        return json_answer({"campaigns": [one.model_dump(mode="json", exclude=set(_INTERNAL)) for one in found]})

    async def table(kind: TableFormat, name: str, caller: Caller) -> Response:
        try:
            constants, rows = await to_thread.run_sync(parts.campaigns.treated, name)
        except NoSuchCampaignHereError as error:
            raise Problem(HTTPStatus.NOT_FOUND, "not-found", str(error)) from None
        if kind == "csv":
            rows = (formula_safe(batch)[0] for batch in rows)
        path = f"/campaigns/{name}/treated.{kind}"
        return await exports.some_customers(kind, caller, path, partial(iter, rows), more=constants)

    def told(kind: TableFormat) -> dict[int | str, dict[str, Any]]:
        return tables(kind, "There is no such campaign, or its members are no longer kept.")

    @router.get("/campaigns/{name}/treated.csv", response_class=Response, responses=told("csv"))
    async def treated_csv(name: Name, caller: Annotated[Caller, may]) -> Response:
        """The treated of a campaign who are still there and may be written to; never the controls.

        A text that begins as formulas of spreadsheets do has an apostrophe before it.
        """
        return await table("csv", name, caller)

    @router.get("/campaigns/{name}/treated.parquet", response_class=Response, responses=told("parquet"))
    async def treated_parquet(name: Name, caller: Annotated[Caller, may]) -> Response:
        """The same as Parquet, compressed; texts are as they are."""
        return await table("parquet", name, caller)
