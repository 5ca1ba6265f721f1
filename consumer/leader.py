"""What one worker does for all: it decides on model versions and publishes them, and describes the segments.

The owner of partition 0 leads. Whatever it must remember stands in the model document, so that the next leader goes on.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from consumer.columns import Columns
from consumer.figures import ShopFigures
from consumer.reviews import Reviews
from consumer.row_store import RowStore
from consumer.sample import sample_columns
from consumer.state import State
from contracts.model import FeatureColumn, ModelDocument
from online_model.adoption import Reviewed, adopt_means, first_model, polished, refit
from online_model.arrays import Floats
from online_model.features import FeatureSet, median_order_value
from online_model.fit import TooFewPointsError
from online_model.model import SegmentModel
from online_model.names import Members
from online_model.presets import Choice, choose_columns, renewed_columns
from online_model.settings import ModelSettings

SAMPLE_CUSTOMERS: Final = 20_000
"""About so many customers are looked at in a review."""

_log = structlog.get_logger("livesegments.leader")


@dataclass(frozen=True, slots=True)
class _Sample:
    columns: Columns
    order_value: float


class Leader:
    """Decides; the worker asks it whenever the figures of all partitions are new."""

    def __init__(self, state: State, store: RowStore, settings: ModelSettings, reviews: Reviews) -> None:
        self._state = state
        self._store = store
        self._settings = settings
        self._complained: tuple[str, ...] = ()
        self._reviews = reviews
        self._reviewed: Reviewed | None = None
        self._last_tried_buyers = 0
        self._put_off = False

    @property
    def reviewing(self) -> bool:
        """Whether a review is under way, or one is due that had to wait for its share of the time."""
        return self._reviews.running or self._put_off

    def decide(
        self,
        number: int,
        model: SegmentModel | None,
        shop: ShopFigures,
        now: int,
        learnt: Floats | None = None,
    ) -> SegmentModel | None:
        """The next version, published, if there is to be one.

        `number` is how often partition 0 was claimed; `learnt` another clusterer's centroids in the means' place.
        """
        decided = self._first(shop, now) if model is None else self._next(model, shop, now, learnt)
        if decided is None:
            return None
        document = decided.to_document().model_dump_json().encode()
        if not self._state.publish_model(number, decided.version, document):
            _log.warning("model version not published: another leader was faster", version=decided.version)
            return None
        _log.info(
            "model adopted",
            version=decided.version,
            reason=decided.reason,
            gain=round(decided.gain, 4),
            customers=sum(decided.sizes),
        )
        return decided

    def _first(self, shop: ShopFigures, now: int) -> SegmentModel | None:
        enough = max(self._settings.first_model_buyers, self._last_tried_buyers + 1)
        if shop.buyers < enough or shop.partitions == 0:
            return None
        self._last_tried_buyers = shop.buyers
        sample = self._sample(shop)
        columns = self._chosen(choose_columns(self._settings.request, sample.columns))
        if not columns:
            return None
        X = FeatureSet(columns).features(sample.columns, now, sample.order_value)
        try:
            return first_model(
                X,
                sample.order_value,
                self._settings.k,
                shop.purchases,
                now,
                settings=self._settings,
                members=Members.of(sample.columns, now),
                columns=columns,
            )
        except TooFewPointsError:
            return None

    def _chosen(self, choice: Choice) -> tuple[FeatureColumn, ...]:
        """The columns of a choice; what was left out of it is said once."""
        if choice.left_out != self._complained:
            self._complained = choice.left_out
            for advice in choice.left_out:
                _log.warning("left out of the features", advice=advice)
        return choice.columns

    def _next(self, model: SegmentModel, shop: ShopFigures, now: int, learnt: Floats | None) -> SegmentModel | None:
        proposed = self._reviews.take()
        if proposed is not None and proposed.version == model.version + 1:
            return proposed
        if self._reviews.running:
            return None  # the review began from this version; another one now would make its work worthless
        if self._reviewed is None:
            self._reviewed = Reviewed.of(model)
        if shop.model_version == model.version and self._reviewed.due(shop.purchases, shop.buyers, now, self._settings):
            self._put_off = not self._reviews.free
            if not self._put_off:
                self._reviewed = Reviewed(now, shop.purchases, shop.buyers)
                self._review(model, shop, now)
                proposed = self._reviews.take()
                if proposed is not None or self._reviews.running:
                    return proposed
        if shop.model_version != model.version or shop.sums is None:
            return None
        adopted = adopt_means(model, shop.sums, shop.purchases, now, self._settings, learnt=learnt)
        return adopted if adopted is None or learnt is not None else self._polished(adopted, shop, now)

    def _polished(self, model: SegmentModel, shop: ShopFigures, now: int) -> SegmentModel:
        sample = self._sample(shop)
        X = model.features_of(sample.columns, now)
        try:
            return polished(model, X, settings=self._settings, members=Members.of(sample.columns, now))
        except TooFewPointsError:
            return model

    def _review(self, model: SegmentModel, shop: ShopFigures, now: int) -> None:
        sample = self._sample(shop)
        asked = model.requested or model.features
        renewed = renewed_columns(self._settings.request, asked, model.feature_set.columns, sample.columns)
        columns = self._chosen(renewed) if renewed is not None else ()
        X = present = model.features_of(sample.columns, now)
        if columns:
            X = FeatureSet(columns).features(sample.columns, now, model.order_value)
        elif self._settings.request.signature != asked:
            return  # there is nothing yet to make the features of that the settings now name
        self._reviews.ask(
            partial(
                refit,
                model,
                X,
                model.order_value,
                shop.purchases,
                now,
                settings=self._settings,
                members=Members.of(sample.columns, now),
                clusters=model.assign(present) if columns else None,
                columns=columns or None,
            )
        )

    def _sample(self, shop: ShopFigures) -> _Sample:
        customers = sum(shop.sizes.values())
        columns = sample_columns(self._store, self._state, customers, SAMPLE_CUSTOMERS, shop.partitions)
        return _Sample(columns, median_order_value(columns.spend, columns.orders))


def read_model(document: bytes) -> SegmentModel:
    """The model that a published document describes."""
    return SegmentModel.from_document(ModelDocument.model_validate_json(document))
