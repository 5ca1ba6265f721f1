"""The item model: the same after it was stored, readable errors, a worker's numbers in place of ids."""

import msgspec
import numpy as np
import pytest

from contracts.times import DAY
from recommender.blend import Blend, BlendError
from recommender.item_model import ITEM_MODEL_VERSION, ItemModel, ItemModelError, NumberedItems
from recommender.neighbours import Neighbours

IDS = ("tea", "cup", "pot", "härte \N{TEAPOT}")


def model(**changes) -> ItemModel:
    neighbours = Neighbours.of(
        4, np.array([0, 0, 1, 2]), np.array([1, 2, 0, 0]), np.array([1.0, 0.25, 0.5, 2.0], np.float32)
    )
    fields = {
        "as_of": 7 * DAY,
        "customers": 12,
        "ids": IDS,
        "neighbours": neighbours,
        "own_neighbours": Neighbours.of(4, np.array([1, 3]), np.array([0, 2]), np.array([0.5, 4.0], np.float32)),
        "gaps": np.array([3, 4, 5, 6], np.float32),
        "sold": np.array([9, 1, 1, 0.5], np.float32),
        "slow_half_life": 56 * DAY,
        "new": ("pot",),
        "blend": Blend(rhythm=0.5),
        "figures": {"all": 0.25},
        "note": "tuned",
    }
    return ItemModel(**(fields | changes))


def test_a_stored_model_is_the_same():
    one = model()
    other = ItemModel.decode(one.encode())
    assert (other.as_of, other.customers, other.ids, other.new) == (one.as_of, 12, IDS, ("pot",))
    assert (other.blend, other.figures, other.note) == (one.blend, one.figures, one.note)
    assert other.gaps.tolist() == one.gaps.tolist()
    assert other.sold.tolist() == one.sold.tolist()
    assert other.neighbours.items.tolist() == one.neighbours.items.tolist()
    assert other.neighbours.weights.tolist() == one.neighbours.weights.tolist()
    assert other.own_neighbours.items.tolist() == [0, 2]
    assert other.own_neighbours.weights.tolist() == [0.5, 4.0]
    assert other.encode() == one.encode()


def test_similar_items_are_named_strongest_first():
    assert model().similar("tea") == [("cup", 0.5), ("pot", 0.2)]
    assert model().similar("tea", 1) == [("cup", 0.5)]
    assert model().similar(IDS[3]) == []
    assert model().similar("never seen") == []


def test_a_workers_numbers_take_the_place_of_ids():
    numbered = model().numbered(np.array([5, 0, 2, 6], np.int32))
    assert numbered.neighbours.row(5)[0].tolist() == [0, 2]
    assert numbered.neighbours.row(2)[0].tolist() == [5]
    assert not len(numbered.neighbours.row(1)[0])
    assert [numbered.own_neighbours.row(item)[0].tolist() for item in (0, 6, 5)] == [[5], [2], []]
    assert [numbered.own_neighbours.row(item)[1].tolist() for item in (0, 6, 5)] == [[0.5], [4.0], []]
    assert numbered.gaps[[5, 0, 2, 6]].tolist() == [3, 4, 5, 6]
    assert numbered.fresh.tolist() == [2]


def test_an_empty_model_can_be_numbered_and_stored():
    empty = np.empty(0, np.float32)
    none = model(ids=(), neighbours=Neighbours.none(), own_neighbours=Neighbours.none(), gaps=empty, sold=empty, new=())
    assert len(ItemModel.decode(none.encode()).numbered(np.empty(0, np.int32)).neighbours) == 0
    assert len(NumberedItems.none().neighbours) == 0


def test_weights_of_a_newer_worker_are_left_out():
    document = msgspec.msgpack.decode(model().encode())
    document["blend"] |= {"not_thought_of_yet": 0.5}
    del document["blend"]["trend"]
    assert ItemModel.decode(msgspec.msgpack.encode(document)).blend == Blend(rhythm=0.5)


def test_a_model_of_before_repeats_goes_on_meaning_what_it_meant():
    document = msgspec.msgpack.decode(model().encode())
    del document["blend"]["repeats"]
    assert ItemModel.decode(msgspec.msgpack.encode(document)).blend == Blend(rhythm=0.5, repeats=1.0)


def test_in_a_model_of_before_nothing_speaks_for_what_is_owned():
    document = msgspec.msgpack.decode(model().encode())
    for column in ("counts", "items", "weights"):
        del document[f"own_{column}"]
    before = ItemModel.decode(msgspec.msgpack.encode(document))
    assert not before.own_neighbours.counts.any()
    assert not before.numbered(np.array([5, 0, 2, 6], np.int32)).own_neighbours.weights.any()


def test_a_newer_model_says_to_upgrade():
    newer = msgspec.msgpack.encode({"v": ITEM_MODEL_VERSION + 1, "something": "else"})
    with pytest.raises(ItemModelError, match="upgrade livesegments"):
        ItemModel.decode(newer)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff",
        b"not a model",
        msgspec.msgpack.encode({"v": 1}),
        msgspec.msgpack.encode(msgspec.msgpack.decode(model().encode()) | {"counts": b"123"}),
        msgspec.msgpack.encode(msgspec.msgpack.decode(model().encode()) | {"blend": {"trend": [1]}, "ids": 7}),
    ],
)
def test_what_is_no_model_is_a_readable_error(document):
    with pytest.raises(ItemModelError, match="not one that livesegments writes"):
        ItemModel.decode(document)


def test_a_hundred_thousand_items_are_a_few_megabytes():
    chance = np.random.default_rng(0)
    counts = np.where(np.arange(100_000) < 4_000, 32, 10)
    pairs = int(counts.sum())
    starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
    large = Neighbours(starts, chance.integers(0, 100_000, pairs).astype(np.int32), np.ones(pairs, np.float32))
    column = np.ones(100_000, np.float32)
    ids = tuple(f"{number:06d}" for number in range(100_000))
    assert len(model(ids=ids, neighbours=large, gaps=column, sold=column, new=()).encode()) < 9_000_000


# ---- the blend ----


def test_pinned_weights_are_taken_half_lives_in_days():
    assert Blend.pinned({"again_half_life": 30, "rhythm": 1}) == Blend(again_half_life=30 * DAY, rhythm=1.0)
    assert Blend.pinned({}) == Blend()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"love": 1.0}, "love is no part of the blend; there are profile_half_life"),
        ({"rhythm": 1.5}, "rhythm must be from 0 to 1, not 1.5"),
        ({"repeats": 2.0}, "repeats must be from 0 to 1, not 2"),
        ({"ridge": 0.0}, "ridge must be above 0"),
        ({"again_weight": -1.0}, "again_weight must be 0 or more"),
        ({"again_weight": float("nan")}, "again_weight must be 0 or more"),
        ({"again_weight": float("inf")}, "again_weight must be 0 or more"),
    ],
)
def test_a_weight_that_makes_no_sense_is_named(values, said):
    with pytest.raises(BlendError, match=said):
        Blend.pinned(values)
