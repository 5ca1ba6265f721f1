"""Which new cluster is which old one: matched by shared members, so that a segment's id survives a refit."""

from typing import Final

import numpy as np

from online_model.agreement import shared_members
from online_model.arrays import Integers, Labels

_MIN_OVERLAP: Final = 0.25
"""Below this share of common members among all members of both, two clusters are not the same segment."""


def match_clusters(before: Labels, after: Labels, k_before: int, k_after: int) -> Integers:
    """The old cluster that each new one continues, (k_after,); -1 for a new one that continues none.

    `before` and `after` label the same customers, (customers,), -1 for no vote. No old cluster is continued twice. The
    matching has the largest sum of Jaccard indices (Kuhn, the Hungarian method, 1955).
    """
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - half a second, and most commands match nothing

    shared = shared_members(before, after, k_before, k_after)
    members = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    overlap = shared / np.maximum(members, 1)
    old, new = linear_sum_assignment(overlap, maximize=True)
    matched = np.full(k_after, -1, np.int64)
    same = overlap[old, new] >= _MIN_OVERLAP
    matched[new[same]] = old[same]
    return matched
