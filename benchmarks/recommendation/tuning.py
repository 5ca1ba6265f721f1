"""The same budget for everybody: random trials (Bergstra & Bengio 2012) on cuts before the first that is judged.

A trial is a fit and a blend. Every recommender gets as many; where there is nothing to fit, each is another blend. All
items and new items are chosen for apart, by the mean NDCG@10 over the tuning cuts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final
from zlib import crc32

import numpy as np

from benchmarks.recommendation import blend as blending
from benchmarks.recommendation.blend import BARE, Blend, Blender, in_blocks
from benchmarks.recommendation.cases import TARGETS, Case, Target
from benchmarks.recommendation.inputs import Scores
from benchmarks.recommendation.metrics import mean_ndcg
from benchmarks.recommendation.models import Model, Parameters, Scorer
from online_model.arrays import Floats, Integers

OWN_HISTORY: Final = "own_history"
FITS: Final = 8
BLENDS: Final = 24
_MOST_TUNING_CELLS: Final = 8_000_000
_FEWEST_CUSTOMERS: Final = 300


@dataclass(frozen=True, slots=True)
class Budget:
    """How many trials each gets: fits × blends."""

    fits: int = FITS
    blends: int = BLENDS
    most_customers: int = 1_000
    """Of one tuning cut; a random sample where there are more, the same for everybody."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Choice:
    """What was best in tuning, for one target."""

    model: Model | None
    """None: no model, the blend alone."""
    parameters: Parameters | None
    blend: Blend
    ndcg: float
    """The mean over the tuning cuts."""
    seed: int

    def described(self) -> dict[str, Any]:
        """As it stands in a report."""
        blend = {"known": self.blend.known} if self.blend in BARE else asdict(self.blend)
        return {**(self.parameters or {}), **blend, "tuning_ndcg@10": self.ndcg}


Choices = Mapping[Target, Choice]


class Tuner:
    """Tries recommenders on the tuning cuts."""

    def __init__(self, cases: Sequence[Case], budget: Budget) -> None:
        self._budget = budget
        self._cases = [_sampled(case, budget) for case in cases]
        self._blenders = [Blender(case.inputs, case.rows) for case in self._cases]

    def tune(self, model: Model) -> tuple[Choices, Choices]:
        """The best blend of a model, and the best fit of the bare model."""
        rng = self._rng(model.name)
        fits = [model.first, *(model.draw(rng) for _ in range(self._budget.fits - 1))]
        blends = [*BARE, blending.FIRST, *(blending.draw(rng) for _ in range(self._budget.blends - 1))]
        found = np.zeros((len(fits), len(blends), len(TARGETS)))
        for place, parameters in enumerate(fits):
            for case, blender in zip(self._cases, self._blenders, strict=True):
                scores = model.fit(case.inputs, parameters, self._budget.seed)(case.rows)
                found[place] += _tried(case, blender, scores, blends)
        found /= len(self._cases)

        def choices(first: int, last: int) -> Choices:
            best = {}
            for place, target in enumerate(TARGETS):
                part: Floats = found[:, first:last, place]
                fit, chosen = np.unravel_index(int(part.argmax()), part.shape)
                best[target] = Choice(
                    model, fits[fit], blends[first + int(chosen)], float(part.max()), self._budget.seed
                )
            return best

        return choices(len(BARE), len(blends)), choices(0, len(BARE))

    def tune_own_history(self) -> tuple[Choices, Choices]:
        """The best blend of what the customer buys again and what is popular; and, bare, the best half-life."""
        rng = self._rng(OWN_HISTORY)
        trials = self._budget.fits * self._budget.blends
        blends = [blending.FIRST, *(blending.draw(rng) for _ in range(trials - 1))]
        bare = [Blend(1.0, 0.0, again_days=days) for days in blending.AGAIN_HALF_LIVES]

        def choices(candidates: Sequence[Blend]) -> Choices:
            pairs = zip(self._cases, self._blenders, strict=True)
            found = np.mean([_tried(case, blender, None, candidates) for case, blender in pairs], axis=0)
            return {
                target: Choice(
                    None,
                    None,
                    candidates[int(found[:, place].argmax())],
                    float(found[:, place].max()),
                    self._budget.seed,
                )
                for place, target in enumerate(TARGETS)
            }

        return choices(blends), choices(bare)

    def _rng(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self._budget.seed, crc32(name.encode())])


def lists(choices: Choices, case: Case) -> dict[Target, Integers]:
    """The lists of a tuned recommender at a cut, (customers, 10) each."""
    fitted: list[tuple[Parameters | None, Scorer]] = []
    found: dict[Target, Integers] = {}
    for target, choice in choices.items():
        scorer = next((scorer for parameters, scorer in fitted if parameters is choice.parameters), None)
        if choice.model is not None and choice.parameters is not None and scorer is None:
            scorer = choice.model.fit(case.inputs, choice.parameters, choice.seed)
            fitted.append((choice.parameters, scorer))
        parts = [
            _list(Blender(case.inputs, rows), target, None if scorer is None else scorer(rows), choice.blend)
            for rows in in_blocks(case.inputs, case.rows)
        ]
        found[target] = np.concatenate(parts)
    return found


def _list(blender: Blender, target: Target, scores: Scores | None, blend: Blend) -> Integers:
    return (blender.everything if target == "all" else blender.new)(scores, blend)


def _tried(case: Case, blender: Blender, scores: Scores | None, blends: Sequence[Blend]) -> Floats:
    """(blends, targets): NDCG@10."""
    return np.array(
        [[mean_ndcg(_list(blender, target, scores, one), case.truth[target]) for target in TARGETS] for one in blends]
    )


def _sampled(case: Case, budget: Budget) -> Case:
    """The case with a random sample of its customers, where there are too many."""
    most = min(budget.most_customers, max(_FEWEST_CUSTOMERS, _MOST_TUNING_CELLS // max(1, len(case.inputs.columns))))
    if len(case.customers) <= most:
        return case
    rng = np.random.default_rng([budget.seed, case.cut])
    return case.only(np.sort(rng.choice(len(case.customers), most, replace=False)))
