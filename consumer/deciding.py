"""What a worker tells the others and hears from them, and the decisions about the model where it leads."""

import secrets
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from consumer.clock import Clock
from consumer.feed import Feed
from consumer.feedback_history import FeedbackWriter
from consumer.figures import ShopFigures, figures_of, merged
from consumer.forecast_leader import ForecastLeader, read_forecasts
from consumer.held import LEADING
from consumer.history import HistoryWriter
from consumer.item_leader import ItemLeader
from consumer.layout import MISSING_TIME
from consumer.leader import Leader, read_model
from consumer.lift_writer import LiftWriter
from consumer.memory import Memory
from consumer.settings import WorkerSettings
from consumer.shop_window import ShopWindow
from consumer.state import State
from contracts.forecasts import ForecastDocumentError
from recommender.item_model import ItemModel

_DECIDE_RECORDS: Final = 20_000
"""A lone leader looks again after so many records, or as many as there are customers, if that is sooner than due."""
_FEW: Final = 100
"""Records may wait, one to so many purchases that are known, when forecasts are learnt by the wall clock."""
_COUNTING: Final = 0.005
"""Seconds of one step for counting our partitions, each a pass over its rows, where events come by the wall clock."""

_log = structlog.get_logger("livesegments.worker")


def _lags_behind(shop: ShopFigures) -> bool:
    """Whether rows know so little of what was bought that it would be another shop that is learnt."""
    return shop.waiting is None or shop.waiting * _FEW > shop.purchases


class Deciding:
    """Reports figures every `figures_interval`; decides whenever the figures of all partitions are new."""

    def __init__(
        self,
        memory: Memory,
        state: State,
        settings: WorkerSettings,
        clock: Clock,
        leader: Leader,
        *,
        items: ItemLeader,
        forecasts: ForecastLeader,
        feed: Feed,
        window: ShopWindow,
        history: HistoryWriter,
        feedback: FeedbackWriter,
        lift: LiftWriter,
        lags: Callable[[], Mapping[int, int] | None],
        monotonic: Callable[[], float],
    ) -> None:
        self._memory = memory
        self._state = state
        self._settings = settings
        self._clock = clock
        self._leader = leader
        self._items = items
        self._forecasts = forecasts
        self._feed = feed
        self._window = window
        self._history = history
        self._feedback = feedback
        self._lift = lift
        self._lags = lags
        """Records that are not worked on yet by partition; None while that is unknown."""
        self._unread_forecasts = 0
        """Version of the forecast document that can not be read, if the current one can not."""
        self._monotonic = monotonic
        self.due_at = 0.0
        """Monotonic time of the next report."""
        self._settled = False
        self._records = 0
        self._decided_at = MISSING_TIME
        self._me = secrets.token_hex(8)
        """Under which the others find what sells here; claims come and go."""
        self._told = False
        """Whether they have been told."""
        self._counted: dict[int, tuple[str, bytes]] = {}
        """Token and figures of the partitions that are counted for the next report."""
        self._moved = False
        """Whether anything has changed since the first of them was counted."""
        self._read: bytes | None = None
        """The model document that was read last, if it is the one in force."""
        self._told_of: tuple[int, int, int] | None = None
        """Purchases, buyers and clock of all partitions as of the last decision."""
        self._lead: str | None = None
        """Token of the claim by which we lead, as of the last decision."""

    @property
    def settled(self) -> bool:
        """Whether everything has been looked at as it stands, and nothing of it is under way."""
        return self._settled and not self._busy

    @property
    def _busy(self) -> bool:
        """Whether what a leader does is under way; whoever leads no longer has nothing to wait for."""
        return LEADING in self._memory.held and (self._leader.busy or self._items.busy or self._forecasts.busy)

    def unsettle(self, records: int = 0) -> None:
        """Something has changed: so many records, or a sweep, or the partitions that are held."""
        self._settled = False
        self._moved = True
        self._records += records

    def read_models(self) -> None:
        """Take over what is published: another worker's models, or older ones where the state was rolled back."""
        self._read_item_model()
        self._read_forecasts()
        document = self._state.model()
        if document is not None and document != self._read:
            model = read_model(document)
            known = self._memory.learner.model
            # Not the number alone: where the state was rolled back, the same one comes again with another content.
            if known is None or model.to_document() != known.to_document():
                self._memory.adopt(model)
            self._read = document

    def _read_item_model(self) -> None:
        version = self._state.item_model_version()
        if version == self._memory.item_version:
            return
        stored = self._state.item_model()
        if stored is not None:
            self._memory.adopt_items(ItemModel.decode(stored), version)

    def _read_forecasts(self) -> None:
        if not self._settings.forecasts:
            return
        version = self._state.forecast_version()
        if version in {self._memory.forecasts.version, self._unread_forecasts}:
            return
        stored = self._state.forecast()
        if stored is None:
            return
        try:
            document = read_forecasts(stored)
        except ForecastDocumentError as error:
            # Segments and views do not need it: the forecasts that are known are told on, or none.
            self._unread_forecasts = version
            _log.warning("forecasts not read", version=version, error=str(error))
        else:
            self._memory.adopt_forecasts(document, version)

    def decide_if_due(self, *, at_rest: bool) -> bool:
        """Report the figures, and decide if partition 0 is ours. Returns whether a version was adopted.

        Raises what state, views and log raise where they do not answer.
        """
        memory = self._memory
        due = self._monotonic() >= self.due_at
        # Alone there is nothing to wait for: decisions keep up with what has changed. An event clock at rest stands
        # still, so everything is decided then; by the wall clock a steady trickle is at rest a hundred times a second.
        last = at_rest and self._clock.kind == "event"
        enough = last or self._moved_on or self._records >= max(_DECIDE_RECORDS, len(memory.store))
        soon = memory.holds_all and not self._settled and enough
        if not memory.held or memory.learner.sweeping or not (due or soon):
            return False
        # Alone with an event clock, when it is decided must not hang on how fast this machine is: the same stream
        # makes the same versions.
        timeless = self._clock.kind == "event" and memory.holds_all
        own = self._count(at_once=self._clock.kind == "event")
        return own is not None and self._decide(own, due=due, at_rest=at_rest, decides=enough or not timeless)

    def _count(self, *, at_once: bool) -> dict[int, bytes] | None:
        """Figures of our partitions; None while some are still to be counted, in the steps that follow."""
        memory, counted = self._memory, self._counted
        if not counted:
            self._moved = False
        end = self._monotonic() + _COUNTING
        lags = self._lags()
        for number, held in memory.held.items():
            if number in counted and counted[number][0] == held.token:
                continue
            if not at_once and self._monotonic() >= end:
                return None
            ahead = memory.forecasts.sums.get(number)
            waiting = None if lags is None else lags.get(number, 0)
            said = figures_of(memory.store, memory.learner, held, self._clock.now, ahead, waiting=waiting)
            counted[number] = held.token, said
        own = {number: counted[number][1] for number in memory.held}
        counted.clear()
        return own

    @property
    def _moved_on(self) -> bool:
        """Whether an event clock has moved so far since the last decision that there may be something to decide."""
        return self._clock.kind == "event" and self._clock.now - self._decided_at >= self._settings.sweep_interval

    def _decide(self, own: Mapping[int, bytes], *, due: bool, at_rest: bool, decides: bool) -> bool:
        memory, state = self._memory, self._state
        if due:
            self.due_at = self._monotonic() + self._settings.figures_interval
            state.put_sums(own)
            if memory.names.take_over(state.segment_names()):
                memory.views.rewrite_all(memory.held.values())
            if memory.holds_all:
                # What we published ourselves, where the state failed before we could take it over.
                self._read_item_model()
                self._read_forecasts()
            else:
                self._exchange()
        everybody = own if memory.holds_all else {**state.sums(), **own}
        shop = merged(everybody.values(), memory.partitions)
        self._clock.hear([shop.clock] if shop.clock > 0 else [])
        self._feed.listen(memory.held.values(), shop.heard, at_rest=at_rest)
        leads = LEADING in memory.held
        self._take_over(memory.held[LEADING].token if leads else None)
        adopted = leads and decides and self._adopt(shop)
        if leads and decides:
            self._learn_items(shop, at_rest=at_rest)
            self._learn_forecasts(shop, at_rest=at_rest)
        if leads and (due or at_rest):
            self._show(shop, adopted=adopted, at_rest=at_rest)
        if decides:
            # Before the first event it is only a guess what time it is, and all of a history would lie before it.
            self._decided_at = self._clock.now if self._clock.known else MISSING_TIME
            more = self._moved or (leads and (not self._follows or self._hears_more(shop)))
            self._settled = not (adopted or self._busy or more)
            self._records = 0
        return adopted

    @property
    def _follows(self) -> bool:
        """Whether the learnt means may make a version: not while some views do not name the last one.

        A version costs a view of everybody, which those of buyers wait for. By the event clock a history is read, in
        which a day passes in no time: then it is followed at once.
        """
        return self._clock.kind == "event" or not self._memory.views.adopting

    def _hears_more(self, shop: ShopFigures) -> bool:
        """Whether other workers have told of something new since we decided last, or have not caught up with us yet."""
        model, before = self._memory.learner.model, self._told_of
        self._told_of = (shop.purchases, shop.buyers, shop.clock)
        behind = model is not None and shop.model_version != model.version
        return not self._memory.holds_all and (behind or before != self._told_of)

    def _take_over(self, lead: str | None) -> None:
        """Know nothing of what was shown where the lead is another: others wrote meanwhile, or the state went back."""
        if lead == self._lead:
            return
        self._lead = lead
        self._leader.forget()
        for shown in (self._window, self._history, self._feedback, self._lift, self._items, self._forecasts):
            shown.forget()

    def _adopt(self, shop: ShopFigures) -> bool:
        """Decide. Returns whether a version was adopted."""
        memory = self._memory
        learnt = memory.learner.learnt() if memory.holds_all else None
        number, model, now = memory.held[LEADING].claims, memory.learner.model, self._clock.now
        decided = self._leader.decide(number, model, shop, now, learnt, follows=self._follows)
        if decided is not None:
            memory.adopt(decided)
            self._read = None
        return decided is not None

    def _learn_items(self, shop: ShopFigures, *, at_rest: bool) -> None:
        memory = self._memory
        number = memory.held[LEADING].claims
        if self._items.decide(number, shop, memory.item_model, self._clock.now, at_rest=at_rest) is not None:
            self._read_item_model()

    def _learn_forecasts(self, shop: ShopFigures, *, at_rest: bool) -> None:
        memory, now = self._memory, self._clock.now
        number = memory.held[LEADING].claims
        if not self._settings.forecasts:
            self._forecasts.withdraw(number)
            return
        quiet = memory.learner.quiet
        # By the event clock a history is looked at as it goes by; by the wall clock it would be taken for all there is.
        lagging = self._clock.kind == "wall" and _lags_behind(shop)
        if self._forecasts.decide(number, shop, now, quiet=quiet, lagging=lagging, at_rest=at_rest):
            self._read_forecasts()

    def _show(self, shop: ShopFigures, *, adopted: bool, at_rest: bool) -> None:
        """Write what everybody may read of all segments; of a version just adopted nothing has been counted yet."""
        memory, now = self._memory, self._clock.now
        self._history.show(memory.partitions, self._feed.day(), memory.names)
        self._feedback.show(memory.partitions, memory.names, at_rest=at_rest)
        self._lift.show(shop.trial, now)
        popular = memory.views.popular(now)
        self._items.show(popular, now)
        if not adopted:
            self._window.show(
                memory.learner.model,
                shop,
                popular,
                memory.item_sums,
                now,
                names=memory.names,
                quiet_since=self._feed.quiet_since,
                rules=memory.learner.rules,
            )

    def _exchange(self) -> None:
        """Tell the other workers what sells here, hear what sells there, and whether there is a newer model."""
        memory, wall = self._memory, self._clock.wall()
        self._state.put_popularity(self._me, memory.item_sums.share(wall))
        self._told = True
        others = {worker: said for worker, said in self._state.popularity().items() if worker != self._me}
        for gone in memory.item_sums.hear(others, wall - round(self._settings.session_timeout * 2e6)):
            self._state.put_popularity(gone, None)
        self.read_models()

    def leave(self) -> None:
        """Take back what the others were told: whoever gets our partitions counts them from now on."""
        if self._told:
            self._state.put_popularity(self._me, None)
            self._told = False
