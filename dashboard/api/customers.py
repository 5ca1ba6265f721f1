"""Customers: what there is for one or for many, and having one forgotten."""

from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from contracts.events import MAX_ID_LENGTH
from contracts.times import rfc3339
from dashboard.access import Caller
from dashboard.api.answers import BatchGet, CustomerAnswer, CustomersAnswer, ErasureAnswer
from dashboard.api.auth import Needs
from dashboard.api.lookup import RIGHT, is_customer_id
from dashboard.api.openapi import PRINTABLE, CustomerId, problems
from dashboard.api.problems import Problem
from dashboard.parts import WebParts

encode = msgspec.json.Encoder().encode


def json_answer(value: Any, status: int = HTTPStatus.OK) -> Response:
    """Anything that msgspec can encode."""
    return Response(encode(value), status, media_type="application/json")


_CUSTOMER_ID: Final = {
    "name": "customer_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH, "pattern": PRINTABLE},
    "examples": {"one": {"value": "17850"}},
}


def _checked(customer_id: str) -> str:
    """The id, if it can be one. Raises Problem."""
    if is_customer_id(customer_id):
        return customer_id
    what = f"expected 1 to {MAX_ID_LENGTH} characters, none of them a control character"
    raise Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid",
        f"the request can not be used: path.customer_id: {what}",
        errors=[{"where": "path.customer_id", "what": what}],
    )


def add_routes(router: APIRouter, parts: WebParts) -> None:
    """Let a router answer."""
    may_read = Needs(RIGHT)

    @router.get(
        "/customers/{customer_id:path}",  # noqa: FAST003 - read by hand, as `Lookup` does
        response_model=CustomerAnswer,
        responses=problems(s404="Nothing is known of this customer."),
        openapi_extra={"parameters": [_CUSTOMER_ID]},
    )
    async def customer(request: Request) -> Response:
        """Segment, audiences and recommendations of one customer, as the workers last wrote them."""
        # `Lookup` answers nearly all; what comes here has something wrong with it.
        await may_read(request)
        answer = await parts.reader.get(_checked(request.path_params["customer_id"]))
        if not answer.known:
            raise Problem(
                HTTPStatus.NOT_FOUND,
                "not-found",
                "nothing is known of this customer; /recommendations has what to show somebody unknown",
            )
        return json_answer(answer)

    @router.post("/customers:batchGet", response_model=CustomersAnswer, responses=problems(s413="Too much at a time."))
    async def customers(wanted: BatchGet, _: Annotated[Caller, Depends(Needs("customers:read"))]) -> Response:
        """The same of up to 1,000 customers, in one round trip to Redis; those unknown have `known: false`."""
        found = await parts.reader.get_many(
            wanted.customer_ids,
            n=wanted.n,
            exclude=wanted.exclude,
            shelf=wanted.shelf,
            category=wanted.category,
        )
        return json_answer({"customers": [found[one] for one in wanted.customer_ids]})

    @router.delete(
        "/customers/{customer_id:path}",
        status_code=HTTPStatus.ACCEPTED,
        response_model=ErasureAnswer,
        responses=problems(),
    )
    async def erase(
        customer_id: CustomerId, request: Request, caller: Annotated[Caller, Depends(Needs("customers:erase"))]
    ) -> Response:
        """Have a customer forgotten: row, segment, recommendations (docs/erasure.md).

        When this answers the erase event stands on the log; a worker applies it in its turn. Again is harmless.
        """

        def work() -> Any:
            now = parts.now()
            parts.audit.note(now, caller.name, "erase", f"{request.method} /customers/…", customer_id)
            return parts.intake.erase(customer_id, now)

        erasure = await to_thread.run_sync(work, limiter=parts.audit.limiter)
        return json_answer({"event_id": erasure.event_id, "at": rfc3339(erasure.at)}, HTTPStatus.ACCEPTED)
