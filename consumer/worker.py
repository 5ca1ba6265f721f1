"""The worker loop, exactly once: poll, decode, rows, clusters, segments, checkpoint, publish changes, write views."""

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from consumer import collector
from consumer.applied import Applied
from consumer.applying import Outcome, handed_over_again
from consumer.aside import Aside, came_rerouted, dead_letter, publish, rerouted, told
from consumer.bonds import Since
from consumer.catalogue import CatalogueFollower
from consumer.catalogue_documents import CatalogueDocuments
from consumer.changes import ChangePublisher
from consumer.checkpoints import Checkpoints, Prepared
from consumer.clock import Clock
from consumer.dead_letters import Refused
from consumer.deciding import Deciding
from consumer.decoding import Decoder
from consumer.event_columns import Decoded, Kind
from consumer.feed import Feed
from consumer.feedback_history import FeedbackWriter
from consumer.forecast_leader import ForecastLeader
from consumer.forgetting import Forgetting
from consumer.freshness import Freshness
from consumer.held import LEADING, Held, claim, load
from consumer.history import HistoryWriter
from consumer.intake import Intake
from consumer.item_leader import ItemLeader
from consumer.leader import Leader
from consumer.lift_writer import LiftWriter
from consumer.memory import Memory
from consumer.moves import Moves
from consumer.old_names import old_names
from consumer.patience import Patience, StoppedError
from consumer.reviews import Reviewers
from consumer.row_store import Rows
from consumer.settings import WorkerSettings
from consumer.shop_window import ShopWindow
from consumer.spent import Spent
from consumer.state import State, StateConflictError, StateUnavailableError
from contracts.documents import CAUSES
from contracts.errors import LivesegmentsError
from logs.base import Batch, LogInfo, LogReader, LogUnavailableError, LogWriter
from recommender.store import ViewStore, ViewsUnavailableError

_MOST_CONFLICTS: Final = 3
"""Times a minute that a partition may turn out to be another's before the worker stops."""
_TRIM_SECONDS: Final = 10.0
"""Between two times that records are let go of."""
_GIVE_BACK_SECONDS: Final = 60.0
"""Between two times that free memory is given back to the system: some ms each."""
_IN_A_ROW: Final = 0.2
"""Seconds after which a step takes no more events: views, sweeps and whoever leads have waited for it."""
_LAGGING_RECORDS: Final = 5_000
"""So many, here or on the log, that another step like the last would leave are a lag."""
_LAGGING_VIEWS: Final = 0.05
"""Share of the time for views while more events wait: each of them is likely to be rewritten soon anyway ..."""
_LATE_VIEWS: Final = 0.2
"""... and while any of them has waited for longer than `view_interval`."""
_IDLE_VIEWS: Final = 0.05
"""Seconds that an idle worker gives to views in one step."""
_MOST_VIEWS: Final = 0.1
"""Seconds that views get in one step: events that come meanwhile wait, and so do the views of whom they are about."""
_MOST_OVER: Final = 0.25
"""Seconds that views may have had too much and are made to wait for; a server that was down is no fault of theirs."""

_log = structlog.get_logger("livesegments.worker")


class TooManyConflictsError(LivesegmentsError):
    """Another process keeps claiming this worker's partitions."""


@dataclass(slots=True)
class WorkerFigures:
    """What a worker has done since it started."""

    events: Counter[str] = field(default_factory=Counter)
    """Events that counted, by type."""
    ignored: Counter[str] = field(default_factory=Counter)
    """Valid events that changed nothing, by reason."""
    dead_letters: Counter[str] = field(default_factory=Counter)
    """By reason."""
    rerouted: int = 0
    moves: Counter[str] = field(default_factory=Counter)
    """Customers who changed segment, by cause."""
    batches: int = 0
    """Cuts of the log that were worked on, each of one partition."""
    checkpoints: int = 0
    conflicts: int = 0
    sweeps: Spent = field(default_factory=Spent)
    """Passes over every row, without what came between their slices."""
    reviews: Spent = field(default_factory=Spent)
    item_reviews: Spent = field(default_factory=Spent)
    forecast_reviews: Spent = field(default_factory=Spent)
    forecasts: Spent = field(default_factory=Spent)
    """Slices of passes that work out everybody's forecast."""
    freshness: Freshness = field(default_factory=Freshness)

    @property
    def records(self) -> int:
        """Records taken from the log."""
        return self.events.total() + self.ignored.total() + self.dead_letters.total() + self.rerouted


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a worker is made of; the composition root chooses."""

    log: LogInfo
    """The events log as it was when the worker started."""
    describe: Callable[[], LogInfo]
    """The events log as it is now."""
    reader: LogReader
    writer: LogWriter
    state: State
    views: ViewStore
    trim: Callable[[int, int], None] | None = None
    """Drops a partition's records before a position, where the log would grow without end otherwise."""
    catalogue: CatalogueFollower | None = None


@dataclass(frozen=True, slots=True)
class _AppliedBatches:
    """Events that memory has and the state has not."""

    batches: list[Batch]
    """One of each partition that has any."""
    rows: dict[int, list[int]]
    """By partition, what they changed."""
    aside: list[Aside]
    """What is to be published because of them."""


class Worker:
    """One worker. `run` goes on until it is stopped; `step` is one turn, for tests and for embedding."""

    def __init__(
        self,
        parts: Parts,
        settings: WorkerSettings,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.figures = WorkerFigures()
        self.memory = Memory(settings, clock, parts.log.partitions, parts.views, monotonic)
        self.clock = clock
        self._parts = parts
        self._reader = parts.reader
        self._state = parts.state
        self._settings = settings
        self._monotonic = monotonic
        self._stopping = threading.Event()
        self.patience = self._patience = Patience(self._stopping)
        self._reviewers = Reviewers(inline=settings.review_inline, monotonic=monotonic)
        leader = Leader(
            parts.state,
            self.memory.store,
            settings.model,
            self._reviewers.one_kind(self.figures.reviews),
            writer=parts.writer,
            names=settings.names,
        )
        items = ItemLeader(
            parts.state,
            parts.views,
            self.memory.store,
            self.memory.item_sums,
            self._reviewers.one_kind(self.figures.item_reviews),
            settings=settings.recommender,
            keys=settings.keys,
        )
        forecasts = ForecastLeader(
            parts.state,
            self.memory.store,
            self._reviewers.one_kind(self.figures.forecast_reviews),
            seed=settings.model.seed,
            seen_from=settings.seen_from,
        )
        self._feed = Feed(clock, self.memory.learner, settings.quiet_after)
        self._deciding = Deciding(
            self.memory,
            parts.state,
            settings,
            clock,
            leader,
            items=items,
            forecasts=forecasts,
            feed=self._feed,
            window=ShopWindow(parts.views, settings.keys, settings.recommender, settings.rates.currency),
            history=HistoryWriter(parts.state, parts.views, settings.keys),
            feedback=FeedbackWriter(parts.state, parts.views, settings.keys, monotonic),
            lift=LiftWriter(parts.views, settings.keys, settings.holdout),
            lags=lambda: self.lags,
            monotonic=monotonic,
        )
        self._documents = (
            CatalogueDocuments(parts.state, parts.catalogue, self.memory.item_sums.items, monotonic)
            if parts.catalogue is not None
            else None
        )
        self._changes = ChangePublisher(parts.writer, settings.names)
        self._forgetting = Forgetting(
            self.memory.store, parts.writer, settings.names.events, settings.forget_idle, monotonic
        )
        self._intake = Intake(
            parts.reader,
            Decoder(settings.rates),
            self.memory.held,
            batch_events=settings.batch_events,
            interval=settings.sweep_interval if settings.clock == "event" else None,
            monotonic=monotonic,
            stopping=self._stopping,
        )
        self._checkpoints = Checkpoints(
            self.memory, parts.state, self._changes, self._patience, monotonic, feed=self._feed
        )
        self._to_claim: dict[int, float] = {}
        """Assigned partitions that are not claimed yet, with the monotonic time from which to try."""
        self._conflicts: deque[float] = deque()
        self._trim_due = 0.0
        self._give_back_due = 0.0
        self._ahead_of_state = False
        """Whether memory has what no checkpoint is known to have written: of that nothing alone may be written."""
        self._looking_ahead = False
        """Whether a pass over everybody's forecasts is under way that nothing keeps from going on."""
        self._views_owed = 0.0
        """Seconds of their share of the time that views have not had yet; below 0 where they had more."""

    # ---- running ----

    def stop(self) -> None:
        """Ask `run` to end after the current step. Safe from signal handlers and other threads."""
        self._stopping.set()

    def run(self, *, until_idle: float | None = None, on_step: Callable[["Worker"], None] | None = None) -> None:
        """Work until stopped, or until nothing has been left to do for `until_idle` seconds."""
        idle_since: float | None = None
        try:
            while not self._stopping.is_set():
                with collector.later():
                    busy = self.step(0.1)
                if on_step is not None:
                    on_step(self)
                if until_idle is None:
                    continue
                now = self._monotonic()
                if busy or not self.idle:
                    idle_since = None
                elif idle_since is None:
                    idle_since = now
                if idle_since is not None and now - idle_since >= until_idle:
                    break
        except StoppedError:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Note what is done, leave the group, end the review process."""
        self._stopping.set()
        try:
            self._changes.acknowledged(self.memory.held)
            if not self._ahead_of_state:
                self._note_news()
            self._deciding.leave()
        except (StoppedError, LivesegmentsError) as error:
            # What is not noted is done again by the next owner: everything here may be repeated.
            _log.info("left without a last checkpoint", error=str(error))
        self._reviewers.close()
        if self._parts.catalogue is not None:
            self._parts.catalogue.close()
        self._reader.close()

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do: no lag, outbox, dirty view, sweep, review, decision or rebalance."""
        memory, held = self.memory, self.memory.held.values()
        return not (
            self._intake.waiting
            or self._intake.unassigned
            or self._to_claim
            or not self._intake.at_rest
            or self._sweep_due()
            or memory.learner.sweeping
            or memory.letting_go
            or not self._deciding.settled
            or any(one.outbox or one.has_news for one in held)
            or self._ahead_is_due
            or memory.views.pending(held)
            or self._forgetting.pending
            or (LEADING in memory.held and self._documents is not None and self._documents.pending)
        )

    def step(self, timeout: float) -> bool:
        """One turn; waits at most `timeout` seconds for events. Returns whether there was anything to do."""
        self._follow_catalogue()
        passing = self.memory.learner.sweeping or self._looking_ahead
        self._poll(0.0 if passing else timeout)
        self._claim_assigned()
        started = self._monotonic()
        took = self._take_events()
        self.memory.let_go()
        swept = self._sweep()
        self._changes.acknowledged(self.memory.held)
        if not took:
            self._note_news()
        self._make_sure()
        decided = self._lead(at_rest=not took and not swept)
        self._trim()
        self._give_back()
        left = self._intake.left if took else 0
        lagging = left is None or left > _LAGGING_RECORDS
        self._feed.listen(self.memory.held.values(), at_rest=False)
        # It is customers who are silent, and neither the feed nor we who have not read on.
        trusted = not lagging and not self.memory.learner.quiet
        decided |= self._forgetting.forget(self.memory.held, self.clock, took=took, trusted=trusted)
        self._look_ahead(lagging=lagging)
        share = self._settings.views_share
        if lagging:
            share = min(share, _LATE_VIEWS if self.memory.views.late else _LAGGING_VIEWS)
        worked = self._monotonic()
        # What is written together takes longer than a short step's share: that is held against the steps after it.
        # Nor is it known amid a pass whether events are on their way: none was waited for.
        idle = not took and not passing
        self._views_owed = _IDLE_VIEWS if idle else self._views_owed + (worked - started) * share / (1 - share)
        if self._views_owed > 0:
            seconds = min(self._views_owed, _MOST_VIEWS)
            self._write_views(seconds, lagging=lagging, waited_for=not (idle or lagging))
            over = self._monotonic() - worked - seconds
            self._views_owed = -min(max(0.0, over), _MOST_OVER)
        self.figures.freshness.observe(self.memory.held, self.clock.wall())
        return took or swept or decided

    # ---- assignment ----

    def _poll(self, timeout: float) -> None:
        polled = self._intake.poll(timeout)
        for partition in polled.revoked:
            self._to_claim.pop(partition, None)
            self._drop(partition)
        for partition in polled.assigned:
            self._to_claim[partition] = 0.0
        self._intake.receive(polled)

    def _follow_catalogue(self) -> None:
        """Know what is not to be recommended before the first event, and soon after it changes."""
        catalogue, memory = self._parts.catalogue, self.memory
        if catalogue is None:
            return
        if self._patience.try_until_done("catalogue", lambda: catalogue.follow(memory.item_sums.items)):
            memory.views.rewrite_all(memory.held.values())
        self._show_catalogue()

    def _show_catalogue(self) -> None:
        """Where we lead: keep what everybody may read of the catalogue up with it."""
        documents, held = self._documents, self.memory.held.get(LEADING)
        if documents is None or held is None:
            return
        try:
            documents.write(held.claims, self.clock.wall())
        except StateUnavailableError as error:
            self._patience.pause("catalogue", error)

    def _claim_assigned(self) -> None:
        for partition in [number for number, at in self._to_claim.items() if at <= self._monotonic()]:
            started = self._monotonic()
            try:
                held, rows = self._patience.try_until_done("claim", lambda number=partition: self._claim(number))  # type: ignore[misc]
            except StateConflictError:
                self._lose(partition)
                continue
            del self._to_claim[partition]
            self._patience.try_until_done("audiences", self._number_audiences)
            self._patience.try_until_done("model", self._deciding.read_models)
            self._patience.try_until_done("names", lambda rows=rows: self._learn_old_names(rows))  # type: ignore[misc]
            self.memory.take_in(held, rows)
            self._hand_over_again(held)
            self._reader.seek(partition, held.position)
            self._changes.publish(held, held.outbox)
            self._deciding.unsettle()
            _log.info(
                "partition claimed",
                partition=partition,
                customers=len(rows),
                position=held.position,
                seconds=round(self._monotonic() - started, 3),
            )

    def _hand_over_again(self, held: Held) -> None:
        """What joined ids did goes out once more where rows were restored or rebuilt: others may know it otherwise."""
        if held.position is None:
            return
        partitions = self._parts.log.partitions
        since = Since.at(partitions, held.position - 1)
        again = handed_over_again(held.rows, since, self._settings.deployment)
        if again:
            records = [told(self._settings.names, one.customer_id, one.value, partitions) for one in again]
            self._patience.try_until_done("publish", lambda: publish(self._parts.writer, records))

    def _learn_old_names(self, rows: Rows) -> None:
        """Of segments that rows are in and no version that we have read has: views and changes name them."""
        names = self.memory.names
        names.learn(old_names(self._state, self.memory.store, rows, names))

    def _number_audiences(self) -> None:
        """Before the first rows come: which bit of a row stands for which audience."""
        names = [audience.name for audience in self._settings.audiences]
        if names and not self.memory.learner.audiences:
            self.memory.set_audiences(self._state.number_audiences(names))

    def _claim(self, partition: int) -> tuple[Held, Rows]:
        held, _ = claim(self._state, partition, self._parts.describe(), self._monotonic())
        try:
            return held, load(self._state, self.memory.store, held)
        except StateUnavailableError:
            self.memory.store.drop_partition(partition)
            raise

    def _drop(self, partition: int) -> None:
        self._intake.drop(partition)
        self.figures.freshness.drop(partition)
        if self.memory.drop(partition):
            _log.info("partition given up", partition=partition)

    def _lose(self, partition: int) -> None:
        """What is stored is not what we know of the partition: forget it, claim it again if it is still to be ours.

        Later, where another process owns it; at once, where the state lost our checkpoints.
        """
        now = self._monotonic()
        self.figures.conflicts += 1
        self._conflicts.append(now)
        while now - self._conflicts[0] > 60:
            self._conflicts.popleft()
        if len(self._conflicts) > _MOST_CONFLICTS * self._parts.log.partitions:
            raise TooManyConflictsError(
                "other processes keep claiming this worker's partitions: does another deployment use the same key"
                " prefix with another consumer group?"
            )
        held = self.memory.held.get(partition)
        rolled_back = held is not None and held.rolled_back
        self._drop(partition)
        self._reader.pause(partition)
        self._to_claim[partition] = now + (0 if rolled_back else self._settings.session_timeout * random.uniform(1, 2))
        if rolled_back:
            _log.warning(
                "the state has lost checkpoints; the log is read again from the last it has", partition=partition
            )
        else:
            _log.warning("partition belongs to another worker", partition=partition)

    # ---- events ----

    def _take_events(self) -> bool:
        """One batch of every partition that has any: decoded, applied, checkpointed.

        Where many events wait, several of each: the next ones are applied while the state writes the last.
        """
        work = self._intake.take()
        if not work:
            return False
        end = self._monotonic() + _IN_A_ROW
        todo = [self._apply(work)]

        def meanwhile() -> None:
            self._intake.look_ahead()
            if self._intake.goes_on and self._monotonic() < end and not self._stopping.is_set():
                todo.append(self._apply(self._intake.take()))
                self._intake.look_ahead()

        while todo:
            self._checkpoint(todo.pop(), meanwhile)
        self._ahead_of_state = False
        return True

    def _apply(self, work: Sequence[tuple[Batch, Decoded]]) -> _AppliedBatches:
        """What events do in memory."""
        aside: list[Aside] = []
        self._ahead_of_state = True
        for batch, decoded in work:
            held = self.memory.held[batch.partition]
            newest = max(batch.log_times)
            held.heard = max(held.heard, newest)
            outcome = self.memory.applier.apply(decoded.events, came_rerouted(batch))
            aside += self._set_aside(batch, [*decoded.refused, *outcome.refused], outcome)
        applied, moves = self.memory.settle()
        self._count(applied, moves)
        partitions = self._parts.log.partitions
        aside += [told(self._settings.names, one.customer_id, one.value, partitions) for one in applied.told]
        rows: dict[int, list[int]] = {}
        for row in applied.causes:
            rows.setdefault(int(self.memory.store.partition[row]), []).append(row)
        return _AppliedBatches([batch for batch, _ in work], rows, aside)

    def _set_aside(self, batch: Batch, refused: Sequence[Refused], outcome: Outcome) -> list[Aside]:
        """What is to be published instead of applied: dead letters, and events of other partitions."""
        names = self._settings.names
        self.figures.dead_letters.update(one.reason.value for one in refused)
        self.figures.rerouted += len(outcome.foreign)
        letters = [dead_letter(names, batch, one) for one in refused]
        partitions = self._parts.log.partitions
        return letters + [rerouted(names, batch, place, who, partitions) for place, who in outcome.foreign]

    def _count(self, applied: Applied, moves: Moves) -> None:
        figures = self.figures
        for kind, number in applied.accepted.items():
            figures.events[Kind(kind).name.lower()] += number
        for reason, number in applied.ignored.items():
            figures.ignored[reason.value] += number
        self._count_moves(moves)
        if applied.evicted:
            _log.warning("a customer has more event ids within the allowed lateness than a row keeps; older are closed")
        if applied.unattributed:
            _log.warning("impressions were let go of", interactions=applied.unattributed)
        if applied.crowded:
            _log.warning("more ids are joined to a customer than count; those joined first were let go of")

    def _count_moves(self, moves: Moves) -> None:
        for cause in moves.causes.tolist():
            self.figures.moves[CAUSES[cause]] += 1

    # ---- checkpoints ----

    def _checkpoint(self, applied: _AppliedBatches, meanwhile: Callable[[], None]) -> None:
        """Write what events did to partitions that are still ours."""
        if applied.aside:  # they must stand on the log before the position passes them
            self._patience.try_until_done("publish", lambda: publish(self._parts.writer, applied.aside))
        batches = [batch for batch in applied.batches if batch.partition in self.memory.held]
        if not batches:
            return
        work = []
        for batch in batches:
            held = self.memory.held[batch.partition]
            position = batch.positions[len(batch) - 1] + 1
            work.append(self._checkpoints.prepare(held, applied.rows.get(batch.partition, ()), position))
            held.note_size(len(batch), work[-1].step)
        self._write(work, meanwhile)
        ours = [pair for pair in zip(work, batches, strict=True) if pair[0].held.number in self.memory.held]
        for one, batch in ours:
            self.figures.freshness.note(batch.partition, one.step.seq, batch.log_times[0], len(batch))
        self.figures.batches += len(work)
        self._reader.commit({batch.partition: one.step.position for one, batch in ours})
        self._deciding.unsettle(sum(map(len, applied.batches)))

    def _write(self, work: Sequence[Prepared], meanwhile: Callable[[], None]) -> None:
        """Write atomic steps; something else is done meanwhile."""
        lost = self._checkpoints.write(work, meanwhile)
        self.figures.checkpoints += len(work) - len(lost)
        for one in lost:
            self._lose(one.held.number)

    def _note_news(self) -> None:
        """Checkpoints of partitions to which no event came: sweeps, published changes, written views."""
        held = [one for one in self.memory.held.values() if one.has_news]
        work = [self._checkpoints.prepare(one, (), one.position) for one in held if one.position is not None]
        if work:
            self._ahead_of_state = True
            self._write(work, self._intake.look_ahead)
            self._ahead_of_state = False

    # ---- background work ----

    @property
    def lag(self) -> int | None:
        """Records of our partitions that are not worked on yet, here or on the log.

        None while that is unknown, as it is before the group has said which are ours.
        """
        lags = self.lags
        return None if lags is None else sum(lags.values())

    @property
    def lags(self) -> dict[int, int] | None:
        """The same by partition."""
        return self._intake.lags if self.holds_assigned else None

    @property
    def holds_assigned(self) -> bool:
        """Whether every partition that the group gives us is claimed and loaded."""
        return not (self._to_claim or self._intake.unassigned)

    @property
    def log_answers(self) -> bool:
        """Whether the log's server does."""
        return self._intake.log_answers

    def _sweep_due(self) -> bool:
        """Whether the clock has moved on far enough; an event clock that stands still wants a last, exact sweep."""
        learner = self.memory.learner
        if learner.swept_at is None or learner.outgrown:
            return True
        if not self.clock.known:
            return False
        passed = self.clock.now - learner.swept_at
        if self.clock.kind == "event" and not self._intake.waiting and self._intake.at_rest:
            return passed > 0
        return passed >= self._settings.sweep_interval

    def _sweep(self) -> bool:
        learner = self.memory.learner
        if not learner.sweeping:
            if not self.memory.held or not self._sweep_due():
                return False
            self._feed.listen(self.memory.held.values(), at_rest=False)
            learner.begin_sweep(self.clock.now)
        started = self._monotonic()
        self._count_moves(self.memory.sweep())
        self.figures.sweeps.seconds += self._monotonic() - started
        self.figures.sweeps.times += not learner.sweeping
        self._deciding.unsettle()
        return True

    def _look_ahead(self, *, lagging: bool) -> None:
        """One slice of the pass that a new day, a new forecast document and the end of a sweep begin.

        It waits while many events do, and while rows are being placed.
        """
        self._looking_ahead = not lagging and not self.memory.learner.sweeping and self._ahead_is_due
        if not self._looking_ahead:
            return
        began = self._monotonic()
        self.memory.look_ahead()
        self.figures.forecasts.add(self._monotonic() - began)
        if not self._ahead_is_due:
            self._deciding.unsettle()

    @property
    def _ahead_is_due(self) -> bool:
        """Whether a pass over everybody's forecasts is under way or due; while the feed is quiet none is.

        It may be no customer who is silent then.
        """
        memory = self.memory
        known = bool(memory.held) and self.clock.known and not memory.learner.quiet
        return known and memory.forecasts.behind(self.clock.now)

    def _write_views(self, seconds: float, *, lagging: bool, waited_for: bool) -> None:
        views = self.memory.views
        views.observe(self.memory.held.values())
        fresh = {number: held for number, held in self.memory.held.items() if self._is_sure(held)}
        try:
            views.write(
                fresh, self.memory.learner.model, self.clock.now, seconds, lagging=lagging, waited_for=waited_for
            )
        except ViewsUnavailableError as error:
            self._patience.pause("views", error)

    def _is_sure(self, held: Held) -> bool:
        """Whether nobody else can have the partition yet: it was ours less than half a session ago."""
        return self._monotonic() - held.sure_at < self._settings.session_timeout / 2

    def _make_sure(self) -> None:
        """Look whether partitions are still ours that no checkpoint has been written of for long.

        Nothing else would tell a worker to which nothing happens that it stood still while others went on, or that the
        state went back to what it was.
        """
        for held in [one for one in self.memory.held.values() if not self._is_sure(one)]:
            began = self._monotonic()
            try:
                meta = self._state.meta(held.number)
            except StateUnavailableError as error:
                self._patience.pause("look", error)
                return
            if meta is not None and (meta.owner, meta.seq) == (held.token, held.seq):
                held.sure_at = began
                continue
            held.rolled_back = meta is None or (meta.owner == held.token and meta.seq < held.seq)
            self._lose(held.number)

    def _lead(self, *, at_rest: bool) -> bool:
        """Report, and decide where we lead. Returns whether a model version was adopted."""
        if not all(map(self._is_sure, self.memory.held.values())):
            return False
        try:
            return self._deciding.decide_if_due(at_rest=at_rest)
        except (StateUnavailableError, ViewsUnavailableError, LogUnavailableError) as error:
            self._patience.pause("figures", error)
            return False

    def _give_back(self) -> None:
        """Give back what loading, views and models took for a while: with a million customers some 50 MiB."""
        if self._monotonic() >= self._give_back_due:
            self._give_back_due = self._monotonic() + _GIVE_BACK_SECONDS
            collector.give_back()

    def _trim(self) -> None:
        """Let go of what every checkpoint has passed, where the log keeps records in memory."""
        if self._parts.trim is None or self._monotonic() < self._trim_due:
            return
        self._trim_due = self._monotonic() + _TRIM_SECONDS
        try:
            for held in self.memory.held.values():
                if held.position is not None and held.position > held.trimmed:
                    self._parts.trim(held.number, held.position)
                    held.trimmed = held.position
        except LogUnavailableError as error:
            self._patience.pause("trim", error)
