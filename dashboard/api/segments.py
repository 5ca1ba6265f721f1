"""Segments: their list, their cards, and who is in one."""

import json
from http import HTTPStatus
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from contracts.documents import SegmentCard, SegmentList
from dashboard.access import Caller
from dashboard.api.answers import MembersAnswer
from dashboard.api.auth import Needs
from dashboard.api.customers import json_answer
from dashboard.api.openapi import SegmentId, problems
from dashboard.api.problems import Problem
from dashboard.member_pages import Cursor, CursorError, MemberPages
from dashboard.parts import WebParts

_NOT_YET = "there are no segments yet: they need a worker, and customers"


def add_routes(router: APIRouter, parts: WebParts) -> None:
    """Let a router answer."""
    pages = MemberPages(parts.rows, parts.masks)

    @router.get("/segments", response_model=SegmentList, responses=problems(s404="There are no segments yet."))
    async def segments(_: Annotated[Caller, Depends(Needs("segments:read"))]) -> Response:
        """All segments with their sizes."""
        found = await parts.reader.segments()
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, "not-found", _NOT_YET)
        return Response(found.encode(), media_type="application/json")

    @router.get(
        "/segments/{segment_id}", response_model=SegmentCard, responses=problems(s404="There is no such segment.")
    )
    async def segment(segment_id: SegmentId, _: Annotated[Caller, Depends(Needs("segments:read"))]) -> Response:
        """One segment's card: size, shares, profile, strategy, what it buys."""
        return Response((await known_segment(parts, segment_id)).encode(), media_type="application/json")

    @router.get(
        "/segments/{segment_id}/customers",
        response_model=MembersAnswer,
        responses=problems(s404="There is no such segment."),
    )
    async def members(
        segment_id: SegmentId,
        caller: Annotated[Caller, Depends(Needs("members:read"))],
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
    ) -> Response:
        """A segment's customers, a page at a time.

        Go on while `next` is there: a page may hold fewer than asked for. Who stays in the segment comes exactly once.
        """
        await known_segment(parts, segment_id)
        try:
            at = None if cursor is None else Cursor.read(cursor)
            page = await to_thread.run_sync(pages.page, segment_id, limit, at)
        except CursorError as error:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "cursor", str(error)) from None
        masked = "ids" not in caller.scopes
        found = [_told(row) for row in page.table.to_pylist()]
        if masked:
            # Attributes may hold whatever the shop knows of a person.
            found = [{**row, "customer_id": parts.masks.mask(row["customer_id"]), "attributes": {}} for row in found]
        following = None if page.next is None else str(page.next)
        return json_answer({"segment_id": segment_id, "customers": found, "next": following, "masked": masked})


async def known_segment(parts: WebParts, segment_id: int) -> SegmentCard:
    """The segment's card. Raises Problem."""
    card = await parts.reader.segment(segment_id)
    if card is None:
        raise Problem(HTTPStatus.NOT_FOUND, "not-found", f"there is no segment {segment_id}; /segments lists them")
    return card


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "audiences": json.loads(row["audiences"]), "attributes": json.loads(row["attributes"])}
