"""Who will not come back, learned one outcome at a time by river: a logistic regression and an adaptive tree."""

from typing import Any, Final, Protocol

from contracts.forecasts import ChurnFamily, LogisticScorer, TreeScorer
from online_model.arrays import Booleans, Floats
from online_model.forecasts.churn_features import CHURN_FEATURES
from online_model.forecasts.churn_scorer import logistic_scorer, scored, tree_scorer

Learner = ChurnFamily
TREE_DEPTH: Final = 10
"""Questions on the way to a leaf, at most: the tree is published whole, and outcomes come for ever."""
LEARNERS: Final[tuple[Learner, ...]] = ("logistic", "tree")


class Classifier(Protocol):
    """What is asked of river's classifiers."""

    def learn_one(self, x: dict[str, float], y: bool) -> Any:  # noqa: FBT001 - river's own signature
        """Take in one outcome."""


class ChurnLearner:
    """One of river's classifiers over arrays of churn_features. `predict_many` never changes it."""

    def __init__(self, kind: Learner, seed: int) -> None:
        self.kind = kind
        self.model: Classifier = _logistic() if kind == "logistic" else _tree(seed)

    def learn_many(self, X: Floats, left: Booleans) -> None:
        """Learn what became of customers: X (customers, features), and whether each stayed away, (customers,)."""
        for x, gone in zip(X.tolist(), left.tolist(), strict=True):
            self.model.learn_one(dict(zip(CHURN_FEATURES, x, strict=True)), gone)

    def scorer(self) -> LogisticScorer | TreeScorer:
        """What it has learnt, to be published."""
        return logistic_scorer(self.model) if self.kind == "logistic" else tree_scorer(self.model)

    def predict_many(self, X: Floats) -> Floats:
        """Probability of staying away, (customers,); one half for everybody before anything was learnt.

        By what is published, so that nobody hears anything else. (river's own walk over a tree fails where a tree that
        grows beside a branch has branches itself.)
        """
        return scored(self.scorer(), X)


def _logistic() -> Classifier:
    from river import linear_model, optim, preprocessing  # noqa: PLC0415 - see _tree

    # AdaGrad (Duchi, Hazan & Singer 2011) needs no schedule, and a customer comes only once a window: steps must count.
    model: Classifier = preprocessing.StandardScaler() | linear_model.LogisticRegression(optim.AdaGrad(0.1))
    return model


def _tree(seed: int) -> Classifier:
    from river import tree  # noqa: PLC0415 - brings scikit-learn and pandas, and only reviews learn

    # Leaves by majority: naive Bayes over features that say much the same thing is far too sure of itself.
    model: Classifier = tree.HoeffdingAdaptiveTreeClassifier(
        grace_period=100, delta=1e-3, leaf_prediction="mc", max_depth=TREE_DEPTH, seed=seed
    )
    return model
