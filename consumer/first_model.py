"""The first model, as soon as there are customers enough to learn from."""

from consumer.figures import ShopFigures
from consumer.leading_sample import Sampler
from online_model.adoption import first_model
from online_model.by_rule import too_little_to_learn
from online_model.features import FeatureSet
from online_model.fit import TooFewPointsError
from online_model.metric import Metric
from online_model.model import SegmentModel
from online_model.presets import choose_columns
from online_model.review import first_choice
from online_model.settings import ModelSettings


class FirstModel:
    """Tries again whenever somebody new has bought."""

    def __init__(self, sampler: Sampler, settings: ModelSettings) -> None:
        self._sampler = sampler
        self._settings = settings
        self._last_tried_buyers = 0

    def attempt(self, shop: ShopFigures, now: int) -> SegmentModel | None:
        """Version 1, if there is enough to learn it from."""
        enough = max(self._settings.first_model_buyers, self._last_tried_buyers + 1)
        if shop.buyers < enough or shop.partitions == 0:
            return None
        self._last_tried_buyers = shop.buyers
        sample = self._sampler.sample(shop, now)
        choice = choose_columns(self._settings.request, sample.columns, now=now, order_value=sample.order_value)
        columns = self._sampler.chosen(choice)
        if not columns:
            return None
        features = FeatureSet(columns)
        X = features.features(sample.columns, now, sample.order_value)
        by_rule = too_little_to_learn(shop.buyers, shop.oldest, now, self._settings)
        first = first_choice(X, Metric.of_sample(X, features.scaling), self._settings, by_rule=by_rule)
        try:
            return first_model(
                X,
                sample.order_value,
                first.k,
                shop.purchases,
                now,
                settings=self._settings,
                members=sample.members_with_gap,
                columns=columns,
                why=first.reason,
                by_rule=by_rule,
            )
        except TooFewPointsError:
            return None
