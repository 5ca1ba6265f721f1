"""GET /changes: who moves, as it happens, by server-sent events; resumable."""

from collections.abc import AsyncIterator
from functools import lru_cache
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

import msgspec
from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query
from starlette.responses import Response

from dashboard.access import Caller
from dashboard.api.auth import Needs
from dashboard.api.openapi import problems
from dashboard.api.problems import RETRY_SECONDS, Problem
from dashboard.api.streams import PatientStream
from dashboard.change_position import MAX_TEXT, ChangePosition, PositionTextError
from dashboard.change_stream import ChangeStream
from dashboard.parts import WebParts
from logs.base import LogError, PositionGoneError

MAX_LISTENERS: Final = 200
EVENTS_KEPT: Final = 8_192
ID_EVERY: Final = 50
"""Each so manieth event of a burst has an id, and its last one."""
HEARTBEAT_SECONDS: Final = 15.0
"""A line at least so often: proxies cut what is silent."""
MEDIA_TYPE: Final = "text/event-stream"
Kind = Literal["moved", "entered", "left", "born", "split", "restored", "merged", "gone"]

_NOTHING: Final = b": nothing new\n\n"

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


def add_routes(router: APIRouter, parts: WebParts) -> None:
    """Let a router answer."""
    listeners = Listeners(parts)

    @router.get(
        "/changes",
        response_class=Response,
        responses={
            **problems(
                s410="The log no longer holds what came after this id: begin without it.",
                s503="Too many listen already, or the log does not answer.",
            ),
            200: {"description": "Server-sent events.", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
        },
    )
    async def changes(
        caller: Annotated[Caller, Depends(Needs("changes:read"))],
        kind: Annotated[list[Kind], Query(description="Only these; once for each.")] = [],  # noqa: B006
        start: Annotated[
            Literal["now", "beginning"], Query(description="Where to begin without a Last-Event-ID.")
        ] = "now",
        last_event_id: Annotated[str | None, Header(max_length=MAX_TEXT)] = None,
    ) -> Response:
        """Who moves between segments, enters or leaves audiences, and what becomes of segments.

        Each event's data is a document of the log segment-changes. Whoever sends the id of the last event as
        Last-Event-ID, as browsers do by themselves, is told everything after it. Repeats have the same change_id.
        """
        position = await listeners.position(last_event_id, start)
        frames = listeners.frames(position, frozenset(kind), masked="ids" not in caller.scopes)
        return PatientStream(frames, media_type=MEDIA_TYPE, headers={"X-Accel-Buffering": "no"})


class Listeners:
    """Everybody who listens at the moment."""

    def __init__(self, parts: WebParts) -> None:
        self._stream = ChangeStream(parts.changes)
        self._ends = parts.changes.ends
        self._masks = parts.masks
        self._count = 0
        # Whoever listens is told the same: each record is judged and written once for all.
        self.event = lru_cache(EVENTS_KEPT)(self._event)

    async def position(self, last_event_id: str | None, start: str) -> ChangePosition:
        """Where somebody begins. Raises Problem."""
        if self._count >= MAX_LISTENERS:
            detail = f"{MAX_LISTENERS} listen already: try again, or run another `livesegments web`"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, {"Retry-After": RETRY_SECONDS})
        now = await self._stream.present()
        if last_event_id is None or not last_event_id:
            return now if start == "now" else ChangePosition.beginning(now.identity, len(now.next))
        try:
            position = ChangePosition.read(last_event_id)
        except PositionTextError as error:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"Last-Event-ID: {error}") from None
        if position.identity != now.identity or len(position.next) != len(now.next):
            detail = "this id is of another log of changes: begin without Last-Event-ID"
            raise Problem(HTTPStatus.GONE, "gone", detail)
        if not now.reaches([one or 0 for one in position.next]):
            # Another process may have been further than this one is; nobody can have been further than the log.
            ends = ChangePosition(now.identity, list(await to_thread.run_sync(self._ends)))
            if not ends.reaches([one or 0 for one in position.next]):
                detail = "this id lies beyond the end of the log of changes: begin without Last-Event-ID"
                raise Problem(HTTPStatus.GONE, "gone", detail)
        return position

    async def frames(self, position: ChangePosition, kinds: frozenset[str], *, masked: bool) -> AsyncIterator[bytes]:
        """Everything from a position on, as it is sent."""
        self._count += 1
        try:
            # The first frame gives the client an id before anything happens.
            yield f"retry: 2000\nid: {position}\n\n".encode()
            async for burst in self._stream.after(position, HEARTBEAT_SECONDS):
                told, last = list[bytes](), _NOTHING
                for change in burst:
                    position.next[change.partition] = change.position + 1
                    kind, event = self.event(change.value, masked=masked)
                    if event and (not kinds or kind in kinds):
                        # An id costs more than a record. Whoever is cut off between two of them is told some again.
                        told.append(event if (len(told) + 1) % ID_EVERY else _identified(position, event))
                        last = event
                yield b"".join([*told[:-1], _identified(position, last)])
        except PositionGoneError as error:
            # Without an id the client begins at the present when it comes back.
            detail = _encode({"type": "urn:livesegments:gone", "status": 410, "detail": str(error)}).decode()
            yield f"id:\nevent: gone\ndata: {detail}\n\n".encode()
        except LogError as error:
            yield f": {' '.join(str(error).split())}\n\n".encode()
        finally:
            self._count -= 1

    def _event(self, value: bytes, *, masked: bool) -> tuple[str, bytes]:
        """The kind of a record, and how it is sent; nothing for what is none of ours."""
        try:
            change = _decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return "", b""
        kind = change.get("kind")
        if not isinstance(kind, str) or not kind.isidentifier():
            return "", b""
        if masked and isinstance(change.get("customer_id"), str):
            change["customer_id"] = self._masks.mask(change["customer_id"])
        return kind, b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode(change))


def _identified(position: ChangePosition, event: bytes) -> bytes:
    return b"id: %b\n%b" % (str(position).encode(), event)
