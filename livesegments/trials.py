"""What other segments would be like: worked out from the stored rows, without touching anything that readers see."""

import numpy as np

from consumer.sample import sample_columns
from consumer.state import State
from contracts.errors import LivesegmentsError
from contracts.keys import BUCKETS
from contracts.money import MILLIONTHS
from livesegments.categories import CategorySource, no_categories, store_with
from livesegments.parts import model_settings
from livesegments.records import count_partitions, newest_time
from livesegments.settings import Settings
from online_model.arrays import Floats, Labels
from online_model.features import FeatureSet, days_since, median_order_value
from online_model.fit import TooFewPointsError
from online_model.metric import Metric
from online_model.model import SegmentModel
from online_model.names import Members
from online_model.presets import choose_columns
from online_model.review import first_choice
from online_model.trial import NEVER, Moved, Trial, TriedSegment, attempt


class TrialError(LivesegmentsError):
    """There is nothing that could be tried out."""


def try_out(state: State, settings: Settings, now: int, most: int, categories: CategorySource = no_categories) -> Trial:
    """Segments as the settings `k` and `features` would have them, for at most about so many customers.

    `now` is the wall clock, microseconds UTC; by the event clock it is the newest event that counts. Raises TrialError.
    """
    document = state.model()
    partitions = count_partitions(state)
    if document is None or partitions is None:
        raise TrialError(
            "there is no model yet that anything could be compared with: start a worker and publish events"
        )
    live, wanted = SegmentModel.read(document), model_settings(settings)
    now = now if settings.clock == "wall" else newest_time(state, partitions)
    needed = wanted.request.needs_categories or live.feature_set.needs_categories
    store = store_with(categories() if needed else {})
    rows = sample_columns(store, state, _customers(state, partitions), most, partitions)
    asked_before = wanted.request.signature == (live.requested or live.features)
    order_value = live.order_value if asked_before else median_order_value(rows.spend, rows.orders)
    choice = choose_columns(wanted.request, rows, now=now, order_value=order_value)
    columns = live.feature_set.columns if asked_before else choice.columns
    if not columns:
        raise TrialError("; ".join(choice.left_out) or "no customer has any of these features yet")
    features = FeatureSet(columns)
    X = features.features(rows, now, order_value)
    k = first_choice(X, Metric.of_sample(X, features.scaling), wanted).k
    clusters = live.assign(live.features_of(rows, now))
    try:
        candidate = attempt(
            live,
            X,
            k,
            now,
            settings=wanted,
            order_value=order_value,
            clusters=clusters,
            columns=columns,
            members=Members.of(rows, now),
        )
    except TooFewPointsError as error:
        raise TrialError(str(error)) from error
    before = rows.header["segment"].astype(np.int32)
    after = _published(candidate, X, before, days_since(rows.last_at, now), now)
    net = (rows.header["spend"] - rows.header["refunds"]) / MILLIONTHS
    return Trial(candidate, _segments(candidate, after, net), Moved.of(before, after), len(before))


def _published(model: SegmentModel, X: Floats, current: Labels, recency: Floats, now: int) -> Labels:
    """The segment each customer would get; who has none of the learnt ones stays."""
    clusters = model.assign(X)
    published = model.publish(X, clusters, current, np.full(len(X), NEVER), now, recency)
    return np.where((clusters < 0) & (current <= 0), current, published)


def _segments(model: SegmentModel, ids: Labels, net: Floats) -> tuple[TriedSegment, ...]:
    kinds = {one.segment_id: one.kind for one in model.lineage}
    found = [
        TriedSegment(
            one.id,
            one.name,
            kinds.get(one.id, "continued"),
            int(np.count_nonzero(ids == one.id)),
            float(net[ids == one.id].sum()),
        )
        for one in model.segments
    ]
    return tuple(sorted(found, key=lambda one: (-one.customers, one.segment_id)))


def _customers(state: State, partitions: int) -> int:
    """About how many there are: the first bucket of every partition, times the buckets."""
    some = range(8)
    found = sum(len(ids) for number in range(partitions) for ids, _ in state.rows(number, some))
    return found * BUCKETS // len(some)
