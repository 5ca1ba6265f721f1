"""What can be set about the worker itself."""

from dataclasses import dataclass, field

from consumer.clock import ClockKind
from consumer.currency import Rates
from consumer.layout import MISSING_TIME, Limits
from contracts.keys import Keys, LogNames
from contracts.times import DAY, MINUTE
from online_model.model import OUT_OF_SCOPE, SPECIAL_SEGMENTS
from online_model.rules import BULK_BUYERS, Audience, Rule
from online_model.settings import ModelSettings
from recommender.holdout import HoldOut
from recommender.settings import RecommenderSettings


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """Everything that a worker needs to know, put together by the composition root."""

    keys: Keys = field(default_factory=Keys)
    names: LogNames = field(default_factory=LogNames)
    group: str = "livesegments"
    clock: ClockKind = "wall"
    rates: Rates = field(default_factory=lambda: Rates("GBP"))
    limits: Limits = field(default_factory=Limits)
    model: ModelSettings = field(default_factory=ModelSettings)
    recommender: RecommenderSettings = field(default_factory=RecommenderSettings)
    holdout: HoldOut | None = None
    """The experiment in which a share of the customers gets popular items only; None: everybody gets everything."""
    scope: Rule | None = None
    """Who spans the learned model; None: everybody who can be placed."""
    out_of_scope_name: str = SPECIAL_SEGMENTS[OUT_OF_SCOPE]
    """The segment of everybody else."""
    audiences: tuple[Audience, ...] = (BULK_BUYERS,)
    quiet_after: int = DAY
    """Microseconds of wall clock without any event after which nobody moves because of time alone."""
    forget_idle: int = 0
    """Microseconds without any event after which a customer is erased; 0: never."""
    forecasts: bool = True
    """Whether what customers will do is learnt, and told in views."""
    seen_from: int = MISSING_TIME
    """When the history begins, microseconds UTC: purchase models are not fitted to whoever bought before."""
    batch_events: int = 10_000
    """Events of one partition in one step, at most; fewer where their rows would not fit into one checkpoint."""
    session_timeout: float = 45.0
    """Seconds after which the group gives a silent worker's partitions away; views are written only by a worker whose
    last checkpoint is younger than half of it."""
    views_share: float = 0.5
    """Share of a busy worker's time that goes into views."""
    sweep_interval_wall: int = MINUTE
    sweep_interval_event: int = DAY
    """How much the clock moves, in microseconds, before every row is re-evaluated."""
    figures_interval: float = 1.0
    """Seconds between two reports to the leader, and between two of its looks at them."""
    review_inline: bool = False
    """Refit in the worker itself, so that the same stream gives the same models."""

    known_as: str = ""
    """By which hand-overs between workers are known as those of one deployment; empty: by the prefix of the keys."""

    @property
    def deployment(self) -> str:
        """The same, never empty."""
        return self.known_as or self.keys.prefix

    @property
    def sweep_interval(self) -> int:
        """For the clock in use."""
        return self.sweep_interval_wall if self.clock == "wall" else self.sweep_interval_event
