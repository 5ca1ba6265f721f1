"""Figures with their intervals: per recommender the mean over cuts, and how far ours is from each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmarks.recommendation.bootstrap import Bootstrap, Estimate, Sample
from benchmarks.recommendation.cases import TARGETS, Target
from benchmarks.recommendation.metrics import METRICS, Metric, Truth, coverage, score
from benchmarks.recommendation.stream import Asked, Judged
from contracts.times import rfc3339
from online_model.arrays import Floats, Integers

OURS: Final = "ours"
Lists = Mapping[str, Mapping[Target, Integers]]
"""By recommender and target: (customers, 10) item numbers. A bare one may have none for a target."""


@dataclass(frozen=True)
class Cut:
    """One cut with everybody's lists."""

    judged: Judged
    lists: Lists
    """Ours among them."""
    cold: Mapping[str, Integers]
    """By recommender: (cold customers, 10)."""


class Report:
    """Figures of a run. Customers are drawn over all cuts at once.

    Parameters:
        cuts: at least one.
        seed: of the bootstrap.
    """

    def __init__(self, cuts: Sequence[Cut], asked: Asked, seed: int) -> None:
        self._cuts = cuts
        self._asked = asked
        self._known = _Drawn((who for cut in cuts for who in cut.judged.case.customers), seed)
        self._cold_ones = _Drawn((who for cut in cuts for who in cut.judged.case.cold), seed)
        self._askers = _Drawn(asked.customers, seed)

    def figures(self) -> dict[str, Any]:
        """Everything, as one object for JSON."""
        everything = range(len(self._cuts))
        found: dict[str, Any] = {target: self._of(target, everything, full=True) for target in TARGETS}
        found["significantly_worse_than"] = [
            f"{target}/{name}"
            for target in TARGETS
            for name, figures in found[target].items()
            if (behind := figures.get("ours_minus")) is not None and behind["high"] < 0
        ]
        found["best_baseline"] = {target: _best(found[target]) for target in TARGETS}
        found["cold"] = self._cold(everything)
        found["prequential"] = self._prequential()
        found["cuts"] = {
            rfc3339(cut.judged.case.cut): {
                "customers": len(cut.judged.case.customers),
                "customers_with_new": int((cut.judged.case.truth["new"].counts > 0).sum()),
                **{target: self._of(target, [place], full=False) for target in TARGETS},
                "cold": self._cold([place]),
            }
            for place, cut in enumerate(self._cuts)
        }
        return found

    def _of(self, target: Target, places: Sequence[int], *, full: bool) -> dict[str, Any]:
        cuts = [self._cuts[place] for place in places]
        scores = {
            name: [score(cut.lists[name][target], cut.judged.case.truth[target]) for cut in cuts]
            for name, lists in cuts[0].lists.items()
            if target in lists
        }
        drawn = self._known
        who = [drawn.numbers(cut.judged.case.customers) for cut in cuts]
        ours = _samples(who, scores[OURS], "ndcg@10")
        found: dict[str, Any] = {}
        for name, by_cut in scores.items():
            figures = drawn.figures(who, by_cut)
            if name != OURS:
                figures["ours_minus"] = _interval(
                    "ndcg@10", drawn.bootstrap.difference(ours, _samples(who, by_cut, "ndcg@10"))
                )
            if full:
                figures["coverage"] = _coverage(cuts, name, target)
            found[name] = figures
        return found

    def _cold(self, places: Sequence[int]) -> dict[str, Any]:
        cuts = [self._cuts[place] for place in places]
        drawn = self._cold_ones
        who = [drawn.numbers(cut.judged.case.cold) for cut in cuts]
        found: dict[str, Any] = {"customers": sum(len(one) for one in who)}
        for name in cuts[0].cold:
            found[name] = drawn.figures(who, [score(cut.cold[name], cut.judged.case.cold_truth) for cut in cuts])
        return found

    def _prequential(self) -> dict[str, Any]:
        asked = self._asked
        who, known = self._askers.numbers(asked.customers), np.array(asked.known, np.bool_)
        found: dict[str, Any] = {"days": asked.days, "orders": int(known.sum()), "cold_orders": int((~known).sum())}
        for target in TARGETS:
            truth, ours, popular = asked.questions(target)
            found[target] = {
                name: _interval("ndcg@10", self._mean(who, lists, truth, known))
                for name, lists in ((OURS, ours), ("popular_30_days", popular))
            }
            if target == "all":
                found["cold"] = {
                    name: _interval("ndcg@10", self._mean(who, lists, truth, ~known))
                    for name, lists in ((OURS, ours), ("popular_30_days", popular))
                }
        return found

    def _mean(self, who: Integers, lists: Integers, truth: Truth, chosen: Any) -> Estimate | None:
        values = np.where(chosen, score(lists, truth)["ndcg@10"], np.nan)
        return self._askers.bootstrap.mean([Sample(who, values)])


class _Drawn:
    """Customers who are drawn together, whatever they are in."""

    def __init__(self, customers: Iterable[str], seed: int) -> None:
        self._numbers = {who: number for number, who in enumerate(sorted(set(customers)))}
        self.bootstrap = Bootstrap(len(self._numbers), seed)

    def numbers(self, customers: Sequence[str]) -> Integers:
        """A number each."""
        return np.array([self._numbers[one] for one in customers], np.int64)

    def figures(self, who: Sequence[Integers], scores: Sequence[Mapping[Metric, Floats]]) -> dict[str, Any]:
        """Each metric, the mean over cuts, with its interval."""
        found: dict[str, Any] = {}
        for metric in METRICS:
            interval = _interval(metric, self.bootstrap.mean(_samples(who, scores, metric)))
            if interval is None:
                found[metric] = None
            elif metric == "ndcg@10":
                found |= interval
            else:
                found |= {
                    metric: interval[metric],
                    f"{metric}_low": interval["low"],
                    f"{metric}_high": interval["high"],
                }
        return found


def _samples(who: Sequence[Integers], scores: Sequence[Mapping[Metric, Floats]], metric: Metric) -> list[Sample]:
    return [Sample(customers, one[metric]) for customers, one in zip(who, scores, strict=True)]


def _interval(metric: Metric, estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else {metric: estimate.value, "low": estimate.low, "high": estimate.high}


def _coverage(cuts: Sequence[Cut], name: str, target: Target) -> list[float]:
    """The mean over cuts, by tenth."""
    parts = []
    for cut in cuts:
        inputs = cut.judged.case.inputs
        parts.append(coverage(cut.lists[name][target], inputs.buyers, inputs.columns))
    shortest = min(map(len, parts))
    means: list[float] = np.mean([part[:shortest] for part in parts], axis=0).tolist()
    return means


def _best(figures: Mapping[str, Any]) -> str | None:
    """The baseline with the highest figure."""
    judged = {name: one["ndcg@10"] for name, one in figures.items() if name != OURS and one["ndcg@10"] is not None}
    return max(judged, key=lambda name: judged[name]) if judged else None
