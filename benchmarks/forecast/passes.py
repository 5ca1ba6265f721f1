"""What a worker takes to work out everybody's forecast: a pass over a store of so many rows, slice by slice."""

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from benchmarks.forecast.known_lifetimes import Tastes, known_shop
from consumer.forecast_sample import gather_buyers
from consumer.memory_state import MemoryState
from consumer.row_forecasts import RowForecasts
from consumer.row_store import PartitionRows, RowStore
from contracts.money import MILLIONTHS
from contracts.times import DAY
from online_model.arrays import Floats
from online_model.forecasts.ahead import Forecaster
from online_model.forecasts.churn_features import churn_features
from online_model.forecasts.churn_learners import ChurnLearner
from online_model.forecasts.purchases import DAYS_PER_WEEK
from online_model.forecasts.review import ForecastReview

_NOW: Final = 20_000 * DAY
_KNOWN: Final = 20_000
"""Customers of the synthetic shop; a store holds each several times."""
_SEGMENTS: Final = 6
LEAST: Final = 1_000
"""Customers: of fewer no models can be fitted."""


def report(seed: int, customers: int) -> dict[str, Any]:
    """Seconds and longest step of a pass that works everybody out, of one that only adds up, and of the sample."""
    store = _store(customers, seed)
    sample, gathering = _sampled(store, customers)
    began = time.process_time()
    document = ForecastReview(
        buyers=sample, now=_NOW, purchases=customers, before=None, memory=None, fits=True, heard=_NOW, seed=seed
    )().document
    fitted = time.process_time() - began
    assert document is not None
    learner = ChurnLearner("logistic", seed)
    X = churn_features(sample, _NOW)[:500]
    learner.learn_many(X, np.random.default_rng(seed).random(len(X)) < 0.5)
    churn = document.churn.model_copy(update={"scorer": learner.scorer(), "missing": ""})
    forecasts = RowForecasts(store)
    forecasts.adopt(Forecaster(document.model_copy(update={"churn": churn})), 1)
    new_day = _timed(lambda: _step(forecasts))
    forecasts.begin_again()
    again = _timed(lambda: _step(forecasts))
    told = sum(totals[0] for totals in forecasts.sums[0].values())
    return {
        "customers": customers,
        "told": int(told),
        "review_cpu_seconds": fitted,
        "passes": [
            {"what": "a new day", **new_day},
            {"what": "added up again", **again},
            {"what": "sample gathered", **gathering},
        ],
    }


def _store(customers: int, seed: int) -> RowStore:
    shop = known_shop(Tastes(customers=min(customers, _KNOWN)), seed)
    store, partition = RowStore(), PartitionRows(0)
    store.partitions[0] = partition
    rows = np.array([store.add(partition, f"customer {number}") for number in range(customers)])
    rng = np.random.default_rng(seed)
    which = rng.integers(len(shop.purchases), size=customers)
    purchases, amounts = shop.purchases.select(which), shop.amounts.select(which)
    first = _NOW - _micros(purchases.age)
    columns = {
        "first_at": first,
        "last_at": first + _micros(purchases.last),
        "newest_at": first + _micros(purchases.last),
        "purchase_days": amounts.days,
        "orders": amounts.days,
        "orders_decayed": amounts.days * 0.7,
        "spend": np.rint(amounts.days * amounts.mean * MILLIONTHS),
        "segment": rng.integers(1, _SEGMENTS + 1, customers),
    }
    for name, column in columns.items():
        store.header[name][rows] = column
    return store


def _micros(weeks: Floats) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.rint(weeks * DAYS_PER_WEEK * DAY).astype(np.int64)


def _sampled(store: RowStore, customers: int) -> tuple[Any, dict[str, float | int]]:
    parts = gather_buyers(store, MemoryState(), customers, 1)
    found: list[Any] = []

    def step() -> bool:
        found[:] = [next(parts)]
        return found[0] is None

    figures = _timed(step)
    return found[0], figures


def _step(forecasts: RowForecasts) -> bool:
    forecasts.go_on(_NOW)
    return forecasts.behind(_NOW)


def _timed(step: Callable[[], bool]) -> dict[str, float | int]:
    """Steps until one says that it was the last; what they took, as the clock and the processor say."""
    took: list[float] = []
    cpu, more = time.process_time(), True
    while more:
        began = time.perf_counter()
        more = step()
        took.append(1e3 * (time.perf_counter() - began))
    return {
        "seconds": sum(took) / 1e3,
        "cpu_seconds": time.process_time() - cpu,
        "steps": len(took),
        "median_ms": float(np.median(took)),
        "p99_ms": float(np.percentile(took, 99)),
        "longest_ms": max(took),
    }
