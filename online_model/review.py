"""A review: everything that the leader has worked out on a sample, in a process beside the worker."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.model import FeatureColumn
from online_model.adoption import refit, settled_k
from online_model.arrays import Floats, Labels
from online_model.choose_k import (
    AGREEING_REVIEWS,
    LEAST_STABILITY,
    MOST_POINTS,
    Choice,
    KPoint,
    Streak,
    choose,
    curves,
    is_stable,
    stability_of,
)
from online_model.fit import TooFewPointsError
from online_model.metric import Metric
from online_model.model import SegmentModel
from online_model.names import Members
from online_model.settings import ModelSettings
from online_model.silhouette import distances_between, silhouette
from online_model.trial import attempt

_NOT_FIRST: Final = 100
"""Below so many customers the first model has `k_default` segments: any few points fall into groups."""
_FIRST_POINTS: Final = 500
"""The first model is learnt in the worker itself: its curves are to take no longer than that."""


@dataclass(frozen=True, slots=True)
class KReview:
    """What a look at the number of segments found."""

    at: int
    customers: int
    points: tuple[KPoint, ...]
    choice: Choice
    streak: Streak
    k: int
    """How many segments it comes to now."""
    verdict: str
    """Why, in words."""


@dataclass(frozen=True, eq=False, slots=True)
class Shadow:
    """A version that learns beside the live one, and that no reader ever sees."""

    k: int
    X: Floats
    """(customers, features) of the sample, by `columns`."""
    columns: tuple[FeatureColumn, ...]
    settings: ModelSettings
    start: Floats | None
    """Its centroids after the last review, (k, features)."""


@dataclass(frozen=True, slots=True)
class ShadowReview:
    """How the shadow does on the same customers as the live version."""

    model: SegmentModel
    silhouette: float
    live_silhouette: float
    live_inertia: float
    """Under the shadow's metric where both have the same features, else under the live one's."""
    comparable: bool
    """Whether inertias are of the same features."""
    moving: int
    """Customers of the sample who would change segment."""


@dataclass(frozen=True, slots=True)
class Review:
    """What came of it."""

    version: int
    """The live version it looked at."""
    at: int
    customers: int
    """In the sample."""
    proposed: SegmentModel | None
    k: KReview | None
    shadow: ShadowReview | None


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ReviewTask:
    """What a review needs to know; travels to the process that works on it."""

    model: SegmentModel
    X: Floats
    """(customers, features) of the sample."""
    purchases: int
    now: int
    settings: ModelSettings
    members: Members | None = None
    clusters: Labels | None = None
    """Present clusters, where X was made by other columns than the model's."""
    columns: tuple[FeatureColumn, ...] | None = None
    streak: Streak
    look_at_k: bool
    shadow: Shadow | None = None

    def __call__(self) -> Review:
        """Work on it. The same task gives the same review."""
        looked = self._look_at_k() if self.look_at_k else None
        k = settled_k(self.model, self.settings) if looked is None else looked.k
        proposed = refit(
            self.model,
            self.X,
            self.model.order_value,
            self.purchases,
            self.now,
            settings=self.settings,
            members=self.members,
            clusters=self.clusters,
            columns=self.columns,
            k=k,
            k_why=looked.verdict if looked is not None else "",
        )
        return Review(self.model.version, self.now, len(self.X), proposed, looked, self._shadow())

    def _look_at_k(self) -> KReview:
        metric = Metric.of_sample(self.X, self.model.scaling)
        points = curves(self.X, metric, self.model.seed)
        choice = choose(points, self.settings.k_default)
        streak = self.streak.after(choice)
        k, verdict = decided(self.model, self.settings, points, choice, streak)
        return KReview(self.now, len(self.X), points, choice, streak, k, verdict)

    def _shadow(self) -> ShadowReview | None:
        wanted, live = self.shadow, self.model
        if wanted is None or self.columns is not None:
            return None
        clusters = live.assign(self.X)
        start = wanted.start if wanted.start is not None and len(wanted.start) == wanted.k else None
        try:
            model = attempt(
                live,
                wanted.X,
                wanted.k,
                self.now,
                settings=wanted.settings,
                order_value=live.order_value,
                clusters=clusters,
                columns=wanted.columns,
                members=self.members,
                start=start,
            )
        except TooFewPointsError:
            return None
        same = wanted.columns == live.feature_set.columns
        metric = model.metric if same else live.metric
        places = model.assign(wanted.X)
        known = (clusters >= 0) & (places >= 0)
        return ShadowReview(
            model,
            _silhouette(wanted.X, places, model),
            _silhouette(self.X, clusters, live),
            float(metric.closest(self.X, live.centroids)[1].sum()),
            same,
            int(np.count_nonzero(live.segment_ids[clusters[known]] != model.segment_ids[places[known]])),
        )


def decided(
    model: SegmentModel, settings: ModelSettings, points: tuple[KPoint, ...], choice: Choice, streak: Streak
) -> tuple[int, str]:
    """How many segments there are to be after these curves, and why in words."""
    k = settled_k(model, settings)
    if settings.k != "auto" or model.k_instead_of:
        by = "on request" if model.k_instead_of else "by the setting `k`"
        return k, f"{k} segments, chosen {by}; the curves say: {choice.reason}"
    if choice.k == k:
        return k, choice.reason
    if not points:
        return k, f"{k} segments stay: too few customers differ"
    if streak.reviews < AGREEING_REVIEWS:
        return k, f"{k} segments stay for now; in {streak.reviews} of {AGREEING_REVIEWS} reviews: {choice.reason}"
    if not is_stable(points, choice.k):
        return k, (
            f"{k} segments stay: on resampled customers {choice.k} come out differently (adjusted Rand index"
            f" {stability_of(points, choice.k):.2f}, {LEAST_STABILITY:g} is needed); {choice.reason}"
        )
    return choice.k, f"{streak.reviews} reviews in a row: {choice.reason}"


def first_choice(X: Floats, metric: Metric, settings: ModelSettings, *, by_rule: bool = False) -> Choice:
    """How many segments the first model is to have. A natural number is taken at once, if it is stable.

    Not while segments go by rule: in a shop's first weeks customers of one order, and of two, look like groups.
    """
    if settings.k != "auto":
        return Choice(settings.k, natural=False, reason=f"{settings.k} segments, by the setting `k`")
    voting = int(np.count_nonzero(~np.isnan(X).all(axis=1)))
    if voting < _NOT_FIRST or by_rule:
        reason = f"{settings.k_default} segments (k_default): {voting} customers are too few to see natural groups"
        return Choice(settings.k_default, natural=False, reason=reason)
    points = curves(X, metric, settings.seed, points=_FIRST_POINTS)
    choice = choose(points, settings.k_default)
    if choice.natural and not is_stable(points, choice.k):
        reason = f"{settings.k_default} segments (k_default): {choice.k} natural groups are not found again reliably"
        return Choice(settings.k_default, natural=False, reason=reason)
    return choice


def _silhouette(X: Floats, clusters: Labels, model: SegmentModel) -> float:
    """Of at most 2,000 customers, evenly spread over the sample."""
    voting = np.flatnonzero(clusters >= 0)
    some = voting[:: max(1, -(-len(voting) // MOST_POINTS))]
    if not len(some):
        return 0.0
    return silhouette(distances_between(X[some], model.metric), clusters[some], model.k)
