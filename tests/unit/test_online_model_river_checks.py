"""River's own checks over CustomerKMeans: every check there is stands in exactly one of three lists.

A check that a newer river adds is in none of them and fails here, so that somebody looks at it.
"""

import copy
import random

import pytest
from river import base, checks, cluster
from river.checks import anomaly, clf, common, model_selection, reco, time_series

from online_model.kmeans import CustomerKMeans

MODULES = (common, clf, anomaly, reco, time_series, model_selection)

# What river yields for a clusterer: checks that need no data.
YIELDED = list(checks.yield_checks(CustomerKMeans()))

# River's datasets are for classifiers, regressors and the like; for a clusterer it yields none, and so none of its
# checks that learn. Those that a clusterer can pass run here, on a stream of ours.
WITH_DATA = [
    common.check_learn_one,
    common.check_pickling,
    common.check_shuffle_features_no_impact,
    common.check_emerging_features,
    common.check_disappearing_features,
    common.check_radically_disappearing_features,
    common.check_no_state_aliasing_with_input,
    common.check_clone_is_independent,
    common.check_seeding_is_idempotent,
    common.check_bounded_memory_growth,
    # Its 60 votes lie within the warm-up, in which both re-cluster all votes. Later a batch is assigned by the means
    # before it, one vote by the means before that vote: near each other, not equal.
    common.check_learn_many_matches_learn_one,
]

NO_CLUSTERER_S = "a clusterer has no such method"
NOT_APPLICABLE = {
    "common.check_predict_one_pure": "returns at once for clusterers; done below",
    "common.check_predict_one_before_any_learn": "returns at once for clusterers; done below",
    "common.check_predict_many_matches_predict_one": "returns at once for what is no mini-batch classifier; done below",
    "common.check_mutable_attributes_exist": "there is none: a seed or k changed midway would be another model",
    "common.check_has_tag": "asks for a tag that the caller names; k-means needs none",
    "common.check_debug_one": f"debug_one: {NO_CLUSTERER_S}",
    "common.check_wrapper_accepts_kwargs": "wraps no other model",
    "common.check_transform_one": f"transform_one: {NO_CLUSTERER_S}",
    "common.check_transform_many_matches_transform_one": f"transform_many: {NO_CLUSTERER_S}",
    "common.check_predict_proba_many_matches_predict_proba_one": f"predict_proba_many: {NO_CLUSTERER_S}",
    "clf.check_predict_proba_one": f"predict_proba_one: {NO_CLUSTERER_S}",
    "clf.check_predict_proba_one_binary": f"predict_proba_one: {NO_CLUSTERER_S}",
    "clf.check_multiclass_is_bool": "of classifiers; clusters are no classes",
    "clf.check_classifier_tracks_seen_labels": "of classifiers; there are no labels to see",
    "anomaly.check_roc_auc": f"score_one: {NO_CLUSTERER_S}",
    "reco.check_reco_routine": f"rank: {NO_CLUSTERER_S}",
    "time_series.check_learn_one": "learns a series of targets; customers have none",
    "time_series.check_forecast": f"forecast: {NO_CLUSTERER_S}",
    "model_selection.check_model_selection_order_does_not_matter": "selects among no models",
}


def name_of(check):
    check = getattr(check, "func", check)
    return f"{check.__module__.rsplit('.', 1)[-1]}.{check.__name__}"


def stream(n=120):
    rng = random.Random(1)
    return [({name: rng.gauss(0, 1) for name in "abcde"}, None) for _ in range(n)]


def learnt():
    model = CustomerKMeans(n_clusters=3)
    for x, _ in stream():
        model.learn_one(x)
    return model


def test_every_check_of_river_stands_in_one_list():
    there_are = {
        f"{module.__name__.rsplit('.', 1)[-1]}.{name}"
        for module in MODULES
        for name in vars(module)
        if name.startswith("check_")
    }
    listed = [*map(name_of, YIELDED), *map(name_of, WITH_DATA), *NOT_APPLICABLE]
    assert sorted(listed) == sorted(there_are)


def test_it_asks_for_no_check_to_be_skipped():
    assert not CustomerKMeans()._unit_test_skips()
    checks.check_estimator(CustomerKMeans())


@pytest.mark.parametrize("check", YIELDED, ids=name_of)
def test_check_without_data(check):
    check(CustomerKMeans())


@pytest.mark.parametrize("check", WITH_DATA, ids=name_of)
def test_check_with_data(check):
    check(CustomerKMeans(n_clusters=3), dataset=stream())


def test_memory_does_not_grow_once_the_first_votes_are_clustered():
    common.check_bounded_memory_growth(CustomerKMeans(n_clusters=3), dataset=stream(1_000))


# ---- why some do not apply, and what stands in their place ----


def test_what_it_is_and_is_not():
    model = CustomerKMeans()
    assert isinstance(model, cluster.KMeans)
    assert not isinstance(
        model, base.Classifier | base.Regressor | base.Transformer | base.Wrapper | base.AnomalyDetector
    )
    missing = ("debug_one", "transform_one", "transform_many", "predict_proba_one", "score_one", "rank", "forecast")
    assert not [name for name in missing if hasattr(model, name)]
    assert not list(common._inference_methods(model))
    assert not model._mutable_attributes


def test_predicting_changes_neither_the_model_nor_what_it_is_given():
    model = learnt()
    centers = model.centers
    for x, _ in stream():
        given = copy.deepcopy(x)
        model.predict_one(x)
        assert x == given
    assert model.centers == centers


def test_predicting_works_before_any_learning():
    assert CustomerKMeans().predict_one(stream(1)[0][0]) == 0


def test_predict_many_is_predict_one_for_each():
    pd = pytest.importorskip("pandas")
    model = learnt()
    votes = [x for x, _ in stream()]
    assert model.predict_many(pd.DataFrame(votes)).tolist() == [model.predict_one(x) for x in votes]
