from dataclasses import replace

import numpy as np
import pytest

from contracts.times import DAY
from online_model.adoption import Reviewed, adopt_means, first_model, polished, refit, settled_k, too_alike
from online_model.features import FeatureSet
from online_model.fit import TooFewPointsError
from online_model.model import ModelMismatchError, SegmentModel
from online_model.names import Members
from online_model.settings import ModelSettings
from online_model.sums import ClusterSums, Votes

NOW = 1_700_000_000_000_000
LATER = NOW + 10 * DAY
SETTINGS = ModelSettings(k=3)
CORNERS = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 1.0], [0.0, 3.0, 2.0]])


def shop(corners=CORNERS, sizes=(300, 200, 100), seed=0):
    """Customers around each corner, and which corner."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(corners)), sizes)
    return corners[truth] + rng.normal(0, 0.3, (len(truth), 3)), truth


def first(X, **changes):
    return first_model(X, 20.0, 3, 1000, NOW, settings=SETTINGS, **changes)


def sums_of(model, X):
    sums = ClusterSums(1, model.k, 3)
    sums.revise(None, Votes(np.zeros(len(X), np.int32), model.assign(X), X))
    return sums.merged()


def test_the_first_model():
    X, _ = shop()
    X[:5] = np.nan
    model = first(X)
    assert (model.version, model.reason, model.purchases, model.buyers) == (1, "first model", 1000, 595)
    assert [one.id for one in model.segments] == [1, 2, 3]
    assert model.next_segment_id == 4
    assert model.sizes == (295, 200, 100)
    assert np.bincount(model.assign(X)[5:], minlength=3).tolist() == [295, 200, 100]


def test_the_first_model_waits_for_customers_who_differ():
    with pytest.raises(TooFewPointsError):
        first(np.ones((100, 3)))


def test_means_that_hardly_moved_are_not_adopted():
    X, _ = shop()
    model = first(X)
    assert adopt_means(model, sums_of(model, X), 2000, LATER, SETTINGS) is None


def test_means_that_moved_are():
    X, _ = shop()
    model = first(X)
    moved = X + 0.3
    sums = sums_of(model, moved)
    adopted = adopt_means(model, sums, 2000, LATER, SETTINGS)
    assert (adopted.version, adopted.reason, adopted.adopted_at) == (2, "means moved", LATER)
    assert adopted.gain == pytest.approx(sums.gain(model.centroids, model.metric))
    assert adopted.segments == model.segments
    np.testing.assert_allclose(adopted.centroids, sums.means(empty=model.centroids))
    np.testing.assert_allclose(adopted.metric.deviations, np.std(moved, axis=0))
    assert adopted.inertia == pytest.approx(adopted.metric.closest(moved, adopted.centroids)[1].sum(), rel=0.01)


def test_time_alone_never_changes_the_model():
    X, _ = shop()
    model = first(X)
    assert adopt_means(model, sums_of(model, X + 1), model.purchases, NOW + 500 * DAY, SETTINGS) is None
    reviewed = Reviewed.of(model)
    assert not reviewed.due(model.purchases, 10 * model.buyers, NOW + 500 * DAY, SETTINGS)


def test_within_the_interval_only_a_large_gain_is_adopted():
    X, _ = shop()
    model = first(X)
    slightly, much = sums_of(model, X + 0.03), sums_of(model, X + 0.6)
    soon = NOW + SETTINGS.adoption_interval // 20
    assert adopt_means(model, slightly, 2000, soon, SETTINGS) is None
    assert adopt_means(model, slightly, 2000, LATER, SETTINGS) is not None
    assert adopt_means(model, much, 2000, soon, SETTINGS) is not None


def test_a_gain_that_chance_explains_is_not_adopted():
    X, _ = shop(sizes=(60, 40, 20))
    model = first(X)
    # A third are other customers of the same kinds: the means move by something like k / customers = 2.5 %.
    X[::3] = shop(sizes=(60, 40, 20), seed=7)[0][::3]
    again = sums_of(model, X)
    assert 0.005 < again.gain(model.centroids, model.metric) < 0.025
    assert adopt_means(model, again, 2000, LATER, SETTINGS) is None


def test_an_empty_segment_is_reseeded_under_a_new_id():
    X, truth = shop()
    model = first(X)
    left = X[truth != 1]
    adopted = adopt_means(model, sums_of(model, left), 2000, NOW, SETTINGS)
    gone = int(np.bincount(model.assign(X[truth == 1])).argmax())
    assert adopted.reason == "empty segment reseeded"
    assert adopted.segments[gone].id == 4
    assert adopted.next_segment_id == 5
    assert np.bincount(adopted.assign(left), minlength=3).min() > 0


@pytest.mark.parametrize("left", [1, 2])
def test_an_empty_segment_is_not_begun_anew_where_fewer_customers_differ_than_there_are_segments(left):
    X = np.repeat(CORNERS, 50, axis=0)
    model = first(X)
    X = X[: 50 * left]
    sums = sums_of(model, X)
    assert adopt_means(model, sums, 2000, LATER, SETTINGS).reason == "empty segment reseeded"
    assert too_alike(model, X)
    assert adopt_means(model, sums, 2000, LATER, SETTINGS, reseed=False) is None
    moved = adopt_means(model, sums_of(model, X + 0.4), 2000, LATER, SETTINGS, reseed=False)
    assert moved.reason == "means moved"
    assert [one.id for one in moved.segments] == [one.id for one in model.segments]


def test_a_segment_of_whom_nobody_is_sampled_keeps_its_people():
    X, truth = shop()
    model = first(X)
    moved = X + np.where(truth == 0, 0.4, 0.0)[:, np.newaxis]
    adopted = adopt_means(model, sums_of(model, moved), 2000, LATER, SETTINGS)
    assert adopted.reason == "means moved"
    assert polished(adopted, moved[truth != 2], settings=SETTINGS, members=None) is adopted
    rested = polished(adopted, moved, settings=SETTINGS, members=None)
    assert rested.inertia == pytest.approx(adopted.inertia)
    assert rested is not adopted


def test_another_clusterer_s_centroids_can_be_adopted():
    X, _ = shop()
    model = first(X)
    learnt = model.centroids + 0.4
    adopted = adopt_means(model, sums_of(model, X), 2000, LATER, SETTINGS, learnt=learnt)
    np.testing.assert_array_equal(adopted.centroids, learnt)
    assert adopted.gain < 0


def test_a_refit_that_finds_nothing_better_is_none():
    X, _ = shop()
    assert refit(first(X), X, 20.0, 2000, LATER, settings=SETTINGS) is None


def test_a_stuck_model_is_replaced_by_a_restart():
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [20, 20, 20], [21, 20, 20]])
    X, _ = shop(corners, (200, 200, 200, 200))
    settings = ModelSettings(k=4, first_model_buyers=50)
    good = first_model(X, 20.0, 4, 1000, NOW, settings=settings)
    stuck_at = np.array([[-0.5, 0, 0], [0.5, 0, 0], [1.5, 0, 0], [20.5, 20, 20]])
    stuck = adopt_means(good, sums_of(good, X), 2000, LATER, settings, learnt=stuck_at)
    better = refit(stuck, X, 20.0, 3000, LATER, settings=settings)
    assert better.reason == "better restart"
    assert better.version == stuck.version + 1
    assert better.inertia == pytest.approx(good.inertia, rel=0.01)
    # Three of the four continue; the pair that had been one segment makes a new one.
    ids = {one.id for one in better.segments}
    assert len(ids & {1, 2, 3, 4}) == 3
    assert max(ids) == 5
    assert better.next_segment_id == 6


def test_continued_segments_keep_their_place():
    X, _ = shop()
    model = first(X)
    after = refit(model, X + 0.2, 20.0, 2000, LATER, settings=SETTINGS)
    assert after.reason == "means moved"
    assert [one.id for one in after.segments] == [1, 2, 3]
    np.testing.assert_array_equal(after.assign(X + 0.2), model.assign(X))


def test_k_can_change_and_ids_are_not_reused():
    X, _ = shop()
    model = first(X)
    four = refit(model, X, 20.0, 2000, LATER, settings=ModelSettings(k=4))
    assert four.reason == "number of segments changed from 3 to 4"
    assert {one.id for one in four.segments} >= {4}
    assert len({one.id for one in four.segments}) == 4
    back = refit(four, X, 20.0, 3000, LATER, settings=SETTINGS)
    assert {one.id for one in back.segments} <= set(range(1, 6))
    assert back.next_segment_id >= 5


def test_an_order_value_revised_is_a_new_version():
    X, _ = shop()
    model = first(X)
    Y = X * [1, 1, 0.9]
    revised = refit(model, Y, 22.0, 2000, LATER, settings=SETTINGS, clusters=model.assign(X))
    assert (revised.order_value, revised.reason) == (22.0, "order value revised")
    np.testing.assert_array_equal(revised.assign(Y), model.assign(X))


def test_other_features_have_to_be_given():
    X, _ = shop()
    with pytest.raises(ModelMismatchError, match="how X was made"):
        refit(first(X), X[:, :2], 20.0, 2000, LATER, settings=ModelSettings(features=("recency", "tenure")))


def test_other_features_keep_the_ids_of_segments_that_stay_the_same_people():
    X, _ = shop()
    model = first(X)
    settings = ModelSettings(k=3, features=("recency", "tenure"))
    columns = FeatureSet.of(settings.request.terms()).columns
    after = refit(model, X[:, 1:], 20.0, 2000, LATER, settings=settings, clusters=model.assign(X), columns=columns)
    assert (after.reason, after.features, after.version) == ("other features", ("recency", "tenure"), 2)
    assert [one.id for one in after.segments] == [1, 2, 3]
    assert {one.kind for one in after.lineage} == {"continued"}
    assert refit(after, X[:, 1:], 20.0, 2000, LATER, settings=settings) is None, "and that was that"


def test_a_version_says_why_and_where_its_segments_come_from():
    X, _ = shop()
    model = first(X)
    assert [(one.segment_id, one.kind) for one in model.lineage] == [(1, "born"), (2, "born"), (3, "born")]
    four = refit(model, X, 20.0, 2000, LATER, settings=ModelSettings(k=4), k_why="because")
    assert four.why == "because"
    (new,) = [one for one in four.lineage if one.kind != "continued"]
    assert (new.segment_id, new.kind) == (4, "split")
    assert new.origins[0][1] == 1.0
    three = refit(four, X, 20.0, 3000, LATER, settings=SETTINGS)
    (ended,) = [one for one in three.lineage if one.kind != "continued"]
    assert ended.kind == "merged"
    assert ended.heirs[0][0] in {one.id for one in three.segments}
    assert SegmentModel.from_document(three.to_document()).lineage == three.lineage


def test_an_empty_segment_ends_and_another_is_born():
    X, _ = shop()
    model = first(X)
    gone = X[model.assign(X) != 2]
    adopted = adopt_means(model, sums_of(model, gone), 2000, LATER, SETTINGS)
    assert adopted.reason == "empty segment reseeded"
    assert {(one.segment_id, one.kind) for one in adopted.lineage if one.kind != "continued"} == {
        (3, "gone"),
        (4, "born"),
    }


def test_a_k_adopted_on_request_stays_until_the_setting_says_something_else():
    X, _ = shop()
    model = replace(first(X), k_instead_of="auto")
    assert settled_k(model, ModelSettings(k="auto")) == 3
    assert settled_k(replace(model, k_instead_of="5"), ModelSettings(k=5)) == 3
    assert settled_k(model, ModelSettings(k=5)) == 5


def test_a_review_of_too_few_customers_changes_nothing():
    X, _ = shop()
    assert refit(first(X), X[:1], 20.0, 2000, LATER, settings=SETTINGS) is None
    assert refit(first(X), X[:0], 20.0, 2000, LATER, settings=SETTINGS) is None


def test_names_come_with_members_and_change_when_untrue():
    X, _ = shop()
    n = len(X)
    lively = Members(np.full(n, 5.0), np.full(n, 400.0), np.full(n, 9, np.uint32), X[:, 1] + 9, X[:, 2] + 9)
    silent = Members(np.full(n, 200.0), np.full(n, 600.0), np.full(n, 9, np.uint32), X[:, 1] + 9, X[:, 2] + 9)
    model = first(X, members=lively)
    assert len({one.name for one in model.segments}) == 3
    assert refit(model, X, 20.0, 2000, LATER, settings=SETTINGS, members=lively) is None
    renamed = refit(model, X, 20.0, 2000, LATER, settings=SETTINGS, members=silent)
    assert renamed.reason == "renamed"
    assert all(one.name.startswith("Lapsed") for one in renamed.segments)
    assert [one.id for one in renamed.segments] == [1, 2, 3]


def test_a_review_is_due_when_buyers_doubled_or_the_interval_passed():
    reviewed = Reviewed(at=NOW, purchases=100, buyers=50)
    assert reviewed.due(101, 100, NOW, SETTINGS)
    assert reviewed.due(101, 50, NOW + SETTINGS.review_interval, SETTINGS)
    assert not reviewed.due(101, 99, NOW + SETTINGS.review_interval - 1, SETTINGS)
    assert not reviewed.due(100, 500, NOW + 2 * SETTINGS.review_interval, SETTINGS)


def test_features_of_a_model_are_those_of_the_settings():
    assert first(shop()[0]).features == FeatureSet.of().names
