"""A shape drawn on a map of customers, and who is inside it: the same answer in every process, for every customer.

It says all that it takes: which model version, as of when, what the axes are, and the shape's corners.
"""

import base64
import binascii
from typing import Annotated, Final, Self

import msgspec
import numpy as np

from contracts.errors import LivesegmentsError
from online_model.arrays import Booleans, Floats, Labels
from online_model.model import SegmentModel
from online_model.projection import Projection, standardised

MAX_CORNERS: Final = 400
_MAX_FEATURES: Final = 256
_MAX_TEXT: Final = 30_000


class LassoError(LivesegmentsError):
    """A text is no lasso, or not one of this deployment."""


_Finite = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]


class Axis(msgspec.Struct, array_like=True, frozen=True):
    """What a direction on the map is: a feature as the model compares it, or a mixture of all of them."""

    feature: Annotated[int, msgspec.Meta(ge=-1, lt=_MAX_FEATURES)] = -1
    """Its place among the model's features; -1: a mixture."""
    weights: Annotated[tuple[_Finite, ...], msgspec.Meta(max_length=_MAX_FEATURES)] = ()
    """Of the mixture: a weight for each standardised feature."""
    offset: _Finite = 0.0

    @classmethod
    def of_component(cls, projection: Projection, place: int) -> Self:
        """One of the directions in which customers differ most."""
        component = projection.components[place]
        return cls(-1, tuple(component.tolist()), -float(component @ projection.centre))

    def of(self, X: Floats, model: SegmentModel) -> Floats:
        """Where customers, or centroids, X (customers, features) lie on it, (customers,); NaN: that is not known."""
        if self.feature >= 0:
            return np.asarray(X[:, self.feature])
        places: Floats = standardised(X, model.metric) @ np.array(self.weights) + self.offset
        return np.where(np.isnan(X).all(axis=1), np.nan, places)


class Lasso(msgspec.Struct, array_like=True, frozen=True):
    """Who lies inside a polygon on the map of two axes."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    """Of the model."""
    now: int
    """Microseconds UTC: what the map is as of."""
    x: Axis
    y: Axis
    corners: Annotated[tuple[tuple[_Finite, _Finite], ...], msgspec.Meta(min_length=3, max_length=MAX_CORNERS)]
    segments: Annotated[tuple[int, ...], msgspec.Meta(max_length=1000)] = ()
    """Only customers of these published segments; empty: of all."""

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).rstrip(b"=").decode()

    @classmethod
    def read(cls, text: str) -> "Lasso":
        """What `str` wrote. Raises LassoError."""
        if len(text) > _MAX_TEXT:
            raise LassoError("this is no lasso: draw one on the map")
        try:
            return msgspec.msgpack.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=cls)
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            raise LassoError("this is no lasso: draw one on the map") from None

    @property
    def box(self) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """Its lower left and upper right corner, where it is a box along the axes."""
        across, up = sorted({x for x, _ in self.corners}), sorted({y for _, y in self.corners})
        if len(self.corners) != 4 or len(across) != 2 or len(up) != 2 or len(set(self.corners)) < 4:
            return None
        return (across[0], up[0]), (across[1], up[1])

    def check(self, features: int) -> None:
        """Raises LassoError where the model has other features than the one that the map was of."""
        for axis in (self.x, self.y):
            if axis.feature >= features or (axis.feature < 0 and len(axis.weights) != features):
                raise LassoError("the map was of other features: draw the lasso anew")

    def holds(self, X: Floats, segments: Labels, model: SegmentModel) -> Booleans:
        """Who is inside, (customers,), of X (customers, features) and published segments (customers,).

        Raises LassoError as `check` does.
        """
        self.check(X.shape[1])
        inside = within(self.x.of(X, model), self.y.of(X, model), np.array(self.corners))
        return inside & np.isin(segments, self.segments) if self.segments else inside


def within(x: Floats, y: Floats, corners: Floats) -> Booleans:
    """Which points (n,) lie inside a polygon (corners, 2), by the even-odd rule; what is NaN lies nowhere.

    >>> within(np.array([0.5, 2.0]), np.array([0.5, 0.5]), np.array([[0, 0], [1, 0], [1, 1], [0, 1]])).tolist()
    [True, False]
    """
    inside: Booleans = np.zeros(len(x), np.bool_)
    before = np.roll(corners, 1, axis=0)
    for (ax, ay), (bx, by) in zip(before.tolist(), corners.tolist(), strict=True):
        if ay != by:
            crossing = (y >= min(ay, by)) & (y < max(ay, by))
            inside ^= crossing & (x < ax + (y - ay) * (bx - ax) / (by - ay))
    return inside


def thinned(corners: Floats, most: int = MAX_CORNERS) -> Floats:
    """At most so many of a polygon's corners, evenly chosen."""
    if len(corners) <= most:
        return corners
    return np.asarray(corners[np.linspace(0, len(corners) - 1, most).round().astype(np.int64)])
