import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from online_model.agreement import shared_members
from online_model.identity import match_clusters
from online_model.lineage import lineage, named

K = 5


def descents(before, after, k_before, k_after):
    """Ids as adoption gives them: continued ones kept, others new from k_before + 1 on."""
    before, after = np.array(before, np.int32), np.array(after, np.int32)
    old = [(1 + place, f"old {1 + place}") for place in range(k_before)]
    fresh = iter(range(k_before + 1, 100))
    new = [old[one] if one >= 0 else (next(fresh), "new") for one in match_clusters(before, after, k_before, k_after)]
    return lineage(old, new, shared_members(before, after, k_before, k_after), k_before + 1)


labels = st.lists(st.tuples(st.integers(-1, K - 1), st.integers(-1, K - 1)), min_size=1, max_size=80)


@given(labels)
def test_every_segment_of_both_versions_has_one_descent(pairs):
    found = descents([one for one, _ in pairs], [one for _, one in pairs], K, K)
    assert len(found) == len({one.segment_id for one in found})
    living = [one for one in found if one.kind in {"continued", "split", "born"}]
    ended = [one for one in found if one.kind in {"merged", "gone"}]
    assert len(living) == K
    assert {one.segment_id for one in found if one.segment_id <= K} == set(range(1, K + 1))
    assert all(one.segment_id > K for one in living if one.kind != "continued"), "a new segment has a new id"
    assert all(one.segment_id <= K for one in [*ended, *(one for one in living if one.kind == "continued")])
    for one in found:
        shares = [share for _, share in (*one.origins, *one.heirs)]
        assert all(0 < share <= 1 for share in shares)
        assert sum(shares) <= 1.001
        assert shares == sorted(shares, reverse=True)


@given(st.lists(st.integers(0, K - 1), min_size=1, max_size=80), st.permutations(range(K)))
def test_the_same_customers_in_another_order_of_clusters_all_continue(before, order):
    found = descents(before, [order[one] for one in before], K, K)
    present = {1 + one for one in before}
    assert {one.segment_id for one in found if one.kind == "continued"} >= present


def test_one_in_two_is_a_split_and_two_in_one_a_merger():
    apart = descents([0] * 10 + [1] * 10, [0] * 6 + [2] * 4 + [1] * 10, 2, 3)
    assert [(one.segment_id, one.kind) for one in apart] == [(1, "continued"), (2, "continued"), (3, "split")]
    assert apart[2].origins == ((1, 1.0),)
    together = descents([0] * 10 + [1] * 6, [0] * 16, 2, 1)
    assert [(one.segment_id, one.kind) for one in together] == [(1, "continued"), (2, "merged")]
    assert together[0].origins == ((1, 0.625), (2, 0.375))
    assert together[1].heirs == ((1, 1.0),)


def test_what_is_scattered_is_gone_and_what_comes_from_everywhere_is_born():
    before = [0] * 30 + [1] * 30 + [2] * 30 + [3] * 12
    after = [0] * 26 + [3] * 4 + [1] * 26 + [3] * 4 + [2] * 26 + [3] * 4 + [0] * 4 + [1] * 4 + [2] * 4
    found = {one.segment_id: one for one in descents(before, after, 4, 4)}
    assert found[5].kind == "born"
    assert found[5].origins == ((1, 0.3333), (2, 0.3333), (3, 0.3333))
    assert found[4].kind == "gone"


def test_an_id_from_before_that_was_not_there_is_restored():
    (one, _) = lineage([(4, "x")], [(2, "y")], np.array([[3]]), 5)
    assert (one.segment_id, one.kind) == (2, "restored")


def test_names_follow_except_those_of_segments_that_ended():
    found = lineage([(1, "a"), (2, "b")], [(1, "a")], np.array([[3], [3]]), 3)
    assert [one.name for one in named(found, [(1, "z")])] == ["z", "b"]
