"""The pages in a real browser: Debian's chromium, on a real Redis, with a worker at work in this process."""

import contextlib
import shutil
import socket
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect, sync_playwright

from contracts.events import Line, Purchase, encode_event
from contracts.times import DAY
from dashboard.access import hashed
from dashboard.api.app import create_app
from livesegments.app import open_deployment, open_ledger
from livesegments.audience_days import AudienceDays
from livesegments.parts import worker_settings
from livesegments.settings import Settings
from livesegments.sources import Loaded
from livesegments.web.opening import open_pages, open_web
from livesegments.web.serving import Server
from livesegments.webhooks.desk import Desk
from livesegments.worker_status import StatusPublisher
from online_model.settings import ModelSettings
from tests.conftest import missing
from tests.deployment import Deployment

SECONDS = 90.0
LEARNT = ModelSettings(by_rule_buyers=0, by_rule_days=0, k_interval=1_000 * DAY)
"""Learnt segments from the first model on, and the same number of them from then on."""
ROLES = ("viewer", "marketer", "analyst", "admin")
HOSTILE = "<img src=x onerror=alert(1)>"
"""An id, an item, a name: data."""
expect.set_options(timeout=SECONDS * 1000)


def key(role: str) -> str:
    """The key of whoever has that role; for tests only."""
    return f"lsk_{role}"


class Shop:
    """A deployment with a worker and its pages."""

    def __init__(self, redis_url: str, *, with_keys: bool) -> None:
        tag = f"t-{uuid.uuid4().hex[:12]}"
        self.deployment = Deployment(
            redis_url, redis_url, tag, partitions=1, settings={"clock": "wall", "model": LEARNT}
        )
        self.settings = Settings(
            redis_url=redis_url,
            log_url=redis_url,
            key_prefix=tag,
            log_prefix=f"{tag}-",
            partitions=1,
            audiences={"Big spenders": "net_spend > 300"},
            consent_unknown=True,
            webhooks={"crm": {"url": "https://crm.example/hooks/x", "secrets": ["env:CRM_SECRET"]}},
            web_keys={one: {"sha256": hashed(key(one)), "role": one} for one in ROLES} if with_keys else {},
        )
        self.url = ""
        self._orders = 0

    @contextlib.contextmanager
    def open(self):
        """With the worker and the pages at work."""
        stopping = threading.Event()
        with (
            self.deployment.worker(**self._worker_settings()) as worker,
            open_deployment(self.settings) as opened,
            open_web(opened, Loaded(self.settings, {"currency": "the test"}, {})) as web,
            socket.socket() as listener,
        ):
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            told = StatusPublisher(self.deployment.state, 0.5)
            days = AudienceDays(self.deployment.state, opened.views, self.deployment.keys)

            def step(working) -> None:
                told(working)
                days(working)
                if stopping.is_set():
                    working.stop()

            server = Server(create_app(web, open_pages(opened, web)), stopping.is_set)
            threads = [
                threading.Thread(target=worker.run, kwargs={"on_step": step}),
                threading.Thread(target=server.run, kwargs={"sockets": [listener]}),
            ]
            for one in threads:
                one.start()
            try:
                yield self
            finally:
                stopping.set()
                for one in threads:
                    one.join(SECONDS)
                told.close()

    def _worker_settings(self):
        return {"audiences": worker_settings(self.settings).audiences}

    def publish(self, *events) -> None:
        """Onto the log, and wait until it has them."""
        with self.deployment.writer() as writer:
            sent = [
                writer.append(self.deployment.names.events, one.customer_id.encode(), encode_event(one))
                for one in events
            ]
            for one in sent:
                one.result(SECONDS)

    def order(self, customer: str, *, days_ago: float = 0.0, price: float = 10.0, item: str = "mug"):
        """A purchase of this shop."""
        self._orders += 1
        return Purchase(
            type="purchase",
            event_id=f"{self._orders}:purchase",
            customer_id=customer,
            occurred_at=datetime.now(UTC) - timedelta(days=days_ago),
            order_id=str(self._orders),
            lines=(Line(item_id=item, quantity=1, unit_price=price),),
            currency="GBP",
        )

    def history(self):
        """Three sorts of customers: often and much, now and then, once and long ago."""
        for n in range(40):
            for ago in range(200, 0, -10):
                yield self.order(f"often-{n}", days_ago=ago + n / 50, price=40.0, item="lamp")
            for ago in (90, 30):
                yield self.order(f"sometimes-{n}", days_ago=ago + n / 50, price=15.0)
            yield self.order(f"once-{n}", days_ago=300 + n, price=8.0, item="card")
        yield self.order(HOSTILE, days_ago=1, item=HOSTILE)

    def segments(self):
        """The public list."""
        return self.deployment.reader().segments()

    def members(self, audience: str):
        """What applications read of everybody in an audience."""
        found = self.deployment.reader().get_many(list(self.deployment.rows()))
        return [one for one in found.values() if audience in one.audiences]

    def states(self):
        """How endpoints of webhooks are doing."""
        with open_deployment(self.settings) as opened, open_ledger(self.settings) as ledger:
            return Desk(opened, ledger).states()

    def wait(self, done):
        """What `done` gives, once it gives anything."""
        deadline = time.monotonic() + SECONDS
        while not (found := done()):
            assert time.monotonic() < deadline, "it did not come to that"
            threading.Event().wait(0.02)
        return found


@pytest.fixture(scope="module")
def shop(one_redis_url, request):
    """A shop with a history. A module that says WITH_KEYS = True has one with keys."""
    made = Shop(one_redis_url, with_keys=getattr(request.module, "WITH_KEYS", False))
    made.publish(*made.history())
    with made.open():
        made.wait(
            lambda: (
                (found := made.segments()) and sum(one.size for one in found.segments) == 121 and found.model_version
            )
        )
        yield made


@pytest.fixture(scope="module")
def chromium():
    """No longer than a module: while there is one, an event loop runs in this thread, and nobody else can have any."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        missing("no chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, shop):
    """Opens pages, each in a profile of its own. At the end none of them may have had an error."""
    with contextlib.ExitStack() as stack:
        wrong: list[str] = []

        def opened(path: str = "", *, role: str | None = None, **more):
            context = chromium.new_context(base_url=shop.url, viewport={"width": 1280, "height": 900}, **more)
            stack.callback(context.close)
            page = context.new_page()
            page.on("console", lambda said: wrong.append(said.text) if said.type in {"error", "warning"} else None)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("dialog", lambda dialog: (wrong.append(f"a script ran: {dialog.message}"), dialog.dismiss()))
            page.on(
                "response",
                lambda answer: wrong.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
            )
            if role is not None:
                page.goto("/app/login")
                page.get_by_label("Key").fill(key(role))
                page.get_by_role("button", name="Log in").click()
            page.goto(f"/app/{path}")
            return page

        yield opened
    assert wrong == []
