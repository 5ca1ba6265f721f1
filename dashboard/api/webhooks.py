"""Webhooks: how endpoints are doing, and the changes that were given up for them. Which there are, settings say."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator
from starlette.responses import Response

from contracts.events import Timestamp
from contracts.times import rfc3339
from dashboard.access import Caller
from dashboard.api.answers import Answer
from dashboard.api.auth import Needs
from dashboard.api.customers import json_answer
from dashboard.api.openapi import problems
from dashboard.api.problems import Problem
from dashboard.parts import WebParts
from dashboard.webhooks import DeadChange, NoSuchWebhookError, WebhookState

MOST_IDS: Final = 1_000
_TIMES: Final = ("delivered_at", "failing_since", "dead_at")
_NONE: Final = "The settings name no such endpoint."
T = TypeVar("T")

EndpointName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["crm"])]
LetterId = Annotated[str, Field(pattern=r"^[0-9]{1,10}:[0-9]{1,40}$", examples=["3:4711"])]


def _answer_of(kind: Any, name: str, told: str) -> type[Answer]:
    """What answers of a kind of `dashboard.webhooks` look like: its fields, with times as RFC 3339."""
    types: dict[str, Any] = {field.name: field.type for field in fields(kind)}
    for one in types.keys() & set(_TIMES):
        types[one] = Timestamp | None if types[one] is not int else Timestamp
    named: Any = {one: (type_of, ...) for one, type_of in types.items()}
    return create_model(name, __base__=Answer, __doc__=told, **named)


_Endpoint: Any = _answer_of(
    WebhookState,
    "EndpointAnswer",
    "How one endpoint is doing. Counts are since it was first told of anything, by all processes.",
)
_Letter: Any = _answer_of(
    DeadChange, "LetterAnswer", "A change that was given up. Of the change itself only its place on the log is kept."
)


_ENDPOINT: Final[dict[str, Any]] = {
    "name": "crm",
    "url": "https://crm.example",
    "state": "failing",
    "delivered": 120934,
    "delivered_at": "2026-11-22T01:02:03Z",
    "waiting": 312,
    "failing_since": "2026-11-22T01:02:04Z",
    "status": 503,
    "error": "answered 503",
    "dead_letters": 2,
    "trying_again": 0,
    "given_up": 2,
    "dropped": 0,
    "lost": 0,
}


class EndpointsAnswer(Answer):
    """All endpoints of the settings."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"webhooks": [_ENDPOINT]}]})

    webhooks: list[_Endpoint]


class LettersAnswer(Answer):
    """The newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "dead_letters": [
                        {
                            "id": "3:4711",
                            "dead_at": "2026-11-22T01:02:03Z",
                            "tries": 3,
                            "status": 422,
                            "error": "answered 422",
                        }
                    ]
                }
            ]
        }
    )

    dead_letters: list[_Letter]


class ChangeAnswer(Answer):
    """The change that a dead letter stands for, as the log has it."""

    id: str
    change: dict[str, Any]
    masked: bool
    """Whether the customer's id is masked."""


class Chosen(BaseModel):
    """Which dead letters: these, or all."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"ids": ["3:4711"]}, {"all": True}]})

    ids: Annotated[list[LetterId], Field(min_length=1, max_length=MOST_IDS)] | None = None
    all: bool = False

    @model_validator(mode="after")
    def _either(self) -> "Chosen":
        if (self.ids is None) != self.all:
            raise ValueError("name ids, or say all: true")
        return self


class ReplayAnswer(Answer):
    """How many will be sent again."""

    trying_again: int


class DropAnswer(Answer):
    """How many were forgotten."""

    dropped: int


def add_routes(router: APIRouter, parts: WebParts) -> None:
    """Let a router answer."""
    _add_reading(router, parts)
    _add_writing(router, parts)


def _add_reading(router: APIRouter, parts: WebParts) -> None:
    told, reads = parts.webhooks, Depends(Needs("webhooks:read"))

    @router.get("/webhooks", response_model=EndpointsAnswer, responses=problems())
    async def webhooks(_: Annotated[Caller, reads]) -> Response:
        """How every endpoint of the settings is doing."""
        return json_answer({"webhooks": [_plain(asdict(one)) for one in await to_thread.run_sync(told.states)]})

    @router.get("/webhooks/{name}/dead-letters", response_model=LettersAnswer, responses=problems(s404=_NONE))
    async def letters(
        name: EndpointName,
        _: Annotated[Caller, reads],
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    ) -> Response:
        """Changes that were given up for an endpoint, the newest first. Those being sent again are not among them."""
        found = await _asked(lambda: told.dead_letters(name, offset, limit))
        return json_answer({"dead_letters": [_plain(asdict(one)) for one in found]})

    @router.get(
        "/webhooks/{name}/dead-letters/{letter_id}",
        response_model=ChangeAnswer,
        responses=problems(s404="There is no such dead letter, or the log no longer holds its change."),
    )
    async def letter(
        name: EndpointName,
        letter_id: Annotated[str, Path(pattern=r"^[0-9]{1,10}:[0-9]{1,40}$", examples=["3:4711"])],
        caller: Annotated[Caller, reads],
    ) -> Response:
        """The change that a dead letter stands for, read again from the log."""
        found = await _asked(lambda: told.content(name, letter_id))
        if found is None:
            detail = f"{name} has no dead letter {letter_id}, or the log no longer holds its change"
            raise Problem(HTTPStatus.NOT_FOUND, "not-found", detail)
        change, masked = dict(found), "ids" not in caller.scopes
        if masked and isinstance(change.get("customer_id"), str):
            change["customer_id"] = parts.masks.mask(change["customer_id"])
        return json_answer({"id": letter_id, "change": change, "masked": masked})


def _add_writing(router: APIRouter, parts: WebParts) -> None:
    told, writes = parts.webhooks, Depends(Needs("webhooks:write"))

    @router.post(
        "/webhooks/{name}/dead-letters:replay",
        status_code=HTTPStatus.ACCEPTED,
        response_model=ReplayAnswer,
        responses=problems(s404=_NONE),
    )
    async def replay(name: EndpointName, chosen: Chosen, caller: Annotated[Caller, writes]) -> Response:
        """Have dead letters sent again, once each, by `livesegments webhooks run`, as soon as the endpoint answers."""

        def work() -> int:
            parts.audit.note(parts.now(), caller.name, "webhook", f"POST /webhooks/{name}/dead-letters:replay")
            return told.ask_again(name, chosen.ids)

        return json_answer({"trying_again": await _asked(work, parts.audit.limiter)}, HTTPStatus.ACCEPTED)

    @router.delete("/webhooks/{name}/dead-letters", response_model=DropAnswer, responses=problems(s404=_NONE))
    async def drop(
        name: EndpointName,
        caller: Annotated[Caller, writes],
        ids: Annotated[list[LetterId], Query(alias="id", max_length=MOST_IDS, description="Once for each.")] = [],  # noqa: B006
        everything: Annotated[bool, Query(alias="all", description="Without ids: all there are.")] = False,  # noqa: FBT002
    ) -> Response:
        """Forget dead letters."""
        if bool(ids) == everything:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "name ids (?id=3:4711), or say ?all=true")

        def work() -> int:
            parts.audit.note(parts.now(), caller.name, "webhook", f"DELETE /webhooks/{name}/dead-letters")
            return told.drop(name, None if everything else ids)

        return json_answer({"dropped": await _asked(work, parts.audit.limiter)})


async def _asked(work: Callable[[], T], limiter: CapacityLimiter | None = None) -> T:
    """What the work answers, in a thread. Raises Problem where there is no such endpoint."""
    try:
        return await to_thread.run_sync(work, limiter=limiter)
    except NoSuchWebhookError as error:
        raise Problem(HTTPStatus.NOT_FOUND, "not-found", str(error)) from None


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Times as texts."""
    return {name: rfc3339(value) if name in _TIMES and value is not None else value for name, value in row.items()}
