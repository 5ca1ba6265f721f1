"""Figures of probabilities against what came, from all of them: nothing is counted in cells here."""

from typing import Final

import numpy as np
from scipy.stats import rankdata

from online_model.arrays import Booleans, Floats

BINS: Final = 10
_DRAWS: Final = 200


def auc(probabilities: Floats, happened: Booleans) -> float | None:
    """Area under the ROC curve, ties as one half; None where all came out alike."""
    yes = int(happened.sum())
    no = len(happened) - yes
    if not yes or not no:
        return None
    ranks = rankdata(probabilities)
    return float((ranks[happened].sum() - yes * (yes + 1) / 2) / (yes * no))


def log_loss(probabilities: Floats, happened: Booleans) -> float:
    """Mean of -ln of the probability of what came."""
    right = np.where(happened, probabilities, 1 - probabilities)
    return float(-np.log(np.clip(right, 1e-6, 1.0)).mean())


def calibration_error(probabilities: Floats, happened: Booleans) -> float:
    """Expected calibration error: mean distance of stated and observed share in ten bins of equal mass."""
    parts = np.array_split(np.argsort(probabilities, kind="stable"), BINS)
    gaps = [abs(probabilities[part].mean() - happened[part].mean()) * len(part) for part in parts if len(part)]
    return float(sum(gaps) / len(probabilities))


def calibration_error_null(probabilities: Floats, seed: int) -> float:
    """What the same error would be on average if the probabilities were exactly right: chance alone."""
    rng = np.random.default_rng(seed)
    draws = rng.random((_DRAWS, len(probabilities))) < probabilities
    return float(np.mean([calibration_error(probabilities, drawn) for drawn in draws]))
