"""Lists of customers that rows are marked for: outliers, members of an audience."""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from consumer.audiences import names_in
from consumer.state import State
from contracts.errors import LivesegmentsError
from livesegments.explaining import Explainer
from livesegments.records import count_partitions, read_records
from livesegments.screen import plain
from online_model.telling import number_of, tell


class NoSuchAudienceError(LivesegmentsError):
    """No audience of that name was ever set."""


@dataclass(frozen=True, slots=True)
class Outlier:
    """A customer far from the others."""

    customer_id: str
    segment_id: int
    most: float
    """The largest robust z among the features, without its sign."""
    features: dict[str, float]
    """The features in which they are, with their values in the units that a person would use."""
    said: tuple[str, ...]
    """The same in words, with the median customer's."""


def outliers(explainer: Explainer, most: int) -> tuple[int, list[Outlier]]:
    """How many customers are marked as outliers, and the most extreme of them first, as of the explainer's now."""
    kept: list[tuple[float, str, Outlier]] = []
    found = 0
    for one in _outliers(explainer):
        found += 1
        heapq.heappush(kept, (one.most, one.customer_id, one))
        if len(kept) > most:
            heapq.heappop(kept)
    return found, [one for _, _, one in sorted(kept, key=lambda kept: (-kept[0], kept[1]))]


def _outliers(explainer: Explainer) -> Iterator[Outlier]:
    model, state = explainer.model, explainer.state
    if model is None or model.outliers is None:
        return
    features = model.feature_set
    medians = features.in_units(model.outliers.medians[np.newaxis], model.order_value)[0]
    for records in read_records(state, range(count_partitions(state) or 0)):
        if not records.header["outlying"].any():
            continue
        X = model.features_of(explainer.columns(records), explainer.now)
        z, values = np.abs(model.outliers.z(X)), features.in_units(X, model.order_value)
        far = model.outliers.outliers(X)
        for row in np.flatnonzero((records.header["outlying"] != 0) & far.any(axis=1)).tolist():
            places = np.flatnonzero(far[row])[np.argsort(-z[row, far[row]], kind="stable")].tolist()
            yield Outlier(
                records.customer_ids[row],
                int(records.header["segment"][row]),
                float(z[row, places[0]]),
                {model.features[place]: float(values[row, place]) for place in places},
                tuple(
                    f"{tell(features.columns[place], values[row, place], explainer.currency)}"
                    f" (median: {number_of(features.columns[place], medians[place], explainer.currency)})"
                    for place in places
                ),
            )


def audience_sizes(state: State) -> dict[str, int]:
    """How many customers are in each audience that was ever set, in the order of their numbers."""
    numbers = {number: name for name, number in state.number_audiences(()).items()}
    sizes: Counter[str] = Counter()
    for records in read_records(state, range(count_partitions(state) or 0)):
        bits, customers = np.unique(records.header["audiences"], return_counts=True)
        for bit, count in zip(bits.tolist(), customers.tolist(), strict=True):
            sizes.update(dict.fromkeys(names_in(bit, numbers), count))
    return {name: sizes[name] for _, name in sorted(numbers.items())}


def audience_members(state: State, audience: str) -> Iterator[str]:
    """The ids of an audience's customers. Raises NoSuchAudienceError."""
    return _members(state, audience_bit(state, audience))


def audience_bit(state: State, audience: str) -> np.uint64:
    """The bit of an audience in rows' `audiences`. Raises NoSuchAudienceError."""
    numbers = state.number_audiences(())
    if audience not in numbers:
        there = ", ".join(plain(name) for name in numbers) or "none: name conditions in the setting `audiences`"
        raise NoSuchAudienceError(f"there is no audience {plain(audience)!r}; there are {there}")
    return np.uint64(1) << np.uint64(numbers[audience])


def _members(state: State, bit: np.uint64) -> Iterator[str]:
    for records in read_records(state, range(count_partitions(state) or 0)):
        for row in np.flatnonzero(records.header["audiences"] & bit).tolist():
            yield records.customer_ids[row]
