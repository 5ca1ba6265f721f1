"""Answers that are sent piece by piece."""

import asyncio
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

PATIENCE_SECONDS: Final = 60.0
"""A client that takes nothing for so long is let go of."""

_log = structlog.get_logger("livesegments.web")


class PatientStream(StreamingResponse):
    """Waits for slow readers, but not for ever: what is left of the answer is dropped with the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything."""

        async def in_time(message: MutableMapping[str, Any]) -> None:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await send(message)

        try:
            await super().__call__(scope, receive, in_time)
        except TimeoutError:
            _log.warning("an answer was cut off: its reader took nothing for too long", path=scope["path"])
