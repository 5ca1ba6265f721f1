"""Who is held out: the same customers always, the share that was asked for, independent of other draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.state import bucket_of
from contracts.partitioning import partition_of
from recommender.holdout import HoldOut, held_out

IDS = [f"customer {n}" for n in range(20_000)]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_the_share_is_held_out(share):
    found = held_out(IDS, share).mean()
    assert abs(found - share) < 5 * np.sqrt(share * (1 - share) / len(IDS))


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1)), st.floats(0.001, 0.5), st.text(max_size=20))
def test_one_by_one_as_all_at_once_and_a_larger_share_only_adds(ids, share, salt):
    salt = salt.encode("utf-8", "replace").decode()
    many = held_out(ids, share, salt)
    one = HoldOut(share, 0, salt)
    assert many.tolist() == [one.holds(customer_id) for customer_id in ids]
    assert not (many & ~held_out(ids, 0.5, salt)).any()
    assert not held_out(ids, 0.0, salt).any()


def test_the_draw_is_the_documented_one():
    """It must not change with a version: an experiment would begin anew unasked."""
    assert [n for n in range(40) if held_out([f"c{n}"], 0.2)[0]] == DRAWN


DRAWN = [11, 12, 21, 22, 34]


def test_another_salt_a_partition_or_a_bucket_says_nothing_about_the_draw():
    drawn = held_out(IDS, 0.5)
    for other in (
        held_out(IDS, 0.5, "another"),
        np.array([partition_of(one, 2) == 0 for one in IDS]),
        np.array([bucket_of(one) < 512 for one in IDS]),
    ):
        assert abs(np.corrcoef(drawn, other)[0, 1]) < 5 / np.sqrt(len(IDS))


def test_every_change_is_another_experiment():
    numbers = {HoldOut(*one).number for one in ((0.1, 5), (0.2, 5), (0.1, 6), (0.1, 5, "salt"))}
    assert len(numbers) == 4
    assert HoldOut(0.1, 5).number == HoldOut(0.1, 5).number


@pytest.mark.parametrize("share", [0.0, -0.1, 0.51, float("nan")])
def test_a_share_that_is_none(share):
    with pytest.raises(ValueError, match="share"):
        HoldOut(share, 0)
