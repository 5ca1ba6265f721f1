"""The worker loop, exactly once: poll, decode, rows, clusters and segments, checkpoint, publish changes, write views."""

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import structlog

from consumer.applying import Applied, Applier, Before
from consumer.changes import ChangePublisher, new_changes
from consumer.clock import Clock
from consumer.dead_letters import Refused, dead_letter
from consumer.decoding import Decoder, Kind
from consumer.figures import ShopFigures, figures_of, merged
from consumer.held import Change, Held, checkpoint_of, claim, load, next_rows, noted
from consumer.items import ItemSums
from consumer.leader import Leader, read_model
from consumer.learning import Learner, Moves
from consumer.reviews import InlineReviews, ProcessReviews, Reviews
from consumer.row_store import RowStore
from consumer.settings import WorkerSettings
from consumer.shop_window import ShopWindow
from consumer.state import MAX_BYTES, State, StateConflictError, StateUnavailableError
from consumer.view_writer import ViewWriter
from contracts.documents import CAUSES
from contracts.errors import LivesegmentsError
from contracts.partitioning import partition_of
from logs.base import Batch, LogInfo, LogReader, LogUnavailableError, LogWriter
from online_model.features import FeatureSet
from recommender.store import ViewStore, ViewsUnavailableError

REROUTED: Final = "livesegments-rerouted"
"""Header of an event that a worker published again because it stood in the wrong partition."""
LEADING: Final = 0
"""The owner of this partition leads."""
_CAUSE_OF: Final = {
    Kind.PURCHASE: CAUSES.index("purchase"),
    Kind.RETURN: CAUSES.index("return"),
    Kind.PROFILE: CAUSES.index("profile"),
}
_BACKOFF: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between tries while a server does not answer."""
_MOST_CONFLICTS: Final = 3
"""Claims that may be lost in a minute before the worker stops."""

_log = structlog.get_logger("livesegments.worker")


class TooManyConflictsError(LivesegmentsError):
    """Another process keeps claiming this worker's partitions."""


class StoppedError(Exception):
    """The worker was asked to stop while it waited for a server."""


@dataclass(slots=True)
class WorkerFigures:
    """What a worker has done since it started."""

    events: Counter[str] = field(default_factory=Counter)
    """Events that counted, by type."""
    ignored: Counter[str] = field(default_factory=Counter)
    """Valid events that changed nothing, by reason."""
    dead_letters: Counter[str] = field(default_factory=Counter)
    rerouted: int = 0
    moves: Counter[str] = field(default_factory=Counter)
    """Customers who changed segment, by cause."""
    checkpoints: int = 0
    conflicts: int = 0
    evicted_ids: int = 0

    @property
    def total(self) -> int:
        """Records taken from the log."""
        return self.events.total() + self.ignored.total() + self.dead_letters.total() + self.rerouted


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of; the composition root chooses."""

    log: LogInfo
    reader: LogReader
    writer: LogWriter
    state: State
    views: ViewStore
    describe_log: Callable[[], LogInfo]


class Worker:
    """One worker. `run` goes on until it is stopped; `step` is one turn, for tests and for embedding."""

    def __init__(
        self,
        parts: Parts,
        settings: WorkerSettings,
        clock: Clock,
        *,
        reviews: Reviews | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.figures = WorkerFigures()
        self.held: dict[int, Held] = {}
        self.store = RowStore()
        self.clock = clock
        self._parts = parts
        self._state = parts.state
        self._settings = settings
        self._monotonic = monotonic
        self._stopping = threading.Event()
        self._decoder = Decoder(settings.rates)
        self._applier = Applier(self.store, settings.limits, parts.log.partitions)
        self.learner = Learner(self.store, FeatureSet.of(settings.model.features), parts.log.partitions)
        self.item_sums = ItemSums(self.store, settings.recommender)
        self.views = ViewWriter(
            self.store,
            self.item_sums,
            parts.views,
            keys=settings.keys,
            settings=settings.recommender,
            monotonic=monotonic,
        )
        if reviews is None:
            reviews = InlineReviews() if settings.review_inline else ProcessReviews(monotonic)
        self._reviews = reviews
        self._leader = Leader(parts.state, self.store, settings.model, reviews)
        self._window = ShopWindow(parts.views, settings.keys, settings.recommender)
        self._changes = ChangePublisher(parts.writer, settings.names)
        self._backlog: dict[int, deque[Batch]] = {}
        self._to_claim: dict[int, float] = {}
        """Partitions assigned and not yet claimed, with the monotonic time from which to try."""
        self._conflicts: deque[float] = deque()
        self._next_figures = 0.0
        self._looked_at_figures = False
        self._silent_since: float | None = None

    # ---- running ----

    def stop(self) -> None:
        """Ask `run` to end after the current step. Safe from signal handlers and other threads."""
        self._stopping.set()

    def run(self, *, until_idle: float | None = None, on_step: Callable[["Worker"], None] | None = None) -> None:
        """Work until stopped, or until nothing has been left to do for so many seconds."""
        idle_since: float | None = None
        try:
            while not self._stopping.is_set():
                busy = self.step(0.1)
                if on_step is not None:
                    on_step(self)
                if until_idle is None:
                    continue
                if busy or not self.idle:
                    idle_since = None
                elif idle_since is None:
                    idle_since = self._monotonic()
                elif self._monotonic() - idle_since >= until_idle:
                    return
        except StoppedError:
            pass
        finally:
            self.close()

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do: no lag, no outbox, no dirty view, no sweep, review or rebalance under way."""
        lag = self._parts.reader.lag()
        return not (
            lag is None
            or any(lag.values())
            or self._backlog
            or self._to_claim
            or self._parts.reader.rebalancing
            or self.learner.sweeping
            or self._sweep_due(at_rest=True)
            or self._leader.reviewing
            or not self._looked_at_figures
            or self._changes.waiting
            or any(one.outbox or one.has_news for one in self.held.values())
            or self.views.pending(self.held.values())
        )

    def close(self) -> None:
        """Note what is done, leave the group, let go of the review process."""
        try:
            if self.held and not self._stopping.is_set():
                self._note_news(self.held.values())
        except (StateUnavailableError, StateConflictError, StoppedError):
            pass  # what is not noted is done again: all of it may be repeated
        self._reviews.close()
        self._parts.reader.close()

    def step(self, timeout: float) -> bool:
        """One turn; waits at most `timeout` seconds for events. Returns whether there was anything to do."""
        started = self._monotonic()
        self._poll(0.0 if self._backlog or self.learner.sweeping else timeout)
        self._claim_assigned()
        took = self._take_events()
        swept = self._sweep()
        self._changes.acknowledged(self.held)
        if not took:
            self._note_news(self.held.values())
        self._write_views(self._monotonic() - started if took else None)
        led = self._lead(rest=not took and not swept)
        return took or swept or led

    # ---- poll and assignment ----

    def _poll(self, timeout: float) -> None:
        if self._backlog and not self._parts.reader.rebalancing:
            return
        polled = self._parts.reader.poll(timeout)
        self._report_silence()
        for partition in polled.revoked:
            self._drop(partition)
            self._to_claim.pop(partition, None)
        for partition in polled.assigned:
            self._to_claim[partition] = 0.0
        for batch in polled.batches:
            if batch.partition in self.held and len(batch):
                self._backlog.setdefault(batch.partition, deque()).append(batch)

    def _report_silence(self) -> None:
        since = self._parts.reader.failing_since
        if since is not None and self._silent_since is None and self._monotonic() - since > 1.0:
            self._silent_since = since
            _log.warning("the log does not answer; trying again")
        elif since is None and self._silent_since is not None:
            _log.info("the log answers again", after_s=round(self._monotonic() - self._silent_since, 1))
            self._silent_since = None

    def _claim_assigned(self) -> None:
        for partition in [p for p, at in self._to_claim.items() if at <= self._monotonic()]:
            del self._to_claim[partition]
            started = self._monotonic()
            try:
                held, rows = self._trying("claim", lambda partition=partition: self._claim(partition))
            except StateConflictError:
                self._conflict(partition)
                continue
            self.held[partition] = held
            self.clock.hear([held.clock] if held.seq else [])
            self._read_model()
            self.learner.load(rows, self.clock.now)
            self.item_sums.revise(rows, {})
            self._parts.reader.seek(partition, held.position)
            if held.outbox:
                self._changes.publish(held, held.outbox)
            self._looked_at_figures = False
            _log.info(
                "partition claimed",
                partition=partition,
                customers=len(rows),
                position=held.position,
                seconds=round(self._monotonic() - started, 3),
            )

    def _claim(self, partition: int) -> tuple[Held, np.ndarray]:
        held, _ = claim(self._state, partition, self._parts.describe_log(), self._monotonic())
        try:
            return held, load(self._state, self.store, held)
        except StateUnavailableError:
            if partition in self.store.partitions:
                self.store.drop_partition(partition)
            raise

    def _drop(self, partition: int) -> None:
        """Forget a partition; the state has all that counts."""
        self._backlog.pop(partition, None)
        if self.held.pop(partition, None) is None:
            return
        rows = np.fromiter(self.store.partitions[partition].index.values(), np.int64)
        self.learner.drop_partition(partition, rows)
        self.item_sums.remove(rows)
        self.item_sums.forget_partition(partition)
        self.views.forget(partition)
        self.store.drop_partition(partition)
        _log.info("partition given up", partition=partition)

    def _conflict(self, partition: int) -> None:
        """Somebody else claimed the partition: forget it, and claim again later if the group still says so."""
        now = self._monotonic()
        self.figures.conflicts += 1
        self._conflicts.append(now)
        while self._conflicts and now - self._conflicts[0] > 60:
            self._conflicts.popleft()
        if len(self._conflicts) > _MOST_CONFLICTS * max(1, len(self.held)):
            raise TooManyConflictsError(
                "other processes keep claiming this worker's partitions: is there a second group, or a second"
                " deployment, under the same key prefix?"
            )
        self._drop(partition)
        self._parts.reader.pause(partition)
        self._to_claim[partition] = now + self._settings.session_timeout * random.uniform(1, 2)
        _log.warning("partition belongs to another worker", partition=partition)

    # ---- events ----

    def _take_events(self) -> bool:
        """One batch of every partition that has any: decoded, applied, checkpointed."""
        batches = self._next_batches()
        if not batches:
            return False
        refused: dict[int, list[Refused]] = {}
        for batch in batches:
            decoded = self._decoder.decode(batch)
            rerouted = [place for place, headers in batch.headers.items() if any(name == REROUTED for name, _ in headers)]
            outcome = self._applier.apply(decoded.events, rerouted)
            refused[batch.partition] = [*decoded.refused, *outcome.refused]
            self._set_aside(batch, refused[batch.partition], outcome.foreign)
        applied = self._applier.settle()
        self.clock.hear([applied.newest] if applied.causes else [])
        self._count(applied)
        self._learn(applied)
        if any(refused.values()) or self._unflushed:
            self._trying("publish", self._flush)
        self._checkpoint_batches(batches, applied)
        return True

    def _next_batches(self) -> list[Batch]:
        chosen = []
        for partition, waiting in list(self._backlog.items()):
            batch = waiting.popleft()
            most = self._fitting(partition, batch)
            if most < len(batch):
                waiting.appendleft(part_of(batch, most, len(batch)))
                batch = part_of(batch, 0, most)
            if not waiting:
                del self._backlog[partition]
            chosen.append(batch)
        return chosen

    def _fitting(self, partition: int, batch: Batch) -> int:
        """How many of the batch's records may go into one checkpoint: rows can be large."""
        most = min(len(batch), self._settings.batch_events)
        largest = self.store.largest.get(partition, 0)
        if largest * most <= MAX_BYTES:
            return most
        return max(1, min(most, MAX_BYTES // largest))

    _unflushed = False

    def _set_aside(self, batch: Batch, refused: Iterable[Refused], foreign: Iterable[int]) -> None:
        """Publish dead letters, and events of other partitions to where they belong, ahead of the checkpoint."""
        names, writer = self._settings.names, self._parts.writer
        for one in refused:
            value, position = batch.values[one.place], batch.positions[one.place]
            writer.append(names.dead_letters, None, dead_letter(names.events, batch.partition, position, value, one))
            self.figures.dead_letters[one.reason.value] += 1
            self._unflushed = True
        for place in foreign:
            value = batch.values[place]
            assert value is not None
            customer_id = self._decoder.customer_of(value)
            partition = partition_of(customer_id, self._parts.log.partitions)
            headers = [*batch.headers.get(place, ()), (REROUTED, b"1")]
            writer.append(names.events, customer_id.encode(), value, partition=partition, headers=headers)
            self.figures.rerouted += 1
            self._unflushed = True

    def _flush(self) -> None:
        self._parts.writer.flush(30.0)
        self._unflushed = False

    def _count(self, applied: Applied) -> None:
        figures = self.figures
        for kind, number in applied.accepted.items():
            figures.events[Kind(kind).name.lower()] += number
        for reason, number in applied.ignored.items():
            figures.ignored[reason.value] += number
        if applied.evicted and not figures.evicted_ids:
            _log.warning("a customer has more event ids within the allowed lateness than are kept; see `closed` events")
        figures.evicted_ids += applied.evicted

    def _learn(self, applied: Applied) -> None:
        """Bring votes, segments and popularity up to what the events changed."""
        removed = [row for row, _ in applied.removed]
        if removed:
            rows = np.array(removed, np.int64)
            self.learner.remove(rows)
            self.item_sums.remove(rows, applied.before)
            for row in removed:
                self._forget_row(row)
            self.store.release(removed)
        causes = {row: _CAUSE_OF[Kind(kind)] for row, kind in applied.causes.items()}
        self._take_moves(self.learner.update(causes, self.clock.now))
        self.item_sums.revise(np.fromiter(causes, np.int64, len(causes)), applied.before)

    def _forget_row(self, row: int) -> None:
        held = self.held[int(self.store.partition[row])]
        for waiting in (held.dirty, held.changes, held.changed):
            waiting.pop(row, None)

    def _take_moves(self, moves: Moves) -> None:
        now = self.clock.now
        version = self.learner.model.version if self.learner.model else 0
        partitions = self.store.partition[moves.rows].tolist()
        columns = zip(
            moves.rows.tolist(), partitions, moves.before.tolist(), moves.after.tolist(), moves.causes.tolist(), strict=True
        )
        for row, partition, before, after, cause in columns:
            held = self.held[partition]
            held.changes.setdefault(row, []).append(Change(before, after, cause, now, version))
            self.figures.moves[CAUSES[cause]] += 1

    # ---- checkpoints ----

    def _checkpoint_batches(self, batches: Iterable[Batch], applied: Applied) -> None:
        by_partition: dict[int, list[int]] = {}
        for row, partition in zip(
            applied.causes, self.store.partition[np.fromiter(applied.causes, np.int64, len(applied.causes))], strict=True
        ):
            by_partition.setdefault(int(partition), []).append(row)
        purchases = self._purchases(applied)
        for batch in batches:
            held = self.held.get(batch.partition)
            if held is None:
                continue
            held.purchases += purchases.get(batch.partition, 0)
            held.clock = max(held.clock, applied.newest_of.get(batch.partition, held.clock))
            position = batch.positions[len(batch) - 1] + 1
            self._checkpoint(held, by_partition.get(batch.partition, []), position)
        self._parts.reader.commit({p: held.position for p, held in self.held.items() if held.position is not None})

    def _purchases(self, applied: Applied) -> Mapping[int, int]:
        return applied.purchases_of

    def _checkpoint(self, held: Held, must: Iterable[int], position: int) -> None:
        """Write one atomic step of a partition, then publish the changes in it."""
        rows = next_rows(self.store, held, must)
        changes = new_changes(self.store, held, rows)
        step = checkpoint_of(self.store, held, rows, position, changes)
        try:
            self._trying("checkpoint", lambda: self._state.checkpoint(held.number, held.token, step))
        except StateConflictError:
            self._conflict(held.number)
            return
        noted(held, step, rows, self._monotonic())
        self.figures.checkpoints += 1
        if changes:
            self._changes.publish(held, changes)

    def _note_news(self, held: Iterable[Held]) -> None:
        """Checkpoints of partitions to which no event came: sweeps, published changes, written views."""
        for one in list(held):
            if one.has_news and one.position is not None:
                self._checkpoint(one, (), one.position)

    # ---- background work ----

    def _sweep_due(self, *, at_rest: bool) -> bool:
        """Whether the clock has moved on far enough; the event clock is at rest when no event comes."""
        if self.learner.model is None or not self.held:
            return False
        since = self.learner.swept_at
        if since is None:
            return True
        passed = self.clock.now - since
        if self.clock.kind == "event" and at_rest:
            return passed > 0
        return passed >= self._settings.sweep_interval

    def _sweep(self) -> bool:
        if not self.learner.sweeping:
            if not self._sweep_due(at_rest=not self._backlog and self._at_rest()):
                return False
            self.learner.begin_sweep(self.clock.now)
        moves = self.learner.sweep(self.clock.now)
        self._take_moves(moves)
        self.item_sums.revise(moves.rows, {})
        for row, partition in zip(moves.rows.tolist(), self.store.partition[moves.rows].tolist(), strict=True):
            self.held[partition].changed.setdefault(row)
        self._looked_at_figures = False
        return True

    def _at_rest(self) -> bool:
        lag = self._parts.reader.lag()
        return lag is not None and not any(lag.values())

    def _write_views(self, step_seconds: float | None) -> None:
        """Views get their share of a busy worker's time, and all of an idle one's up to 50 ms a step."""
        share = self._settings.views_share
        seconds = 0.05 if step_seconds is None else step_seconds * share / (1 - share)
        fresh = {p: held for p, held in self.held.items() if self._is_fresh(held)}
        self.views.observe(self.held.values())
        try:
            self.views.write(fresh, self.learner.model, self.clock.now, seconds)
        except ViewsUnavailableError as error:
            self._report_trouble("views", error)

    def _is_fresh(self, held: Held) -> bool:
        """Whether the partition is surely still ours; an idle one is made sure of by a checkpoint."""
        age = self._monotonic() - held.checkpointed_at
        if age < self._settings.session_timeout / 2:
            return True
        if held.position is not None and self.views.wants(held):
            self._checkpoint(held, (), held.position)
            return held.number in self.held
        return False

    # ---- the model ----

    def _read_model(self) -> None:
        """Take over a model version that another worker has published."""
        document = self._state.model()
        if document is None:
            return
        model = read_model(document)
        if self.learner.model is None or model.version > self.learner.model.version:
            self._adopt(model)

    def _adopt(self, model: object) -> None:
        from online_model.model import SegmentModel  # noqa: PLC0415

        assert isinstance(model, SegmentModel)
        self.learner.adopt(model, self.clock.now)
        self.views.adopt(model, self.held.values())

    def _lead(self, *, rest: bool) -> bool:
        """Report the figures, and lead if partition 0 is ours. Returns whether a new version was adopted."""
        now = self._monotonic()
        alone = len(self.held) == self._parts.log.partitions
        due = now >= self._next_figures
        if not self.held or self.learner.sweeping or not (due or (alone and (rest or self._figures_are_news()))):
            return False
        own = {p: self._figures_of(held) for p, held in self.held.items()}
        adopted = False
        try:
            if due:
                self._next_figures = now + self._settings.figures_interval
                self._state.put_sums(own)
                if not alone:
                    self._hear_others()
            if LEADING in self.held:
                everybody = own if alone else {**self._state.sums(), **own}
                shop = merged(everybody.values(), self._parts.log.partitions)
                if self.clock.kind == "event":
                    self.clock.hear([shop.clock])
                decided = self._leader.decide(self.held[LEADING].claims, self.learner.model, shop, self.clock.now)
                if decided is not None:
                    self._adopt(decided)
                    adopted = True
                if due or rest:
                    self._show(shop)
        except StateUnavailableError as error:
            self._report_trouble("model", error)
            return False
        self._looked_at_figures = not adopted
        return adopted
