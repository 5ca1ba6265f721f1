"""Churn learned online while the table streams in; each forecast beside those of others, same customer, same day."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.forecast.holdout import Fits
from benchmarks.forecast.rivals import Batch, naive_leaves
from benchmarks.forecast.scoring import auc, calibration_error, calibration_error_null, log_loss
from benchmarks.forecast.stream import Rows
from contracts.times import DAY, rfc3339
from online_model.arrays import Booleans, Floats
from online_model.forecasts.churn import Churn, customer_keys, places_of
from online_model.forecasts.churn_learners import LEARNERS
from online_model.forecasts.orders_ahead import orders_ahead
from online_model.forecasts.purchases import DAYS_PER_WEEK

BATCH = "batch"
NAIVE = "naive"
MODEL = "mbg_nbd"
SHOWN = "logistic"
_NOTHING = "no forecast after the cut has matured, or nothing had for the batch model to learn from"


@dataclass
class ChurnRun:
    """Forecasts after the cut, and what became of them.

    Parameters:
        churn: learns.
        batch: trained again every 28 days.
        cut: the last day before the forecasts that are judged.
    """

    churn: Churn
    batch: Batch
    cut: int
    _rivals: dict[int, dict[str, Floats]] = field(default_factory=dict)
    _said: dict[str, list[Floats]] = field(default_factory=dict)
    _left: list[Booleans] = field(default_factory=list)

    def day(self, rows: Rows, fits: Fits | None) -> None:
        """Let the service's own turn settle the windows that end now, and begin those of whom it is time."""
        keys = customer_keys(rows.customers)
        order = np.argsort(keys)
        keys, rows = keys[order], rows.select(order)
        now = rows.day * DAY - 1  # nothing of the day itself is known
        for over in self.churn.turn(now, keys, rows.X, rows.first_at, rows.last_at, heard=now):
            others = self._rivals.pop(over.cohort.start, None)
            if others is None or not over.cohort.shown:
                continue
            self._left.append(over.left[over.known])
            for name, said in [*over.cohort.stated.items(), *others.items()]:
                self._said.setdefault(name, []).append(said[over.known])
        begun = self.churn.open.get(now)
        due = None if begun is None else rows.select(places_of(begun.customers, keys))
        batch = None if due is None else self.batch.leaves(due.X)
        if rows.day > self.cut and due is not None and batch is not None and fits is not None:
            weeks = self.churn.days / DAYS_PER_WEEK
            self._rivals[now] = {
                BATCH: batch,
                NAIVE: naive_leaves(due, self.churn.days),
                MODEL: 1 - orders_ahead(fits.shown, due.purchases, weeks).any,
            }

    def report(self, seed: int) -> dict[str, Any]:
        """All figures; None where no forecast after the cut has matured."""
        nothing = dict.fromkeys(("auc", "auc_batch", "expected_calibration_error", "calibration_error_null"))
        if not self._left:
            return {**nothing, "churn": {"missing": self.churn.missing or _NOTHING}}
        left = np.concatenate(self._left)
        said = {name: np.concatenate(parts) for name, parts in self._said.items()}
        figures = {
            name: {
                "auc": auc(p, left),
                "log_loss": log_loss(p, left),
                "expected_calibration_error": calibration_error(p, left),
            }
            for name, p in said.items()
        }
        return {
            "auc": figures[SHOWN]["auc"],
            "auc_batch": figures[BATCH]["auc"],
            "expected_calibration_error": figures[SHOWN]["expected_calibration_error"],
            "calibration_error_null": calibration_error_null(said[SHOWN], seed),
            "churn": {
                "days": self.churn.days,
                "forecasts": len(left),
                "left": float(left.mean()),
                "by": figures,
                "live": {name: self._live(name) for name in LEARNERS},
            },
        }

    def _live(self, name: Any) -> dict[str, Any]:
        """As the service itself would say it, of all forecasts since there were any."""
        scores = self.churn.scores[name]
        return {
            "forecasts": len(scores),
            "auc": scores.auc,
            "log_loss": scores.log_loss,
            "calibration_error": scores.calibration_error,
            "calibration": [[round(figure, 4) for figure in line] for line in scores.calibration()],
            "drifts": [rfc3339(day * DAY)[:10] for day in self.churn.drifts[name]],
        }
