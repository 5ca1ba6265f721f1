"""Other ways to forecast: a batch model trained again and again on all that has matured, and two rules of thumb."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold
from threadpoolctl import threadpool_limits

from benchmarks.forecast.stream import Rows
from benchmarks.forecast.truth import Truth
from contracts.times import DAY
from online_model.arrays import Floats
from online_model.forecasts.purchases import DAYS_PER_WEEK

SNAPSHOT_DAYS: Final = 7
REFIT_DAYS: Final = 28
_LEAST_LABELS: Final = 200
_TRIED: Final = {"max_iter": [40, 100], "max_leaf_nodes": [4, 8]}
"""Chosen by cross-validation over customers; larger trees are worse on tables of some thousand customers."""
_REGULAR: Final = {"learning_rate": 0.05, "min_samples_leaf": 40}


class Batch:
    """scikit-learn's gradient boosting on everybody's features of every week, as far as their labels have matured.

    Windows may overlap here, so it has many times the examples of what learns online.
    """

    def __init__(self, truth: Truth, days: int, seed: int) -> None:
        self._truth = truth
        self._days = days
        self._seed = seed
        self._snapshots: list[Rows] = []
        self._churn: HistGradientBoostingClassifier | None = None
        self._size: dict[str, int] | None = None
        """Of the trees: chosen once."""

    def see(self, rows: Rows) -> None:
        """Keep the rows of a day to learn from, once their labels have matured."""
        self._snapshots.append(rows)

    def refit(self, day: int) -> None:
        """Train with what has matured at the beginning of this day."""
        X, orders, groups = self._matured(day)
        left = orders == 0
        if len(X) < _LEAST_LABELS or left.all() or not left.any():
            return
        model = HistGradientBoostingClassifier(random_state=self._seed, early_stopping=False, **_REGULAR)
        with threadpool_limits(1):  # on a busy machine small fits by several threads mostly wait for each other
            if self._size is None:
                search = GridSearchCV(model, _TRIED, scoring="neg_log_loss", cv=GroupKFold(3))
                self._size = search.fit(X, left, groups=groups).best_params_
            self._churn = model.set_params(**self._size).fit(X, left)

    def leaves(self, X: Floats) -> Floats | None:
        """Probability of no purchase within the window, (customers,); None before anything was learnt."""
        return None if self._churn is None else np.asarray(self._churn.predict_proba(X)[:, 1])

    def orders(self, rows: Rows) -> Floats | None:
        """Expected purchase days within the window, (customers,), by what has matured; None if nothing has."""
        X, orders, groups = self._matured(rows.day)
        if len(X) < _LEAST_LABELS or not orders.any():
            return None
        model = HistGradientBoostingRegressor(loss="poisson", random_state=self._seed, early_stopping=False, **_REGULAR)
        search = GridSearchCV(model, _TRIED, scoring="neg_mean_poisson_deviance", cv=GroupKFold(3))
        with threadpool_limits(1):
            return np.asarray(search.fit(X, orders, groups=groups).predict(rows.X))

    def _matured(self, day: int) -> tuple[Floats, Floats, Sequence[int]]:
        ripe = [rows for rows in self._snapshots if rows.day + self._days <= day]
        if not ripe:
            return np.zeros((0, 0)), np.zeros(0), []
        orders = [self._truth.purchase_days(rows.customers, rows.day, rows.day + self._days) for rows in ripe]
        groups: dict[str, int] = {}
        who = [groups.setdefault(one, len(groups)) for rows in ripe for one in rows.customers]
        return np.concatenate([rows.X for rows in ripe]), np.concatenate(orders), who


def naive_leaves(rows: Rows, days: int) -> Floats:
    """1 for who has not bought within the last n days, 0 for who has: the rule of thumb, (customers,)."""
    return np.asarray(rows.day * DAY - rows.last_at >= days * DAY, np.float64)


def naive_orders(rows: Rows, days: int, ahead: int) -> Floats:
    """Who bought within the last n days goes on at the same pace, others have left, (customers,)."""
    pace = (rows.purchases.repeats + 1) / np.maximum(rows.purchases.age, days / DAYS_PER_WEEK)
    return np.asarray((1 - naive_leaves(rows, days)) * pace * ahead / DAYS_PER_WEEK)
