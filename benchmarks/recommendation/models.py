"""The recommenders that ours is compared with: each fits everybody's kept histories in batch and scores every product.

What is tuned of each is its `Model.draw`; the first trial has the library's, or the paper's, own defaults.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from benchmarks.recommendation.inputs import Inputs, Scores
from contracts.errors import LivesegmentsError
from contracts.times import DAY
from online_model.arrays import Integers

Parameters = Mapping[str, Any]
Scorer = Callable[[Integers], Scores]
"""From places of customers to (customers, products), each row's highest score at 1."""
NEVER: Final = 0
"""Days of a half-life that never comes."""
HALF_LIVES: Final = (60, 120, 240, 480, NEVER)
MOST_ITEMS: Final = 5_000
"""Best-selling products that EASE has weights for: the inverse of a larger matrix takes minutes."""


class ImplicitMissingError(LivesegmentsError):
    """The package `implicit` is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "ALS and BM25 are those of the package `implicit`, which is not installed here: say"
            " `.venv/bin/pip install --group baselines`, or --without implicit"
        )


@dataclass(frozen=True, slots=True)
class Model:
    """One kind of recommender."""

    name: str
    first: Parameters
    draw: Callable[[np.random.Generator], Parameters]
    """A random trial."""
    fit: Callable[[Inputs, Parameters, int], Scorer]
    """Fits everybody; the last argument is a seed."""


def scaled(scores: Scores) -> Scores:
    """Each row's highest score at 1; rows without any evidence stay as they are."""
    highest = scores.max(axis=1, initial=0.0, keepdims=True)
    np.divide(scores, highest, out=scores, where=highest > 0)
    return scores


def _history(inputs: Inputs, parameters: Parameters) -> sp.csr_matrix:
    days = parameters["half_life_days"]
    return inputs.matrix(np.inf if days == NEVER else days * DAY, newest=parameters["lines"] == "newest")


def _inputs(rng: np.random.Generator) -> dict[str, Any]:
    return {"half_life_days": int(rng.choice(HALF_LIVES)), "lines": str(rng.choice(["newest", "all"]))}


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


# ---- implicit ----


def als(inputs: Inputs, parameters: Parameters, seed: int) -> Scorer:
    """Alternating least squares (Hu, Koren & Volinsky 2008) by implicit: user factors times item factors."""
    from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415 - optional

    history = _history(inputs, parameters)
    # Its own threads and those of BLAS wait for each other otherwise: it says so itself.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=parameters["factors"],
            regularization=parameters["regularization"],
            alpha=parameters["alpha"],
            iterations=15,
            random_state=seed,
        )
        model.fit(history, show_progress=False)
    return lambda rows: scaled(model.user_factors[rows] @ model.item_factors.T)


def bm25(inputs: Inputs, parameters: Parameters, _: int) -> Scorer:
    """Nearest neighbours of items by BM25 weights, by implicit: histories times similarities."""
    from implicit.nearest_neighbours import BM25Recommender  # noqa: PLC0415 - optional
    from implicit.utils import ParameterWarning  # noqa: PLC0415

    history = _history(inputs, parameters)
    model = BM25Recommender(K=parameters["K"], K1=parameters["K1"], B=parameters["B"])
    with threadpool_limits(1, "blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ParameterWarning)  # of a matrix of its own making
        model.fit(history, show_progress=False)
    return lambda rows: scaled((history[rows] @ model.similarity).toarray().astype(np.float32))


# ---- EASE ----


def ease(inputs: Inputs, parameters: Parameters, _: int) -> Scorer:
    """Histories times item weights B = I − P / diag(P), P = (XᵀX + λI)⁻¹ (Steck 2019).

    Rows of X are scaled by 1 / sum^`row_power`; λ is `ridge` times the mean of the diagonal of XᵀX.
    """
    history = _history(inputs, parameters)
    sold = np.asarray((history > 0).sum(axis=0)).ravel()
    chosen = np.sort(np.argsort(-sold, kind="stable")[:MOST_ITEMS])
    X = history[:, chosen]
    sums = np.asarray(X.sum(axis=1)).ravel()
    scale = np.divide(1.0, sums ** parameters["row_power"], out=np.zeros(len(sums)), where=sums > 0)
    G = (sp.diags(scale) @ X).astype(np.float32)
    gram = np.asarray((G.T @ G).todense(), np.float32)
    ridge = parameters["ridge"] * max(float(np.trace(gram)) / max(1, len(gram)), 1e-6)
    gram[np.diag_indices_from(gram)] += np.float32(ridge)
    P = np.linalg.inv(gram)
    weights = P / -np.diag(P)
    np.fill_diagonal(weights, 0)

    def scorer(rows: Integers) -> Scores:
        scores = np.zeros((len(rows), len(inputs.columns)), np.float32)
        scores[:, chosen] = X[rows] @ weights
        return scaled(scores)

    return scorer


def _draw_als(rng: np.random.Generator) -> Parameters:
    return {
        "factors": int(rng.choice([32, 64, 128])),
        "regularization": _log_uniform(rng, 0.01, 30),
        "alpha": _log_uniform(rng, 1, 60),
        **_inputs(rng),
    }


def _draw_bm25(rng: np.random.Generator) -> Parameters:
    return {
        "K": int(rng.choice([20, 50, 100, 200, 500])),
        "K1": _log_uniform(rng, 0.1, 100),
        "B": float(rng.uniform(0, 1)),
        **_inputs(rng),
    }


def _draw_ease(rng: np.random.Generator) -> Parameters:
    return {
        "ridge": _log_uniform(rng, 1, 300),
        "row_power": float(rng.choice([0, 0.25, 0.5, 0.75])),
        **_inputs(rng),
    }


_NO_DECAY: Final = {"half_life_days": NEVER, "lines": "all"}

ALS: Final = Model("als", {"factors": 64, "regularization": 0.01, "alpha": 1.0, **_NO_DECAY}, _draw_als, als)
BM25: Final = Model("bm25", {"K": 20, "K1": 1.2, "B": 0.75, **_NO_DECAY}, _draw_bm25, bm25)
EASE: Final = Model("ease", {"ridge": 10.0, "row_power": 0.0, **_NO_DECAY, "lines": "newest"}, _draw_ease, ease)
MODELS: Final = (ALS, BM25, EASE)
IMPLICIT: Final = (ALS.name, BM25.name)
"""Those that need an optional package."""


def check_installed(models: Iterable[Model]) -> None:
    """Raise ImplicitMissingError where one of them can not be fitted here."""
    if find_spec("implicit") is None and any(model.name in IMPLICIT for model in models):
        raise ImplicitMissingError
