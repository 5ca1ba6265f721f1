"""The array types of this package, and the check that a matrix of features passes at the border."""

import numpy as np
import numpy.typing as npt

from contracts.errors import LivesegmentsError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int32]
Booleans = npt.NDArray[np.bool_]


class NotFiniteError(LivesegmentsError):
    """An infinite value among the features: it would poison every sum. A value that is not known is NaN."""


class ShapeError(LivesegmentsError):
    """An array has not the shape that was promised."""


def feature_matrix(X: npt.ArrayLike, features: int | None = None) -> Floats:
    """X as float64 of shape (customers, features); NaN stands for "not observed".

    Raises ShapeError where it has another shape, NotFiniteError where a value is infinite.
    """
    matrix: Floats = np.asarray(X, dtype=np.float64)
    if matrix.ndim != 2 or (features is not None and matrix.shape[1] != features):
        wanted = "features" if features is None else features
        raise ShapeError(f"expected an array of shape (customers, {wanted}), got {matrix.shape}")
    if np.isinf(matrix).any():
        raise NotFiniteError("features hold an infinite value; give NaN where a value is not known")
    return matrix


def frozen(array: npt.ArrayLike) -> Floats:
    """A read-only float64 copy: what a model version holds must not change behind its back."""
    copy: Floats = np.array(array, dtype=np.float64)
    copy.setflags(write=False)
    return copy
