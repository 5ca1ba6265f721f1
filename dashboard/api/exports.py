"""Tables to be fetched whole, by Tableau, Power BI or a notebook: streamed, with stable columns."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final

import pyarrow as pa
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from contracts.documents import HistoryDay
from contracts.times import from_micros
from dashboard.access import Caller
from dashboard.api.auth import Needs
from dashboard.api.openapi import SegmentId, problems
from dashboard.api.problems import Problem
from dashboard.api.segments import known_segment
from dashboard.api.streams import PatientStream
from dashboard.customer_rows import COLUMNS
from dashboard.member_pages import all_rows
from dashboard.parts import WebParts
from dashboard.table_stream import MEDIA_TYPES, TableFormat, encoded, schema_with_constants, with_constants

FLOWS: Final = pa.schema(
    [
        pa.field("day", pa.date32(), nullable=False),
        pa.field("from_segment_id", pa.int32()),
        pa.field("from_segment_name", pa.string()),
        pa.field("to_segment_id", pa.int32()),
        pa.field("to_segment_name", pa.string()),
        pa.field("cause", pa.string(), nullable=False),
        pa.field("customers", pa.int64(), nullable=False),
    ]
)
"""Of the table of flows. No `from`: new customers; no `to`: erased ones."""


def tables(kind: TableFormat, missing: str = "There is no such segment.") -> dict[int | str, dict[str, Any]]:
    """What a table answers, for OpenAPI; and what it says where there is nothing to make one of."""
    media = MEDIA_TYPES[kind].partition(";")[0]
    schema = {"type": "string"} if kind == "csv" else {"type": "string", "format": "binary"}
    return {
        **problems(s404=missing),
        200: {"description": "The table.", "content": {media: {"schema": schema}}},
    }


def add_routes(router: APIRouter, parts: WebParts) -> None:
    """Let a router answer."""
    exports = Exports(parts)
    may = Depends(Needs("export"))

    @router.get("/export/customers.csv", response_class=Response, responses=tables("csv"))
    async def customers_csv(caller: Annotated[Caller, may]) -> Response:
        """Every customer, a row each (docs/http-api.md has the columns)."""
        return await exports.customers("csv", caller, "/export/customers.csv")

    @router.get("/export/customers.parquet", response_class=Response, responses=tables("parquet"))
    async def customers_parquet(caller: Annotated[Caller, may]) -> Response:
        """The same as Parquet, compressed."""
        return await exports.customers("parquet", caller, "/export/customers.parquet")

    @router.get("/segments/{segment_id}/customers.csv", response_class=Response, responses=tables("csv"))
    async def members_csv(segment_id: SegmentId, caller: Annotated[Caller, may]) -> Response:
        """Every customer of a segment."""
        return await exports.customers("csv", caller, f"/segments/{segment_id}/customers.csv", segment_id)

    @router.get("/segments/{segment_id}/customers.parquet", response_class=Response, responses=tables("parquet"))
    async def members_parquet(segment_id: SegmentId, caller: Annotated[Caller, may]) -> Response:
        """The same as Parquet, compressed."""
        return await exports.customers("parquet", caller, f"/segments/{segment_id}/customers.parquet", segment_id)

    @router.get("/export/flows.csv", response_class=Response, responses=tables("csv"))
    async def flows(
        caller: Annotated[Caller, may],
        days: Annotated[int, Query(ge=1, le=400, description="The newest so many stream days.")] = 30,
    ) -> Response:
        """Who moved from where to where, by day and cause."""
        return await exports.flows(days, caller)


class Exports:
    """Makes tables. Who takes one out is written down first."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._one_at_a_time = CapacityLimiter(1)
        """Of what takes a processor for a while."""

    async def customers(self, kind: TableFormat, caller: Caller, path: str, segment_id: int | None = None) -> Response:
        """All customers, or those of a segment. Raises Problem."""
        if segment_id is not None:
            await known_segment(self._parts, segment_id)
        return await self.some_customers(kind, caller, path, partial(all_rows, self._parts.rows, segment_id))

    async def some_customers(
        self,
        kind: TableFormat,
        caller: Caller,
        path: str,
        rows: Callable[[], Iterator[Any]],
        more: Mapping[str, Any] | None = None,
    ) -> Response:
        """Customers as record batches of COLUMNS, read while they are sent; `more`: constants. Raises Problem."""
        _needs_ids(caller)
        found = await to_thread.run_sync(rows)
        constants = await self._begin(caller, path) | dict(more or {})
        schema = schema_with_constants(COLUMNS, constants)
        return _download(kind, schema, _with(constants, found), path)

    async def one_batch(self, kind: TableFormat, caller: Caller, path: str, made: Callable[[], Any]) -> Response:
        """Customers as one record batch, made in a thread. Raises Problem, and what that raises."""
        _needs_ids(caller)
        batch = await to_thread.run_sync(made, abandon_on_cancel=False, limiter=self._one_at_a_time)
        constants = await self._begin(caller, path)
        schema = schema_with_constants(batch.schema, constants)
        return _download(kind, schema, _with(constants, [batch]), path)

    async def flows(self, days: int, caller: Caller) -> Response:
        """The moves of the newest days."""
        constants = await self._begin(caller, "/export/flows.csv")
        found = await to_thread.run_sync(self._parts.history, days)
        batch = pa.RecordBatch.from_pylist([row for day in found for row in _flows_of(day)], FLOWS)
        schema = schema_with_constants(FLOWS, constants)
        return _download("csv", schema, _with(constants, [batch]), "/export/flows.csv")

    async def _begin(self, caller: Caller, path: str) -> dict[str, Any]:
        """Write the export down; what stands in each of its rows."""
        segments = await self._parts.reader.segments()
        now = self._parts.now()
        await self._parts.audit.noted(now, caller.name, "export", path)
        return {
            "model_version": pa.scalar(0 if segments is None else segments.model_version, pa.int32()),
            "exported_at": pa.scalar(from_micros(now), pa.timestamp("us", tz="UTC")),
        }


def _needs_ids(caller: Caller) -> None:
    if "ids" not in caller.scopes:
        detail = "a table of customers holds their ids: ask for a key with the scope ids, too"
        raise Problem(HTTPStatus.FORBIDDEN, "scope", detail, needs="ids")


def _with(constants: dict[str, Any], batches: Iterable[Any]) -> Iterator[Any]:
    return (with_constants(batch, constants) for batch in batches)


def _flows_of(day: HistoryDay) -> Iterator[dict[str, Any]]:
    names = {one.id: one.name for one in day.segments}
    for move in day.moves:
        before, after = move.from_segment, move.to_segment
        yield {
            "day": day.day,
            "from_segment_id": before,
            "from_segment_name": None if before is None else names.get(before),
            "to_segment_id": after,
            "to_segment_name": None if after is None else names.get(after),
            "cause": move.cause,
            "customers": move.customers,
        }


def _download(kind: TableFormat, schema: Any, batches: Iterable[Any], path: str) -> Response:
    # A name may hold anything; a header may not.
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.strip("/"))
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return PatientStream(encoded(kind, schema, batches), media_type=MEDIA_TYPES[kind], headers=headers)
