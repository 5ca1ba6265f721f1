"""A small HTTP server beside the worker: /metrics, /healthz, /readyz, and nothing else."""

import contextlib
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from socketserver import TCPServer
from typing import Final, Protocol
from urllib.parse import urlsplit

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from contracts.errors import LivesegmentsError
from livesegments.monitoring.health import Verdict

_PATIENCE_SECONDS: Final = 10
"""A client that says nothing for so long is let go of."""

_log = structlog.get_logger("livesegments.monitoring")


class AddressError(LivesegmentsError):
    """The worker can not listen where it is told to."""


class Health(Protocol):
    """Of whatever runs here; asked from any thread."""

    def alive(self) -> Verdict:
        """Whether a restart would cure nothing."""

    def ready(self) -> Verdict:
        """Whether it does its work."""


@contextlib.contextmanager
def serving(address: str, health: Health, registry: CollectorRegistry) -> Iterator[str]:
    """Answer at host:port from threads of its own; gives the address with the port in use. Raises AddressError."""
    try:
        server = _Server(address, health, registry)
    except OSError as error:
        raise AddressError(
            f"metrics_address: can not listen at {address} ({error.strerror}):"
            " choose a port that is free on this machine, or leave it empty"
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="monitoring", daemon=True)
    thread.start()
    _log.info("metrics served", address=f"http://{server.address}/metrics")
    try:
        yield server.address
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: str, health: Health, registry: CollectorRegistry) -> None:
        parts = urlsplit(f"//{address}")
        host = parts.hostname or ""
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self.health = health
        self.registry = registry
        super().__init__((host, parts.port or 0), _Handler)
        self.address = f"[{host}]:{self.server_port}" if ":" in host else f"{host}:{self.server_port}"

    def server_bind(self) -> None:
        # Not HTTPServer's, which asks the name server who we are.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, *_: object) -> None:
        """A client that went away in the middle is nobody's business."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE_SECONDS
    server_version = "livesegments"
    sys_version = ""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/metrics":
            encode, kind = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, kind, encode(self.server.registry))
        elif path == "/healthz":
            self._judge(self.server.health.alive())
        elif path == "/readyz":
            self._judge(self.server.health.ready())
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/metrics, /healthz, /readyz\n")

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _judge(self, verdict: Verdict) -> None:
        status = HTTPStatus.OK if verdict.ok else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, "text/plain; charset=utf-8", f"{verdict.text}\n".encode())

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """One line per question would drown the worker's own."""
