import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from online_model.identity import match_clusters


def match(before, after, k_before, k_after):
    return match_clusters(np.array(before, np.int32), np.array(after, np.int32), k_before, k_after).tolist()


@given(st.permutations(range(5)), st.lists(st.integers(-1, 4), min_size=1, max_size=60))
def test_mere_renumbering_is_seen_through(order, labels):
    after = [order[label] if label >= 0 else -1 for label in labels]
    matched = match(labels, after, 5, 5)
    for old in set(labels) - {-1}:
        assert matched[order[old]] == old


def test_of_two_heirs_the_larger_continues_and_the_other_is_born():
    assert match([0] * 10 + [1] * 10, [0] * 7 + [2] * 3 + [1] * 10, 2, 3) == [0, 1, -1]


def test_of_two_merged_the_larger_goes_on():
    assert match([0] * 4 + [1] * 10 + [2] * 5, [0] * 14 + [1] * 5, 3, 2) == [1, 2]


def test_a_few_common_members_do_not_make_the_same_segment():
    assert match([0] * 10 + [-1] * 30, [0] * 40, 1, 1) == [0]
    assert match([0] * 10 + [1] * 30, [1] * 4 + [0] * 36, 2, 2) == [1, 0]
    assert match([0] * 10 + [1] * 40, [0] * 2 + [1] * 8 + [0] * 20 + [1] * 20, 2, 2)[0] in {1, -1}


def test_nobody_shared_nothing_continued():
    assert match([-1, -1], [0, 1], 2, 2) == [-1, -1]
