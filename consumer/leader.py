"""What one worker does for all: it decides on model versions and publishes them.

The owner of partition 0 leads. Whatever it must remember stands in the model document, the review document and a few
notes beside them, so that the next leader goes on.
"""

from typing import Final

import structlog

from consumer.arrivals import Arrivals
from consumer.figures import ShopFigures
from consumer.first_model import FirstModel
from consumer.leading_sample import Sampler
from consumer.model_requests import PIN, ModelRequests
from consumer.reviewing import SHADOW, Reviewing
from consumer.reviews import Reviews
from consumer.row_store import RowStore
from consumer.segment_events import ANNOUNCED, SegmentEvents
from consumer.state import State
from contracts.keys import LogNames
from logs.base import LogWriter
from online_model.adoption import adopt_means, handed_over, polished, too_alike
from online_model.arrays import Floats
from online_model.by_rule import too_little_to_learn
from online_model.model import SegmentModel
from online_model.review import Review
from online_model.settings import ModelSettings

OLDEST: Final = "oldest"
"""The note that holds the oldest model version that is kept."""

_OVERTAKES: Final = 0.02
"""A gain worth more than the review that is under way: in a fast replay weeks pass while one works."""

_log = structlog.get_logger("livesegments.leader")


class Leader:
    """Decides; the worker asks it whenever the figures of all partitions are new."""

    def __init__(
        self,
        state: State,
        store: RowStore,
        settings: ModelSettings,
        reviews: Reviews[Review],
        *,
        writer: LogWriter,
        names: LogNames,
    ) -> None:
        sampler = Sampler(state, store)
        self._state = state
        self._settings = settings
        self._sampler = sampler
        self._first = FirstModel(sampler, settings)
        self._reviewing = Reviewing(state, sampler, settings, reviews)
        self._requests = ModelRequests(state, sampler, settings, self._reviewing)
        self._events = SegmentEvents(state, writer, names)
        self._arrivals = Arrivals(settings.review_interval)
        self._number: int | None = None
        self._oldest = 1
        self._unhanded: SegmentModel | None = None
        """A version in force that the worker has not been told of: the state failed in between."""

    @property
    def busy(self) -> bool:
        """Whether a review is under way or due, or segments' births and ends are still to reach the log."""
        return self._reviewing.unfinished or self._events.behind

    def decide(
        self,
        number: int,
        model: SegmentModel | None,
        shop: ShopFigures,
        now: int,
        learnt: Floats | None = None,
        *,
        follows: bool = True,
    ) -> SegmentModel | None:
        """The next version, published, if there is to be one.

        `number` is how often partition 0 was claimed; `learnt` another clusterer's centroids in the means' place.
        `follows`: whether the learnt means may make one now; what is asked for and what reviews find may at any time.
        """
        self._take_over(number, model)
        self._arrivals.note(shop.purchases, now, None if model is None else model.adopted_at)
        if self._unhanded is None and self._on_request(number, model, shop, now) is None:
            if model is None:
                self._published(number, self._first.attempt(shop, now))
            else:
                self._next(number, model, shop, now, learnt, follows=follows)
        newest = self._unhanded or model
        if newest is not None:
            self._events.announce(newest)
        handed, self._unhanded = self._unhanded, None
        return handed

    def forget(self) -> None:
        """The lead is new, also where its number is that of before: the state may have gone back."""
        self._number = None

    def _take_over(self, number: int, model: SegmentModel | None) -> None:
        """Read what the last leader left, when the lead is new."""
        if self._number == number:
            return
        if model is not None and self._state.model() is None:
            # The state lost everything, and workers place customers by what they have in memory: so that is in force.
            document = model.to_document().model_dump_json().encode()
            published = self._state.publish_model(number, model.version, document)
            _log.warning("the state has lost the model; published again", version=model.version, published=published)
        notes = self._state.notes()
        self._oldest = int(notes.get(OLDEST, b"1"))
        self._requests.take_over(notes.get(PIN))
        self._reviewing.take_over(notes.get(SHADOW))
        self._events.take_over(notes.get(ANNOUNCED))
        self._arrivals.take_over()
        self._unhanded = None
        self._number = number

    def _on_request(self, number: int, model: SegmentModel | None, shop: ShopFigures, now: int) -> SegmentModel | None:
        asked = self._requests.next(model, shop, now)
        if asked is None or model is None:
            return None
        published = self._published(number, asked.proposed)
        if asked.proposed is None or published is not None:
            self._requests.done(asked, (published or model).version)
        return published

    def _next(
        self,
        number: int,
        model: SegmentModel,
        shop: ShopFigures,
        now: int,
        learnt: Floats | None,
        *,
        follows: bool,
    ) -> SegmentModel | None:
        arrived = self._arrivals.lately(now) or not model.feature_set.needs_purchases
        enough = arrived and not too_little_to_learn(shop.buyers, shop.oldest, now, self._settings)
        if model.by_rule and enough and self._requests.pinned is None:
            return self._published(number, handed_over(model, shop.purchases, now))
        review = self._reviewing.take()
        if review is None and not self._reviewing.running and shop.model_version == model.version:
            self._reviewing.begin_if_due(model, shop, now, arrived=arrived)
            review = self._reviewing.take()
        if review is not None:
            return self._reviewed(number, model, review)
        if not (follows and arrived) or self._requests.pinned is not None:
            return None
        if shop.model_version != model.version or shop.sums is None:
            return None
        adopted = adopt_means(model, shop.sums, shop.purchases, now, self._settings, learnt=learnt)
        if self._reviewing.running and (adopted is None or adopted.gain < _OVERTAKES):
            return None  # the review began from this version; another one now would make its work worthless
        if adopted is not None:
            adopted = self._settled(model, adopted, shop, now, learnt)
        return self._published(number, adopted)

    def _reviewed(self, number: int, model: SegmentModel, review: Review) -> SegmentModel | None:
        """Adopt what a review proposes, unless it is out of date or a version is pinned; show what it found."""
        proposed, adopted = review.proposed, None
        if proposed is None:
            outcome = f"version {model.version} stays: nothing is clearly better"
        elif proposed.version == model.version and proposed.to_document() == model.to_document():
            outcome = _adopted(proposed)  # the state failed before this could be shown
        elif self._requests.pinned is not None:
            outcome = f"version {model.version} stays, it is pinned; proposed: {proposed.why}"
        elif proposed.version != model.version + 1:
            outcome = f"version {model.version} was adopted meanwhile; proposed: {proposed.why}"
        else:
            adopted = self._published(number, proposed)
            outcome = _adopted(proposed)
        self._reviewing.publish(review, model.k, outcome)
        return adopted

    def _settled(
        self, model: SegmentModel, adopted: SegmentModel, shop: ShopFigures, now: int, learnt: Floats | None
    ) -> SegmentModel | None:
        """The version as it comes to rest. Where customers are too alike to be in every segment, it begins none anew.

        An empty segment would be begun anew with every decision, and stay empty.
        """
        sample = self._sampler.sample(shop, now)
        X = adopted.features_of(sample.columns, now)
        if shop.sums is not None and too_alike(adopted, X):
            return adopt_means(model, shop.sums, shop.purchases, now, self._settings, learnt=learnt, reseed=False)
        return adopted if learnt is not None else polished(adopted, X, settings=self._settings, members=sample.members)

    def _published(self, number: int, model: SegmentModel | None) -> SegmentModel | None:
        """The version, once it is the one in force."""
        if model is None:
            return None
        document = model.to_document().model_dump_json().encode()
        if not self._state.publish_model(number, model.version, document):
            _log.warning("model version not published: another is in force", version=model.version)
            # Another leader was faster; or the version is ours, and the state failed before it could say so.
            stored = self._state.model()
            current = SegmentModel.read(stored) if stored is not None else None
            # Or versions were lost in a fail-over: what is left is gone on from, as every other worker does.
            ours = current is not None and current.version == model.version - 1
            self._unhanded = None if ours else current
            return None
        self._unhanded = model
        _log.info(
            "model adopted",
            version=model.version,
            reason=model.reason,
            why=model.why,
            gain=round(model.gain, 4),
            customers=sum(model.sizes),
        )
        self._drop_old(model.version)
        return model

    def _drop_old(self, newest: int) -> None:
        oldest = newest - self._settings.model_versions_kept + 1
        if oldest > self._oldest:
            self._state.drop_models(range(self._oldest, oldest))
            self._state.put_note(OLDEST, str(oldest).encode())
            self._oldest = oldest


def _adopted(model: SegmentModel) -> str:
    return f"version {model.version} was adopted: {model.why}"


def read_model(document: bytes) -> SegmentModel:
    """The model that a published document describes."""
    return SegmentModel.read(document)
