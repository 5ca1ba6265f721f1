"""Churn by what is published: a learner's parameters, and probabilities from them for many customers at once."""

from typing import Any, Final

import numpy as np
from scipy.special import expit

from contracts.forecasts import LogisticScorer, TreeBranch, TreeLeaf, TreeScorer
from online_model.arrays import Floats, Integers
from online_model.forecasts.churn_features import CHURN_FEATURES

_HALF: Final = 0.5
"""Where nothing was learnt."""


def logistic_scorer(pipeline: Any) -> LogisticScorer:
    """What river's `StandardScaler | LogisticRegression` has learnt."""
    scaler, regression = pipeline.steps.values()
    return LogisticScorer(
        features=CHURN_FEATURES,
        weights=tuple(float(regression.weights.get(name, 0.0)) for name in CHURN_FEATURES),
        intercept=float(regression.intercept),
        means=tuple(float(scaler.means.get(name, 0.0)) for name in CHURN_FEATURES),
        scales=tuple(float(scaler.vars.get(name, 0.0)) ** 0.5 for name in CHURN_FEATURES),
    )


def tree_scorer(tree: Any) -> TreeScorer:
    """What river's HoeffdingAdaptiveTreeClassifier, whose leaves vote by majority, has learnt."""
    root = tree._root  # noqa: SLF001 - river has no public way to a tree's nodes that shows trees beside branches
    return TreeScorer(features=CHURN_FEATURES, root=None if root is None else _node(root))


def _node(node: Any) -> TreeBranch | TreeLeaf:
    if not hasattr(node, "children"):
        return _leaf(node)
    below, above = node.children
    beside = node._alternate_tree  # noqa: SLF001
    return TreeBranch(
        feature=CHURN_FEATURES.index(node.feature),
        threshold=float(node.threshold),
        below=_node(below),
        above=_node(above),
        beside=None if beside is None else _node(beside),
    )


def _leaf(leaf: Any) -> TreeLeaf:
    total = sum(leaf.stats.values()) if leaf.stats else 0.0
    if not total:
        return TreeLeaf(came_back=0.0, left=0.0, weight=0.0)
    error = leaf._mean_error.get() ** 2  # noqa: SLF001 - the better a leaf has been, the more it counts
    return TreeLeaf(
        came_back=leaf.stats.get(False, 0.0) / total,
        left=leaf.stats.get(True, 0.0) / total,
        weight=1 / error if error else 1.0,
    )


def scored(scorer: LogisticScorer | TreeScorer, X: Floats) -> Floats:
    """Probability of staying away, (customers,), from churn_features, (customers, features)."""
    return _logistic(scorer, X) if isinstance(scorer, LogisticScorer) else _tree(scorer, X)


def _logistic(scorer: LogisticScorer, X: Floats) -> Floats:
    scales = np.array(scorer.scales)
    slopes = np.divide(scorer.weights, scales, out=np.zeros(len(scales)), where=scales > 0)
    return np.asarray(expit((X - np.array(scorer.means)) @ slopes + scorer.intercept))


def _tree(scorer: TreeScorer, X: Floats) -> Floats:
    votes = np.zeros((len(X), 2))
    if scorer.root is not None and len(X):
        _vote(scorer.root, X, np.arange(len(X)), votes)
    total = votes.sum(axis=1)
    return np.asarray(np.divide(votes[:, 1], total, out=np.full(len(X), _HALF), where=total > 0))


def _vote(node: TreeBranch | TreeLeaf, X: Floats, who: Integers, votes: Floats) -> None:
    """Add up what all leaves say that customers come to."""
    if isinstance(node, TreeLeaf):
        votes[who] += node.weight * np.array([node.came_back, node.left])
        return
    if node.beside is not None:
        _vote(node.beside, X, who, votes)
    low = X[who, node.feature] <= node.threshold
    for child, some in ((node.below, who[low]), (node.above, who[~low])):
        if len(some):
            _vote(child, X, some, votes)
