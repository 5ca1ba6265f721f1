"""What was learnt about items, for every worker: neighbours, rhythms and the blend, in one versioned document."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.errors import LivesegmentsError
from recommender.blend import Blend
from recommender.neighbours import Neighbours
from recommender.popularity import ItemPopularity

ITEM_MODEL_VERSION: Final = 1
_WEIGHTS: Final = {one.name for one in fields(Blend)}
_BEFORE: Final = {"repeats": 1.0}
"""What weights were, in effect, before they were weights: a stored model goes on meaning what it meant."""


class ItemModelError(LivesegmentsError):
    """A stored item model can not be used."""


class _Document(msgspec.Struct, frozen=True):
    v: int
    as_of: int
    customers: int
    ids: list[str]
    counts: bytes
    items: bytes
    weights: bytes
    gaps: bytes
    sold: bytes
    slow_half_life: int
    new: list[str]
    blend: dict[str, Any]
    figures: dict[str, float]
    note: str
    own_counts: bytes = b""  # not in models of before: nothing speaks for what is owned
    own_items: bytes = b""
    own_weights: bytes = b""


class _Version(msgspec.Struct, frozen=True):
    v: int


_DOCUMENT = msgspec.msgpack.Decoder(_Document)
_VERSION = msgspec.msgpack.Decoder(_Version)


@dataclass(frozen=True)
class ItemModel:
    """What the item review learnt from the sampled customers' kept lines. Items are places in `ids`."""

    as_of: int
    """Microseconds UTC: what is newer was not seen."""
    customers: int
    """That it was learnt from."""
    ids: tuple[str, ...]
    neighbours: Neighbours
    """What goes with each item, (len(ids),)."""
    own_neighbours: Neighbours
    """What else is bought again by who has bought each item, (len(ids),)."""
    gaps: NDArray[np.float32]
    """Usual days between two purchases of the item by one customer, (len(ids),)."""
    sold: NDArray[np.float32]
    """Purchases, each halved per `slow_half_life` of age at `as_of`, (len(ids),): what was popular before."""
    slow_half_life: int
    """Microseconds."""
    new: tuple[str, ...] = ()
    """Items first sold lately."""
    blend: Blend = field(default_factory=Blend)
    figures: Mapping[str, float] = field(default_factory=dict)
    """NDCG@10 on the held-out orders: of the defaults, of what was chosen, of popularity alone; how many customers."""
    note: str = ""
    """How the blend was chosen, in words."""

    @cached_property
    def places(self) -> dict[str, int]:
        """Item id to place."""
        return {item_id: place for place, item_id in enumerate(self.ids)}

    def similar(self, item_id: str, n: int = 20) -> list[tuple[str, float]]:
        """The n items that go best with an item, with scores between 0 and 1; none for an item that is not known."""
        place = self.places.get(item_id)
        if place is None:
            return []
        items, weights = self.neighbours.row(place)
        scores = weights / (1 + weights)
        return [
            (self.ids[item], round(score, 4))
            for item, score in zip(items[:n].tolist(), scores[:n].tolist(), strict=True)
        ]

    def numbered(self, numbers: NDArray[np.int32]) -> "NumberedItems":
        """The same by a worker's numbers of `ids`, (len(ids),): `Items.number(model.ids)` gives them.

        Numbers only ever grow, so this holds until the next model: an item numbered later is not in it.
        """
        size = int(numbers.max()) + 1 if len(numbers) else 0
        gaps = np.full(size, np.float32(np.median(self.gaps)) if len(self.gaps) else np.float32(np.inf), np.float32)
        gaps[numbers] = self.gaps
        slow = np.zeros((1, size))
        slow[0, numbers] = self.sold
        fresh = np.array([numbers[self.places[item_id]] for item_id in self.new], np.int32)
        return NumberedItems(
            self.neighbours.renumbered(numbers),
            self.own_neighbours.renumbered(numbers),
            gaps,
            self.customers,
            self.blend,
            fresh,
            ItemPopularity.of(self.slow_half_life, self.as_of, slow),
        )

    def encode(self) -> bytes:
        """As it is stored."""
        return msgspec.msgpack.encode(
            _Document(
                v=ITEM_MODEL_VERSION,
                as_of=self.as_of,
                customers=self.customers,
                ids=list(self.ids),
                **_packed("", self.neighbours),
                **_packed("own_", self.own_neighbours),
                gaps=self.gaps.astype("<f4").tobytes(),
                sold=self.sold.astype("<f4").tobytes(),
                slow_half_life=self.slow_half_life,
                new=list(self.new),
                blend=asdict(self.blend),
                figures=dict(self.figures),
                note=self.note,
            )
        )

    @classmethod
    def decode(cls, document: bytes) -> "ItemModel":
        """What `encode` made. Raises ItemModelError for what it did not make, or a newer livesegments did."""
        try:
            version = _VERSION.decode(document).v
            if version > ITEM_MODEL_VERSION:
                raise ItemModelError(
                    f"the item model is a version {version} document and this livesegments knows version "
                    f"{ITEM_MODEL_VERSION}: upgrade livesegments on this worker"
                )
            stored = _DOCUMENT.decode(document)
            neighbours = _unpacked(stored.counts, stored.items, stored.weights)
            own_neighbours = _unpacked(stored.own_counts, stored.own_items, stored.own_weights)
            # Weights that a newer livesegments knows are left out: the model is read in the middle of an upgrade, too.
            known = {name: value for name, value in stored.blend.items() if name in _WEIGHTS}
            blend = Blend(**(_BEFORE | known))
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            raise ItemModelError(
                f"the stored item model is not one that livesegments writes ({error}): "
                "delete its key; the next item review makes a new one"
            ) from error
        return cls(
            as_of=stored.as_of,
            customers=stored.customers,
            ids=tuple(stored.ids),
            neighbours=neighbours,
            own_neighbours=own_neighbours,
            gaps=np.frombuffer(stored.gaps, "<f4").astype(np.float32),
            sold=np.frombuffer(stored.sold, "<f4").astype(np.float32),
            slow_half_life=stored.slow_half_life,
            new=tuple(stored.new),
            blend=blend,
            figures=stored.figures,
            note=stored.note,
        )


def _packed(prefix: str, neighbours: Neighbours) -> dict[str, bytes]:
    return {
        f"{prefix}counts": neighbours.counts.astype("<i4").tobytes(),
        f"{prefix}items": neighbours.items.astype("<i4").tobytes(),
        # Three digits are more than two of these weights ever differ by in meaning.
        f"{prefix}weights": neighbours.weights.astype("<f2").tobytes(),
    }


def _unpacked(counts: bytes, items: bytes, weights: bytes) -> Neighbours:
    return Neighbours(
        np.concatenate((np.zeros(1, np.int64), np.cumsum(np.frombuffer(counts, "<i4").astype(np.int64)))),
        np.frombuffer(items, "<i4").astype(np.int32),
        np.frombuffer(weights, "<f2").astype(np.float32),
    )


@dataclass(frozen=True, slots=True)
class NumberedItems:
    """An item model by a worker's item numbers, as `rank` wants it."""

    neighbours: Neighbours
    own_neighbours: Neighbours
    gaps: NDArray[np.float32]
    """Usual days between two purchases of the item, (items,)."""
    customers: int
    blend: Blend
    fresh: NDArray[np.int32]
    """Items first sold lately."""
    slow: ItemPopularity | None = None
    """What was popular before; None: nothing is known of that."""

    def among(self, items: int) -> "NumberedItems":
        """Of the first so many items alone."""
        if max(len(self.neighbours), len(self.own_neighbours)) <= items:
            return self
        return replace(self, neighbours=self.neighbours.among(items), own_neighbours=self.own_neighbours.among(items))

    @classmethod
    def none(cls, blend: Blend | None = None) -> "NumberedItems":
        """Before the first item review: nothing is known of items but what sells."""
        none = Neighbours.none()
        return cls(none, none, np.empty(0, np.float32), 0, blend or Blend(), np.empty(0, np.int32))
