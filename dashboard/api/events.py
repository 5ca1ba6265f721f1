"""POST /events: events onto the log, answered once it has them."""

from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dashboard.access import Caller
from dashboard.api import problems
from dashboard.api.answers import EventsAnswer
from dashboard.api.auth import Needs
from dashboard.api.openapi import problems as documented
from dashboard.api.problems import Problem
from dashboard.event_intake import Verdict
from dashboard.parts import WebParts

MAX_EVENTS: Final = 10_000
"""In one request."""
AT_A_TIME: Final = 8
"""Requests whose events are on their way; more of them wait."""

_EXAMPLE: Final = {
    "type": "purchase",
    "event_id": "o-1:purchase",
    "customer_id": "17850",
    "occurred_at": "2026-11-20T10:15:00Z",
    "order_id": "o-1",
    "lines": [{"item_id": "85123A", "quantity": 6, "unit_price": 2.55}],
    "currency": "GBP",
}
_EVENT: Final = {"$ref": "#/components/schemas/Event"}
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"anyOf": [_EVENT, {"type": "array", "items": _EVENT, "minItems": 1, "maxItems": MAX_EVENTS}]},
            "examples": {"one": {"value": _EXAMPLE}, "several": {"value": [_EXAMPLE]}},
        },
        "application/x-ndjson": {
            "schema": {"type": "string", "description": "An event on each line."},
        },
    },
}

_events = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Answer(msgspec.Struct, frozen=True):
    """What became of a request's events."""

    accepted: int
    refused: int
    failed: int
    verdicts: list[Verdict]


def add_routes(router: APIRouter, parts: WebParts) -> None:
    """Let a router answer."""
    limiter = CapacityLimiter(AT_A_TIME)

    @router.post(
        "/events",
        response_model=EventsAnswer,
        responses=documented(
            s408="The body did not come in time.",
            s413="Too much at a time.",
            s415="Neither JSON nor NDJSON.",
            s422="The one event, or every one of them, is refused; `verdicts` says why.",
            s503="The log did not take in all events: `verdicts` says which. Publishing all again is harmless.",
        ),
        openapi_extra={"requestBody": _BODY},
    )
    async def publish(request: Request, caller: Annotated[Caller, Depends(Needs("events:write"))]) -> Response:
        """Publish one event, an array of them, or one on each line (docs/events.md).

        Every event is judged as a worker would; what is valid stands on the log, with all replicas, when this answers.
        An event id makes it harmless to publish an event again.
        """
        kind, body = request.headers.get("content-type", ""), await request.body()
        now = parts.now()

        def erasing(customer_id: str) -> None:
            parts.audit.note(now, caller.name, "erase", "POST /events", customer_id)

        may_erase = erasing if "customers:erase" in caller.scopes else None

        def work() -> Response:
            return _answered(parts.intake.publish(_messages(kind, body), now, may_erase))

        return await to_thread.run_sync(work, limiter=limiter)


def _answered(verdicts: list[Verdict]) -> Response:
    counts = dict.fromkeys(("accepted", "refused", "failed"), 0)
    for one in verdicts:
        counts[one.status] += 1
    answer = Answer(counts["accepted"], counts["refused"], counts["failed"], verdicts)
    if answer.failed:
        first = next(one for one in verdicts if one.status == "failed")
        return problems.response(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "unavailable",
            f"{answer.failed} of {len(verdicts)} events may not stand on the log ({first.message}): publish all again",
            {"Retry-After": problems.RETRY_SECONDS},
            msgspec.to_builtins(answer),
        )
    if not answer.accepted:
        return problems.response(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "refused",
            f"no event was accepted: {verdicts[0].message}",
            more=msgspec.to_builtins(answer),
        )
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _messages(content_type: str, body: bytes) -> list[bytes]:
    """The events of a body, as they are."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-ndjson":
        messages = [line for line in body.split(b"\n") if line.strip()]
    elif kind == "application/json":
        messages = _of_json(body)
    else:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            "expected Content-Type: application/json, or application/x-ndjson with an event on each line",
        )
    if not messages:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "there is no event in the body")
    if len(messages) > MAX_EVENTS:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too-large",
            f"at most {MAX_EVENTS} events at a time, not {len(messages)}",
        )
    return messages


def _of_json(body: bytes) -> list[bytes]:
    if not body.lstrip(b" \t\r\n").startswith(b"["):
        # One event: whether it is JSON is for the judge of events to say.
        return [body] if body.strip() else []
    try:
        return [bytes(one) for one in _events(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed", f"the array is no JSON: {error}") from None
