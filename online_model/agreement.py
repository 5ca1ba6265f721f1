"""How far two groupings of the same customers agree."""

import numpy as np

from online_model.arrays import Floats, Integers, Labels


def shared_members(before: Labels, after: Labels, k_before: int, k_after: int) -> Integers:
    """Customers by old and new cluster, (k_before, k_after); who has no vote (-1) in one of them is left out."""
    both = (before >= 0) & (after >= 0)
    pairs = before[both].astype(np.int64) * k_after + after[both]
    return np.bincount(pairs, minlength=k_before * k_after).reshape(k_before, k_after)


def adjusted_rand(shared: Integers) -> float:
    """The adjusted Rand index of two groupings from `shared_members`: 1 where they are the same, about 0 by chance.

    Source: Hubert and Arabie, Comparing partitions (1985).
    """

    def pairs(counts: Integers) -> Floats:
        return counts * (counts - 1.0) / 2

    together = float(pairs(shared).sum())
    one, other = float(pairs(shared.sum(axis=1)).sum()), float(pairs(shared.sum(axis=0)).sum())
    total = float(pairs(shared.sum()).sum())
    expected = one * other / total if total else 0.0
    most = (one + other) / 2
    return (together - expected) / (most - expected) if most != expected else 1.0
