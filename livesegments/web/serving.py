"""Listening, and answering until told to stop."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contracts.errors import LivesegmentsError
from livesegments.settings import Settings
from livesegments.web.joined_writes import JoinedWrites

if TYPE_CHECKING:
    from fastapi import FastAPI

STOP_SECONDS = 5
"""Answers under way have so long to end; who listens to changes is cut off and comes back."""


class WebAddressError(LivesegmentsError):
    """It can not, or must not, listen where the settings say."""


def listening(settings: Settings) -> socket.socket:
    """A socket at web_address. Raises WebAddressError."""
    parts = urlsplit(f"//{settings.web_address}")
    host, port = parts.hostname or "", parts.port or 0
    if not settings.web_keys and not settings.web_open and not is_loopback(host):
        raise WebAddressError(
            f"web_address: {settings.web_address} can be reached from other machines, and no key is set:"
            " make one with `livesegments web-key NAME --role admin`, or listen at 127.0.0.1"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise WebAddressError(
            f"web_address: can not listen at {settings.web_address} ({error.strerror}):"
            " choose a port that is free on this machine"
        ) from error
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host of that name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def address_of(listener: socket.socket) -> str:
    """Where it listens, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Protocol(HttpToolsProtocol):
    """HTTP of one client."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(cast("asyncio.Transport", JoinedWrites(transport)))

    def handle_websocket_upgrade(self) -> None:
        """From here on the client speaks WebSocket, and what is written to it is whole."""
        self.transport = cast("JoinedWrites", self.transport).bare()
        super().handle_websocket_upgrade()


class Server(uvicorn.Server):
    """What serves an app; `run(sockets=[…])` returns after SIGTERM or SIGINT, or once `stopping` says so."""

    def __init__(self, app: "FastAPI", stopping: Callable[[], bool] = lambda: False) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Protocol,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self._stopping = stopping

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop; asked ten times a second."""
        return await super().on_tick(counter) or self._stopping()
