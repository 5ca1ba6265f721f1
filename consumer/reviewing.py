"""When the leader reviews, what a review is given, and what is published of it."""

from dataclasses import replace
from typing import Final

import numpy as np
from pydantic import ValidationError

from consumer.figures import ShopFigures
from consumer.leading_sample import Sample, Sampler
from consumer.reviews import Reviews
from consumer.state import State
from contracts.documents import KFigures, KLook, ReviewDocument, SegmentSize, ShadowLook
from contracts.model_requests import ShadowOrder
from contracts.times import from_micros, to_micros
from online_model.adoption import Reviewed
from online_model.choose_k import AGREEING_REVIEWS, Streak
from online_model.features import FeatureSet
from online_model.model import SegmentModel
from online_model.presets import choose_columns, renewed_columns
from online_model.review import KReview, Review, ReviewTask, Shadow, ShadowReview
from online_model.settings import ModelSettings

SHADOW: Final = "shadow"
"""The note that holds which version learns beside the live one."""


class Reviewing:
    """Asks for reviews. What it must remember stands in the review document and in the leader's notes."""

    def __init__(self, state: State, sampler: Sampler, settings: ModelSettings, reviews: Reviews[Review]) -> None:
        self._state = state
        self._sampler = sampler
        self._settings = settings
        self._reviews = reviews
        self._reviewed: Reviewed | None = None
        self._document: ReviewDocument | None = None
        self._shadow: ShadowOrder | None = None
        self._wanted = False
        self._put_off = False
        self._taken: Review | None = None
        """What a review came to that is not published yet."""

    @property
    def running(self) -> bool:
        """Whether a review is under way."""
        return self._reviews.running

    @property
    def unfinished(self) -> bool:
        """Whether one is under way or wanted, is not published, or is due and had to wait for its share of the time."""
        return self._reviews.running or self._put_off or self._wanted or self._taken is not None

    def take_over(self, shadow: bytes | None) -> None:
        """Go on where the last leader stopped."""
        self._reviewed = self._taken = None
        self._shadow = ShadowOrder.model_validate_json(shadow) if shadow is not None else None
        stored = self._state.review()
        try:
            self._document = ReviewDocument.model_validate_json(stored) if stored is not None else None
        except ValidationError:
            self._document = None  # of another version of livesegments: the next review writes it anew

    def want(self) -> None:
        """Review at the next opportunity, and look at the number of segments too."""
        self._wanted = True

    def order_shadow(self, order: ShadowOrder | None) -> None:
        """Let another version learn beside the live one; None: none."""
        self._shadow = order
        self._state.put_note(SHADOW, order.model_dump_json().encode() if order is not None else None)
        if self._document is not None and order is None:
            self._publish(self._document.model_copy(update={"shadow": None}))

    def take(self) -> Review | None:
        """What a review came to, until it is published."""
        if self._taken is None:
            self._taken = self._reviews.take()
        return self._taken

    def begin_if_due(self, model: SegmentModel, shop: ShopFigures, now: int, *, arrived: bool = True) -> None:
        """Ask for a review where one is due or wanted, and the last one's share of the time is over.

        `arrived`: whether purchases have come lately; else none falls due.
        """
        if self._reviewed is None:
            self._reviewed = Reviewed.of(model)
        falls_due = arrived and self._reviewed.due(shop.purchases, shop.buyers, now, self._settings)
        due = self._wanted or self._put_off or falls_due
        self._put_off = due and not self._reviews.free
        if due and not self._put_off:
            task = self._task(model, self._sampler.sample(shop, now), shop)
            # Not before: where the state does not answer, it stays due.
            self._reviewed = Reviewed(now, shop.purchases, shop.buyers)
            self._wanted = False
            if task is not None:
                self._reviews.ask(task)

    def _task(self, model: SegmentModel, sample: Sample, shop: ShopFigures) -> ReviewTask | None:
        asked = model.requested or model.features
        request = self._settings.request
        renewed = renewed_columns(
            request,
            asked,
            model.feature_set.columns,
            sample.columns,
            now=sample.now,
            order_value=model.order_value,
        )
        columns = self._sampler.chosen(renewed) if renewed is not None else ()
        present = model.features_of(sample.columns, sample.now)
        if not columns and request.signature != asked:
            return None  # there is nothing yet to make the features of that the settings now name
        look = self._document.look if self._document is not None else None
        return ReviewTask(
            model=model,
            X=FeatureSet(columns).features(sample.columns, sample.now, model.order_value) if columns else present,
            purchases=shop.purchases,
            now=sample.now,
            settings=self._settings,
            members=sample.members_with_gap,
            clusters=model.assign(present) if columns else None,
            columns=columns or None,
            streak=Streak(look.chosen, look.agreeing_reviews) if look is not None else Streak(),
            look_at_k=not columns and self._look_is_due(look, len(present), sample.now),
            shadow=self._shadow_of(model, sample),
        )

    def _look_is_due(self, look: KLook | None, customers: int, now: int) -> bool:
        if self._wanted or look is None:
            return True
        passed = now - to_micros(look.at)
        return passed < 0 or passed >= self._settings.k_interval or customers >= 2 * look.customers

    def _shadow_of(self, model: SegmentModel, sample: Sample) -> Shadow | None:
        order = self._shadow
        if order is None:
            return None
        settings = replace(self._settings, k=order.k, features=order.features or self._settings.features)
        columns = model.feature_set.columns
        if order.features:
            columns = self._sampler.chosen(
                choose_columns(settings.request, sample.columns, now=sample.now, order_value=model.order_value)
            )
        if not columns:
            return None
        start = np.array(order.centroids)
        fits = start.shape == (order.k, len(columns))
        X = FeatureSet(columns).features(sample.columns, sample.now, model.order_value)
        return Shadow(order.k, X, columns, settings, start if fits else None)

    def publish(self, review: Review, k: int, outcome: str) -> None:
        """Show what the review found, and what came of it; `k` is how many segments there were."""
        before = self._document
        self._publish(
            ReviewDocument(
                at=from_micros(review.at),
                model_version=review.version,
                customers=review.customers,
                outcome=outcome,
                k=k,
                look=_look(review.k) if review.k is not None else before.look if before is not None else None,
                shadow=_shadow(review.shadow, review.customers) if self._shadow is not None else None,
            )
        )
        if review.shadow is not None and self._shadow is not None:
            centroids = tuple(tuple(row) for row in review.shadow.model.centroids.tolist())
            self.order_shadow(self._shadow.model_copy(update={"centroids": centroids}))
        self._taken = None

    def _publish(self, document: ReviewDocument) -> None:
        self._document = document
        self._state.put_review(document.encode())


def _look(review: KReview) -> KLook:
    return KLook(
        at=from_micros(review.at),
        customers=review.customers,
        curves=tuple(
            KFigures(
                k=point.k,
                inertia=point.inertia,
                silhouette=point.silhouette,
                smallest_share=point.smallest_share,
                stability=point.stability,
            )
            for point in review.points
        ),
        chosen=review.choice.k,
        natural=review.choice.natural,
        reason=review.choice.reason,
        agreeing_reviews=review.streak.reviews,
        needed_reviews=AGREEING_REVIEWS,
        verdict=review.verdict,
    )


def _shadow(review: ShadowReview | None, customers: int) -> ShadowLook | None:
    if review is None:
        return None
    model = review.model
    sized = zip(model.segments, model.sizes, strict=True)
    return ShadowLook(
        k=model.k,
        features=model.features,
        segments=tuple(SegmentSize(id=one.id, name=one.name, size=size) for one, size in sized),
        inertia=model.inertia,
        live_inertia=review.live_inertia,
        comparable=review.comparable,
        silhouette=review.silhouette,
        live_silhouette=review.live_silhouette,
        would_move=review.moving / customers if customers else 0.0,
    )
