"""Work beside the screen: the shop and the worker, each in a thread whose errors are not lost."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from consumer.clock import wall_micros
from consumer.patience import Patience, StoppedError
from contracts.times import SECOND
from livesegments.app import create_logs, open_ledger, open_worker
from livesegments.audience_days import AudienceDays
from livesegments.demo.servers import Stage
from livesegments.parts import endpoints, keys, log_names
from livesegments.records import count_partitions
from livesegments.sources import replaced
from livesegments.web.serving import Server, WebAddressError, address_of, listening
from livesegments.webhooks.memory_ledger import MemoryLedger
from livesegments.webhooks.signing import secret_texts
from livesegments.worker_status import StatusPublisher
from producer.pacing import Timer, at_rate
from producer.sending import send
from producer.shop import Shop, ShopSettings

if TYPE_CHECKING:
    from consumer.worker import Worker


_importing: Final = threading.Lock()
"""Two threads that import the same packages may each wait for a module that the other is in the middle of."""


class Background:
    """A function in a thread of its own. `join` raises what it raised; whatever it is, the others are told to stop."""

    def __init__(self, name: str, work: Callable[[], None], stopping: threading.Event) -> None:
        self._work = work
        self._stopping = stopping
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by join
            self._error = error
            self._stopping.set()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()
        if self._error is not None:
            raise self._error


class WorkerInBackground:
    """A worker; `worker` is None until its servers answer."""

    def __init__(self, stage: Stage, stopping: threading.Event) -> None:
        self.worker: Worker | None = None
        self._stage = stage
        self._stopping = stopping
        self._background = Background("worker", self._work, stopping)

    def _work(self) -> None:
        with _importing:
            import consumer.worker  # noqa: F401, PLC0415

        with (
            self._stage.open() as deployment,
            open_worker(deployment, Patience(self._stopping)) as worker,
        ):
            self.worker = worker
            settings = deployment.settings
            published = StatusPublisher(deployment.state, settings.figures_interval.seconds)
            audience_days = AudienceDays(deployment.state, deployment.views, keys(settings))

            def on_step(working: "Worker") -> None:
                published(working)
                audience_days(working)
                if self._stopping.is_set():
                    working.stop()

            with contextlib.closing(published):
                worker.run(on_step=on_step)

    @property
    def lag(self) -> int | None:
        """Events not yet read; None while that is unknown."""
        return self.worker.lag if self.worker is not None else None

    def join(self) -> None:
        """Wait for its clean stop."""
        self._background.join()


class ShopInBackground:
    """The synthetic shop: a year at once, then its present at a rate."""

    def __init__(self, stage: Stage, stopping: threading.Event, *, customers: int, rate: float) -> None:
        self._stage = stage
        self._stopping = stopping
        self._rate = rate
        self._shop = Shop(
            ShopSettings(now=wall_micros() // SECOND * SECOND, customers=customers, currency=stage.settings.currency)
        )
        self._background = Background("shop", self._work, stopping)

    def _work(self) -> None:
        log = log_names(self._stage.settings).events
        timer = Timer(self._stopping.is_set)
        with self._stage.open() as deployment:
            create_logs(self._stage.settings, deployment.logs)
            writer = deployment.logs.writer()
            try:
                # A kept directory has its history already; the shop has to live through it all the same.
                known = count_partitions(deployment.state) is not None
                past = at_rate(self._shop.history(), None, timer)
                if known:
                    for _ in past:
                        pass
                else:
                    send(past, writer, log=log)
                send(at_rate(self._shop.live(wall_micros), self._rate, timer), writer, log=log)
            finally:
                writer.close(10.0)

    def join(self) -> None:
        """Wait until everything published has arrived."""
        self._background.join()


class WebInBackground:
    """The pages and the HTTP API, where the settings say, or at a free port where that one is taken."""

    def __init__(self, stage: Stage, stopping: threading.Event) -> None:
        self._stage = stage
        self._stopping = stopping
        try:
            self._listener = listening(stage.settings)
        except WebAddressError:
            self._listener = listening(replaced(stage.settings, web_address="127.0.0.1:0"))
        self.address = address_of(self._listener)
        self._background = Background("web", self._work, stopping)

    def _work(self) -> None:
        # It takes a second to import; the shop need not wait for it.
        with _importing:
            from dashboard.api.app import create_app  # noqa: PLC0415
            from livesegments.web.opening import open_pages, open_web  # noqa: PLC0415

        with self._listener, self._stage.open() as deployment, open_web(deployment) as parts:
            self._listener.listen()
            Server(create_app(parts, open_pages(deployment, parts)), self._stopping.is_set).run(
                sockets=[self._listener]
            )

    def join(self) -> None:
        """Wait until it has stopped."""
        self._background.join()


class WebhooksInBackground:
    """Tells the endpoints of the settings of changes, where there are any. Raises SecretError."""

    def __init__(self, stage: Stage, stopping: threading.Event) -> None:
        self._stage = stage
        self._stopping = stopping
        self._endpoints = endpoints(stage.settings)
        self._secrets = {name: secret_texts(endpoint) for name, endpoint in self._endpoints.items()}
        self._background = Background("webhooks", self._work, stopping) if self._endpoints else None

    def _work(self) -> None:
        with _importing:
            from livesegments.webhooks.running import deliver  # noqa: PLC0415

        async def until_stopped() -> None:
            done = asyncio.Event()

            def on_look(_: object) -> None:
                if self._stopping.is_set():
                    done.set()

            await deliver(deployment, ledger, self._endpoints, self._secrets, stopping=done, on_look=on_look)

        with self._stage.open() as deployment, contextlib.ExitStack() as stack:
            settings = self._stage.settings
            ledger = MemoryLedger() if self._stage.redis_url is None else stack.enter_context(open_ledger(settings))
            asyncio.run(until_stopped())

    def join(self) -> None:
        """Wait until what was under way has ended."""
        if self._background is not None:
            self._background.join()
