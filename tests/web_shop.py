"""The HTTP API over a worker in this process, served by a real server on a port of its own."""

import contextlib
import socket
import threading
import time

import httpx

from consumer.currency import Rates
from contracts.documents import HistoryDay
from dashboard.access import ApiKeys, hashed
from dashboard.api.app import create_app
from dashboard.audit import AuditTrail
from dashboard.change_feed import ChangeFeed
from dashboard.event_intake import EventIntake
from dashboard.pages.parts import PageParts
from dashboard.parts import WebParts
from livesegments.app import Deployment
from livesegments.settings import Settings
from livesegments.web.judging import judge_of
from livesegments.web.opening import open_pages
from livesegments.web.rows import StateRows
from livesegments.web.serving import Server
from logs.base import LogSpec
from recommender.reader_async import AsyncCustomerReader
from tests.in_process import LOG_TIME, InProcess

SECONDS = 120.0
NOW = LOG_TIME


def key(name: str) -> str:
    """The key of that name; for tests only."""
    return f"lsk_{name}"


def keys_of(**roles_or_scopes) -> ApiKeys:
    tables = {
        name: {"sha256": hashed(key(name)), **({"role": given} if isinstance(given, str) else {"scopes": given})}
        for name, given in roles_or_scopes.items()
    }
    return ApiKeys.read(tables)


class WebShop(InProcess):
    """A shop in memory with an API."""

    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.logs.create(LogSpec(self.names.audit, 1))
        self.writer = self.logs.writer()

    def parts(self, **more) -> WebParts:
        chosen = {
            "reader": AsyncCustomerReader(self.views, self.keys.prefix),
            "intake": EventIntake(self.writer, self.names.events, judge_of(Rates("GBP"))),
            "rows": StateRows(self.state, "Out of scope"),
            "history": self.history,
            "changes": ChangeFeed(self.logs, self.names.changes, "web"),
            "audit": AuditTrail(self.writer, self.names.audit),
            "now": lambda: NOW,
            "max_body": 100_000,
        }
        return WebParts(**{**chosen, **more})

    def history(self, days):
        stored = [document for name, (document, _) in self.views._documents.items() if ":history:" in name]
        return [HistoryDay.model_validate_json(one) for one in sorted(stored)][-days:]

    def audited(self) -> list[bytes]:
        return [value for batch in self.logs.read_all(self.names.audit) for value in batch.values]


def page_parts(shop: WebShop, parts: WebParts) -> PageParts:
    """What the pages need beside it."""
    return open_pages(Deployment(Settings(key_prefix=shop.keys.prefix), shop.logs, shop.state, shop.views), parts)


@contextlib.contextmanager
def served(parts: WebParts, pages: PageParts | None = None):
    """The URL at which the app answers, with the pages where they are given."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = Server(create_app(parts, pages))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            deadline = time.monotonic() + SECONDS
            while not server.started:
                assert thread.is_alive()
                assert time.monotonic() < deadline
                thread.join(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(SECONDS)
            assert not thread.is_alive()


@contextlib.contextmanager
def asking(parts: WebParts, name: str | None = None):
    """A client of the app, with the key of that name."""
    headers = {} if name is None else {"Authorization": f"Bearer {key(name)}"}
    with served(parts) as url, httpx.Client(base_url=url, headers=headers, timeout=SECONDS) as client:
        yield client
