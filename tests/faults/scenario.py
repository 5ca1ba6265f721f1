"""One deployment under paced load, with workers in processes of their own, and what must hold once a fault is over."""

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Self

import numpy as np
from pydantic import ValidationError

from consumer.clock import wall_micros
from consumer.layout import HEADER
from contracts.documents import NO_SEGMENT
from contracts.events import parse_event
from contracts.times import DAY
from online_model.model import SegmentModel
from online_model.settings import ModelSettings
from producer.shop import Shop, ShopSettings
from tests.against_oracle import wrong_changes, wrong_rows
from tests.deployment import Deployment
from tests.faults.processes import WorkerProcess, wait_for
from tests.oracle import Oracle

PARTITIONS = 4
PER_SECOND = 100
CUSTOMERS = 5_000
"""Who buy about 200 orders a day between them: a day passes in two seconds, and with it a sweep of all rows."""
LEARNT_AT_ONCE = ModelSettings(k_interval=1_000 * DAY, by_rule_buyers=0, by_rule_days=0)
"""Segments are learnt from the first model on, so that versions follow one another soon."""
QUIET = 2.5
"""Seconds without any news from workers that are idle: figures go to the leader once a second."""


SPOILT = "spoilt"
"""Id of events that are well-formed and refused all the same, for their time or their currency."""


class Load:
    """Publishes a shop's year of purchases, returns, profiles, late and repeated events at a steady pace."""

    def __init__(
        self, deployment: Deployment, per_second: int, customers: int, seed: int, *, asides: bool = False
    ) -> None:
        self._deployment = deployment
        self._per_second = per_second
        now = wall_micros()
        shops = (
            Shop(ShopSettings(now=now, customers=customers, seed=one, currency="GBP")) for one in itertools.count(seed)
        )
        self._messages = itertools.chain.from_iterable(shop.history() for shop in shops)  # for ever
        self._asides = asides
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self.published = 0

    def _publish(self) -> None:
        with closing(self._deployment.logs()) as logs, closing(logs.writer()) as writer:
            began = time.monotonic()
            for message in self._messages:
                key = b"elsewhere" if self._asides and self.published % 7 == 3 else message.key
                writer.append(self._deployment.names.events, key, message.value)
                if self._asides and self.published % 50 == 9:
                    writer.append(self._deployment.names.events, key, b"no event")
                self.published += 1
                ahead = self.published / self._per_second - (time.monotonic() - began)
                if self._stopping.wait(max(0.0, ahead)):
                    return

    def start(self) -> Self:
        self._thread.start()
        return self

    def pause(self, seconds: float) -> None:
        """Wait so long beside it."""
        self._stopping.wait(seconds)

    def stop(self) -> None:
        """Publish no more; everything published is on the log then."""
        assert self._thread.is_alive(), "the log took no more events"
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "the log has not taken the last events"


def faulty(log_url: str, redis_url: str, tag: str, **settings: Any) -> Deployment:
    """A deployment for fault tests."""
    return Deployment(log_url, redis_url, tag, PARTITIONS, settings={"model": LEARNT_AT_ONCE, **settings})


class Scenario:
    """Start workers, start the load, do harm, and ask `recovered`. Everything ends with the block."""

    def __init__(self, deployment: Deployment, seed: int = 1) -> None:
        self.deployment = deployment
        self.workers: list[WorkerProcess] = []
        self._seed = seed
        self._stack = contextlib.ExitStack()
        self._load: Load | None = None
        self._mark: tuple[object, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._load is not None:
            self._load._stopping.set()
        self._stack.close()

    # ---- doing ----

    def start(self, workers: int, **more: Any) -> list[WorkerProcess]:
        """So many more workers, once they hold every partition between them."""
        begun = [self._stack.enter_context(WorkerProcess(self.deployment, **more)) for _ in range(workers)]
        self.workers += begun
        wait_for(lambda: all(one.held for one in begun) and self.all_held, "workers hold all partitions")
        return begun

    def begin(self, **more: Any) -> WorkerProcess:
        """One more worker, not waited for."""
        one = self._stack.enter_context(WorkerProcess(self.deployment, **more))
        self.workers.append(one)
        return one

    def load(
        self,
        per_second: int = PER_SECOND,
        customers: int = CUSTOMERS,
        *,
        asides: bool = False,
        waiting: bool = True,
    ) -> None:
        """Begin to publish, and wait until every worker has written some of it and a model is in force.

        With `asides` some records are no events, and some lie in another partition than their customer's.
        """
        self._load = Load(self.deployment, per_second, customers, self._seed, asides=asides).start()
        if not waiting:
            return
        self.more_checkpoints(5)
        wait_for(lambda: self.deployment.state.model() is not None, "a model")

    def more_checkpoints(self, count: int, *of: WorkerProcess) -> None:
        """Wait until each of these workers, or of all, has written so many more."""
        before = {one: one.status("checkpoints") or 0 for one in of or self.alive}
        try:
            wait_for(
                lambda: all((one.status("checkpoints") or 0) >= before[one] + count for one in before),
                f"{count} more checkpoints",
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; {self._said()}") from None

    def wait(self, seconds: float) -> None:
        """Let a fault last: the load goes on."""
        assert self._load is not None
        self._load.pause(seconds)

    # ---- looking ----

    @property
    def alive(self) -> list[WorkerProcess]:
        return [one for one in self.workers if one.exitcode is None]

    @property
    def all_held(self) -> bool:
        return sum(len(one.held) for one in self.alive) == self.deployment.partitions

    def all_held_by(self, worker: WorkerProcess) -> bool:
        return len(worker.held) == self.deployment.partitions

    @property
    def seqs(self) -> dict[int, int]:
        """Numbers of the last checkpoints in Redis."""
        metas = {number: self.deployment.state.meta(number) for number in range(self.deployment.partitions)}
        return {number: meta.seq if meta else 0 for number, meta in metas.items()}

    def published_since(self, seqs: object) -> int:
        """Events that the load has published since this was first asked with the same numbers."""
        assert self._load is not None
        if self._mark is None or self._mark[0] is not seqs:
            self._mark = (seqs, self._load.published)
        return self._load.published - self._mark[1]

    def ends(self) -> dict[int, int]:
        """Where each partition of the log ends."""
        with closing(self.deployment.logs()) as logs:
            ends = dict.fromkeys(range(self.deployment.partitions), 0)
            for batch in logs.read_all(self.deployment.names.events):
                ends[batch.partition] = batch.positions[len(batch) - 1] + 1
            return ends

    def positions(self) -> dict[int, int | None]:
        metas = {number: self.deployment.state.meta(number) for number in range(self.deployment.partitions)}
        return {number: meta.position if meta else None for number, meta in metas.items()}

    def recovered(self, over_at: float, *, within: float = 200.0) -> float:
        """End the load; seconds from `over_at` (monotonic) until every event that was published counts."""
        assert self._load is not None
        self._load.stop()
        ends = self.ends()
        try:
            # Events of other partitions are published once more by workers: positions may lie beyond what was the end.
            wait_for(
                lambda: all((self.positions()[number] or 0) >= end for number, end in ends.items()),
                "every event counts",
                within,
            )
        except AssertionError:
            raise AssertionError(f"at {self.positions()}, not at {ends}: {self._said()}") from None
        return time.monotonic() - over_at

    def settled(self) -> None:
        """Wait until the workers have nothing left to do, also after the leader has heard the others' last figures."""
        since: list[Any] = [None, 0.0]

        def at_rest() -> bool:
            now = [one.said for one in self.alive]
            if now != since[0]:
                since[:] = [now, time.monotonic()]
            idle = self.all_held and all(one.status("idle") for one in self.alive)
            return idle and time.monotonic() - since[1] > QUIET

        try:
            wait_for(at_rest, "idle workers")
        except AssertionError:
            raise AssertionError(f"not idle: {self._said()}") from None

    def _said(self) -> list[str]:
        return [f"{one.exitcode} {one.said} waiting for {one.waiting_for or 'nothing'}" for one in self.workers]

    def checked(self, *, rolled_back: bool = False) -> int:
        """Number of rows, once everything holds: rows, changes, assigned columns.

        After a roll-back of Redis changes are told again under other ids; they lead to where everybody is all the same.
        """
        self.settled()
        deployment = self.deployment
        rows = deployment.rows()
        wrong = wrong_rows(rows, Oracle().replay(self.events()))
        segments = {who: row["segment"] for who, row in rows.items()}
        changes = deployment.changes()
        assert changes, "nobody moved, so this shows little"
        if rolled_back:
            wrong += [f"{change_id} has two contents" for change_id, told in changes.items() if len(set(told)) > 1]
        else:
            wrong += wrong_changes(changes, segments)
        wrong += wrong_assignments(deployment)
        assert not wrong, f"{len(wrong)} faults, such as {wrong[:5]}"
        return len(rows)

    def events(self) -> Iterator[Any]:
        """What is valid on the log, partition after partition."""
        with closing(self.deployment.logs()) as logs:
            for batch in logs.read_all(self.deployment.names.events):
                for value in batch.values:
                    with contextlib.suppress(ValidationError):
                        event = parse_event(value or b"")
                        if event.event_id != SPOILT:
                            yield event


def wrong_assignments(deployment: Deployment) -> list[str]:
    """Rows name model versions that were published, and segments that these know of."""
    wrong = []
    known: dict[int, set[int] | None] = {}
    current = deployment.state.model()
    newest = SegmentModel.read(current).version if current else 0
    for partition in range(deployment.partitions):
        for ids, blobs in deployment.state.rows(partition):
            for who, blob in zip(ids, blobs, strict=True):
                header = np.frombuffer(blob[: HEADER.itemsize], HEADER)[0]
                version, segment = int(header["model_version"]), int(header["segment"])
                if version not in known:
                    document = deployment.state.old_model(version)
                    known[version] = (
                        {one.id for one in SegmentModel.read(document).segments} if document is not None else None
                    )
                if version > newest:
                    wrong.append(f"{who} was placed by version {version}, which nobody published; newest is {newest}")
                elif segment > 0 and segment != NO_SEGMENT and known[version] and segment not in known[version]:
                    wrong.append(f"{who} is in segment {segment}, of which version {version} knows nothing")
    return wrong


def contents(deployment: Deployment) -> dict[str, list[dict]]:
    """Published changes by customer, in the order of their ids."""
    found: dict[str, list[dict]] = {}
    for _, told in sorted(deployment.changes().items()):
        change = json.loads(told[0])
        found.setdefault(change["customer_id"], []).append(change)
    return found
