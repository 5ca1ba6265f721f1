"""Somebody who is told of changes: a real HTTP server that verifies what it gets with the standard's own library."""

import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

SECONDS = 90.0
SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS1yZWNlaXZlci1mb3ItdGVzdHM="


@dataclass(frozen=True)
class Request:
    id: str
    payload: dict
    headers: dict
    path: str

    @property
    def data(self) -> dict:
        return self.payload["data"]


@dataclass(frozen=True)
class Reply:
    status: int = 204
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    wait: threading.Event | None = None
    """Until when it keeps the request waiting."""


class Receiver:
    """Answers as `answer` says; requests that it answered with 2xx are in `taken`, all others in `turned_away`."""

    def __init__(self, answer: Callable[[Request], Reply] = lambda _: Reply(), tls: ssl.SSLContext | None = None):
        self.answer = answer
        self.taken: list[Request] = []
        self.turned_away: list[Request] = []
        self.forged: list[str] = []
        self.connections = 0
        self._tls = tls
        self._port = 0
        self._changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self._port}/hooks/p4th-token"

    def start(self) -> None:
        """Listen, at the same port as before."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = SECONDS

            def setup(self):
                super().setup()
                receiver.connections += 1

            def do_POST(self):
                receiver._post(self)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        if self._tls:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def _post(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers["content-length"])
        body = handler.rfile.read(size)
        if len(body) < size:
            return  # whoever sent it was killed in the middle
        headers = {name.lower(): value for name, value in handler.headers.items()}
        try:
            payload = Webhook(SECRET).verify(body, headers)
        except WebhookVerificationError as error:
            with self._changed:
                self.forged.append(str(error))
                self._changed.notify_all()
            payload = json.loads(body)
        request = Request(headers["webhook-id"], payload, headers, handler.path)
        reply = self.answer(request)
        if reply.wait is not None:
            with self._changed:
                self._changed.notify_all()  # some wait for what `answer` has seen
            reply.wait.wait(SECONDS)
        # Noted before it is answered: whoever is killed meanwhile has sent it all the same.
        with self._changed:
            (self.taken if 200 <= reply.status < 300 else self.turned_away).append(request)
            self._changed.notify_all()
        handler.send_response(reply.status)
        for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(reply.body)

    def wait_for(self, wanted: Callable[["Receiver"], bool], seconds: float = SECONDS) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            while not wanted(self):
                left = deadline - time.monotonic()
                assert left > 0, f"{len(self.taken)} taken, {len(self.turned_away)} turned away, forged: {self.forged}"
                self._changed.wait(left)

    def ids(self) -> list[str]:
        with self._changed:
            return [one.id for one in self.taken]

    def numbers(self, customer: str) -> list[int]:
        """Of the changes of a customer the numbers, in the order in which they were taken first."""
        with self._changed:
            seen = dict.fromkeys(one.id for one in self.taken if one.data.get("customer_id") == customer)
        return [int(one.rpartition("-")[2]) for one in seen]


def change(customer: str, number: int, to: int = 1, before: int | None = None, **more) -> bytes:
    """A record of the log of changes."""
    told = {
        "v": 1,
        "kind": "moved",
        "change_id": f"0-token-{number}",
        "customer_id": customer,
        "from": before,
        "to": to,
        "cause": "purchase",
        "at": "2026-11-22T01:02:03Z",
        "model_version": 3,
    }
    return json.dumps({**told, **more}).encode()
