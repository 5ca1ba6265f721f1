"""Where segments and customers lie in the space of features, from what stands in Redis: for trees and maps."""

from dataclasses import dataclass
from typing import Final

from consumer.sample import sample_columns
from consumer.state import State
from contracts.errors import LivesegmentsError
from livesegments.categories import CategorySource, no_categories, store_with
from livesegments.records import count_partitions, read_document
from online_model.arrays import Floats, Labels
from online_model.model import SegmentModel

SAMPLE_CUSTOMERS: Final = 20_000
"""About so many customers are looked at."""


class NoSegmentsError(LivesegmentsError):
    """There is no model yet."""


@dataclass(frozen=True, eq=False, slots=True)
class SegmentSpace:
    """The current version, and a uniform sample of the customers it places."""

    model: SegmentModel
    X: Floats
    """(customers, features)"""
    clusters: Labels
    """(customers,): places in `model.segments`."""


def read_model(state: State) -> SegmentModel:
    """The current version. Raises NoSegmentsError."""
    document = read_document(state)
    if document is None:
        raise NoSegmentsError("there are no segments yet: they need a worker, and customers who bought")
    return SegmentModel.from_document(document)


def read_space(
    state: State, now: int, most: int = SAMPLE_CUSTOMERS, categories: CategorySource = no_categories
) -> SegmentSpace:
    """The current version and about so many customers as of now. Raises NoSegmentsError."""
    model = read_model(state)
    customers = max(1, sum(model.sizes))
    store = store_with(categories() if model.feature_set.needs_categories else {})
    columns = sample_columns(store, state, customers, most, count_partitions(state) or 0)
    X = model.features_of(columns, now)
    clusters = model.assign(X)
    return SegmentSpace(model, X[clusters >= 0], clusters[clusters >= 0])
