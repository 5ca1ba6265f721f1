"""Churn as it is learned and judged: windows that do not overlap, forecasts kept until time alone shows what came.

Each customer's windows follow one another without a gap. At the beginning of one the forecast is made and stored with
what it was made from; n days later the customer's last purchase says whether it came true, the forecast is counted,
the outcome learnt, and the next window begins. Windows begin on different days for different customers, so outcomes
come every day.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Final, Protocol
from zlib import crc32

import numpy as np
import numpy.typing as npt

from contracts.times import DAY
from online_model.arrays import Booleans, Floats, Integers
from online_model.features import MISSING_TIME
from online_model.forecasts.churn_learners import LEARNERS, ChurnLearner, Learner
from online_model.forecasts.live_scores import LiveScores

WINDOW_DAYS: Final = 90
RECENT: Final = 1_000
"""Forecasts whose outcome came last, by which the learners are compared: what was before a drift says little."""
DRIFTS_KEPT: Final = 20
LEAST_OUTCOMES: Final = 200
"""Outcomes learnt before a forecast is shown, and both kinds among them."""

Keys = npt.NDArray[np.uint64]
"""Customers, by customer_keys."""


def customer_keys(customers: Iterable[str]) -> Keys:
    """What stands for customers in windows, (customers,): no id, but a hash of it, whose first half is its CRC-32."""
    pairs = (
        crc32(one) << 32 | int.from_bytes(blake2b(one, digest_size=4).digest(), "big")
        for one in (customer.encode() for customer in customers)
    )
    return np.fromiter(pairs, np.uint64)


def places_of(customers: Keys, among: Keys) -> Integers:
    """Where each of some customers stands among others, whose keys rise; -1 where it does not."""
    if not len(among):
        return np.full(len(customers), -1, np.int64)
    places = np.minimum(np.searchsorted(among, customers), len(among) - 1)
    return np.where(among[places] == customers, places, -1)


class Detector(Protocol):
    """What tells that log losses have become others."""

    @property
    def drift_detected(self) -> bool:
        """Whether the last update showed it."""

    def update(self, x: float) -> None:
        """Take in one more."""


def _adwin() -> Detector:
    from river import drift  # noqa: PLC0415 - brings scikit-learn and pandas, and only reviews learn

    detector: Detector = drift.ADWIN()  # type: ignore[no-untyped-call]
    return detector


@dataclass(frozen=True, eq=False, slots=True)
class Cohort:
    """Forecasts made at one moment, whose outcomes are not known yet."""

    start: int
    """Microseconds UTC: the last moment of which anything was known."""
    customers: Keys
    X: Floats
    """What they were made from, (customers, features); in single precision, so that keeping it changes nothing."""
    stated: Mapping[Learner, Floats]
    """Probability of no purchase within the window, (customers,), by who says so."""
    shown: bool
    """Whether enough was learnt by then for it to be a forecast at all."""
    back: Booleans
    """Who was seen to have bought within the window by now, (customers,)."""

    def select(self, which: Booleans) -> "Cohort":
        """Some of the customers."""
        stated = {kind: said[which] for kind, said in self.stated.items()}
        return Cohort(self.start, self.customers[which], self.X[which], stated, self.shown, self.back[which])

    def look(self, last_at: Integers, days: int) -> "Cohort":
        """The same with whoever has bought since, by last purchases in microseconds UTC, (customers,)."""
        within = (last_at > self.start) & (last_at <= self.start + days * DAY)
        return replace(self, back=self.back | within)


@dataclass(frozen=True, eq=False, slots=True)
class Settled:
    """A window that is over."""

    cohort: Cohort
    known: Booleans
    """Of whom it is known what came, (customers,)."""
    left: Booleans
    """Who of those stayed away, (customers,)."""


@dataclass(slots=True)
class Churn:
    """What is learnt of staying away, by both learners side by side, and how good their forecasts were."""

    seed: int = 0
    days: int = WINDOW_DAYS
    learners: dict[Learner, ChurnLearner] = field(init=False)
    scores: dict[Learner, LiveScores] = field(init=False)
    drifts: dict[Learner, list[int]] = field(init=False)
    """Last days on which ADWIN (Bifet & Gavaldà 2007) found that log losses had become others."""
    recent: dict[Learner, Floats] = field(init=False)
    """Log losses of the last forecasts, of the same customers in the same order, (up to RECENT,)."""
    detectors: dict[Learner, Detector] = field(init=False)
    outcomes: Integers = field(init=False)
    """Learnt so far: came back, stayed away."""
    open: dict[int, Cohort] = field(init=False)
    """Windows that are not over, by their start."""
    turned_at: int | None = None
    """The `now` of the last turn."""

    def __post_init__(self) -> None:
        self.learners = {kind: ChurnLearner(kind, self.seed) for kind in LEARNERS}
        self.scores = {kind: LiveScores() for kind in LEARNERS}
        self.drifts = {kind: [] for kind in LEARNERS}
        self.recent = {kind: np.zeros(0) for kind in LEARNERS}
        self.detectors = {kind: _adwin() for kind in LEARNERS}
        self.outcomes = np.zeros(2, np.int64)
        self.open = {}

    def turn(
        self, now: int, customers: Keys, X: Floats, first_at: Integers, last_at: Integers, *, heard: int
    ) -> list[Settled]:
        """Count and learn what has become known by now, and begin the windows that are due.

        All (customers,) of whom anything is known, keys rising: features, first and last purchases as of `now`. Who is
        not among them is forgotten. Windows end by the time of the newest event `heard`: of what comes after it nobody
        knows anything, whatever the clock says. Returns the windows that are over.
        """
        early = [start for start in self.open if start > now]  # begun while the clock was ahead of its time
        over = [self.open.pop(start).customers for start in early]
        self.forget(customers, first_at)
        settled = []
        for start, cohort in self.open.items():
            self.open[start] = cohort.look(last_at[places_of(cohort.customers, customers)], self.days)
        for cohort in self.ended(min(now, heard)):
            known, left = self.settle(cohort, last_at[places_of(cohort.customers, customers)])
            settled.append(Settled(cohort, known, left))
            over.append(cohort.customers)
        due = self._due(now, customers, over)
        self.begin(now, customers[due], X[due])
        self.turned_at = now
        return settled

    def forget(self, customers: Keys, first_at: Integers) -> bool:
        """Take out of open windows who is not among these customers, keys rising; returns whether anybody was.

        Nor does a window hold whoever bought for the first time after it began: that is somebody erased who is back.
        """
        some = False
        for start, cohort in list(self.open.items()):
            places = places_of(cohort.customers, customers)
            stays = places >= 0
            stays[stays] = first_at[places[stays]] <= start
            if not stays.all():
                some = True
                self.open[start] = cohort.select(stays)
            if not stays.any():
                del self.open[start]
        return some

    def _due(self, now: int, customers: Keys, over: Sequence[Keys]) -> Booleans:
        """Of whom a window begins: theirs is just over, or their day has come since the last turn and none is open."""
        today = now // DAY
        turned_at = self.turned_at if self.turned_at is not None and self.turned_at <= now else now - DAY
        yesterday = turned_at // DAY
        passed = (_phases(customers, self.days) - yesterday - 1) % self.days < today - yesterday
        again = np.isin(customers, np.concatenate([np.zeros(0, np.uint64), *over]))
        held = [cohort.customers for cohort in self.open.values()]
        return np.asarray((passed | again) & ~np.isin(customers, np.concatenate([np.zeros(0, np.uint64), *held])))

    @property
    def ready(self) -> bool:
        """Whether enough was learnt for forecasts to be shown."""
        return bool(self.outcomes.sum() >= LEAST_OUTCOMES and self.outcomes.all())

    @property
    def missing(self) -> str:
        """What is missing until then; empty once there are forecasts."""
        if self.ready:
            return ""
        return (
            f"no churn forecasts yet: {int(self.outcomes.sum()):,} times it is known whether a customer bought within"
            f" {self.days} days, {LEAST_OUTCOMES} are needed, some who did and some who did not"
        )

    def begin(self, now: int, customers: Keys, X: Floats) -> Cohort:
        """Make and store the forecasts of customers whose window begins now, with nothing later known."""
        X = X.astype(np.float32).astype(np.float64)
        stated = {
            kind: learner.predict_many(X).astype(np.float32).astype(np.float64)
            for kind, learner in self.learners.items()
        }
        cohort = Cohort(now, customers, X, stated, self.ready, np.zeros(len(customers), np.bool_))
        if len(customers):
            self.open[now] = cohort
        return cohort

    def ended(self, now: int) -> list[Cohort]:
        """Windows that are over, oldest first; each is handed out once."""
        over = sorted(start for start in self.open if start + self.days * DAY <= now)
        return [self.open.pop(start) for start in over]

    def settle(self, cohort: Cohort, last_at: Integers) -> tuple[Booleans, Booleans]:
        """Count and learn what became of a cohort: (customers,) of whom it is known, and who of all stayed away.

        `last_at` is each customer's last purchase in microseconds UTC as of now, MISSING_TIME for somebody erased. Who
        was seen to be `back` is known. Of others whose last purchase lies after the window the row does not say whether
        one lay in it, too: unknown.
        """
        end = cohort.start + self.days * DAY
        left: Booleans = (last_at <= cohort.start) & ~cohort.back
        known: Booleans = (last_at > MISSING_TIME) & (cohort.back | (last_at <= end))
        for kind, learner in self.learners.items():
            if cohort.shown:
                losses = self.scores[kind].add(cohort.stated[kind][known], left[known])
                self.recent[kind] = np.concatenate([self.recent[kind], losses])[-RECENT:]
                self._watch(kind, losses, -(-end // DAY))
            learner.learn_many(cohort.X[known], left[known])
        self.outcomes += np.bincount(left[known], minlength=2)
        return known, left

    def _watch(self, kind: Learner, losses: Floats, day: int) -> None:
        detector, found = self.detectors[kind], False
        for loss in losses.tolist():
            detector.update(loss)
            found |= detector.drift_detected
        if found:
            self.drifts[kind] = [*self.drifts[kind], day][-DRIFTS_KEPT:]


def _phases(customers: Keys, days: int) -> Integers:
    """On which of so many days each customer's first window begins."""
    return (customers >> np.uint64(32)).astype(np.int64) % days
