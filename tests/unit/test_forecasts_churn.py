"""Churn learned online: windows in turn, forecasts stored before their outcome, figures kept while outcomes come in."""

import itertools
import os
import pickle
import zlib

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from consumer.columns import Columns
from consumer.layout import empty_header
from contracts.times import DAY
from online_model.arrays import ShapeError
from online_model.features import MISSING_TIME
from online_model.forecasts.churn import LEAST_OUTCOMES, Churn, customer_keys, places_of
from online_model.forecasts.churn_features import CHURN_FEATURES, churn_features, with_purchases
from online_model.forecasts.churn_learners import LEARNERS, TREE_DEPTH, ChurnLearner
from online_model.forecasts.churn_memory import ChurnMemoryError, decode, encode, waiting_in
from online_model.forecasts.live_scores import LiveScores

PEOPLE = np.sort(customer_keys(f"customer {number}" for number in range(600)))
NOBODY = PEOPLE[:0]

REGULAR = {
    "first_at": DAY,
    "last_at": 90 * DAY,
    "newest_at": 95 * DAY,
    "purchase_days": 7,
    "orders_decayed": 5.5,
    "spend": 90_000_000,
    "refunds": 100_000_000,
}


def row(**columns):
    header = empty_header()
    for name, value in columns.items():
        header[name] = value
    return header


def test_features_are_finite_of_whoever_bought_and_silence_grows():
    rows = Columns(
        np.concatenate(
            [
                row(),
                row(first_at=DAY, last_at=DAY, newest_at=DAY, purchase_days=1, orders_decayed=1.0),
                row(**REGULAR),
            ]
        )
    )
    assert with_purchases(rows).tolist() == [1, 2]
    bought = Columns(rows.header[1:])
    for now in (0, DAY, 100 * DAY):
        X = churn_features(bought, now)
        assert X.shape == (2, len(CHURN_FEATURES))
        assert np.isfinite(X).all()
    sooner, later = churn_features(bought, 100 * DAY), churn_features(bought, 200 * DAY)
    silence, returned = CHURN_FEATURES.index("silence"), CHURN_FEATURES.index("returned")
    assert (later[:, silence] > sooner[:, silence]).all()
    assert later[:, returned].tolist() == [0, 1]


# ---- figures ----


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(20, 2_000))
def test_live_figures_are_those_of_all_forecasts(seed, count):
    rng = np.random.default_rng(seed)
    p = rng.beta(0.7, 0.7, count)
    happened = rng.random(count) < p
    half = count // 2
    scores = LiveScores()
    losses = scores.add(p[:half], happened[:half])
    scores.add(p[half:], happened[half:])
    assert losses.shape == (half,)
    assert len(scores) == count
    assert scores.log_loss == pytest.approx(log_loss(happened, np.clip(p, 1e-6, 1 - 1e-6), labels=[False, True]))
    if 0 < happened.sum() < count:
        assert scores.auc == pytest.approx(roc_auc_score(happened, p), abs=0.02)
    bins = scores.calibration()
    assert sum(number for *_, number in bins) == count
    assert sum(came * number for _, came, number in bins) == pytest.approx(happened.sum())
    assert [said for said, *_ in bins] == sorted(said for said, *_ in bins)
    if count > 1_000:
        assert max(number for *_, number in bins) < 2 * count / 10


def test_who_is_wrong_about_shares_has_a_calibration_error():
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    right, wrong = LiveScores(), LiveScores()
    right.add(p, rng.random(20_000) < p)
    wrong.add(p, rng.random(20_000) < p / 2)
    assert right.calibration_error < 0.02
    assert wrong.calibration_error == pytest.approx(0.25, abs=0.02)


def test_without_outcomes_there_are_no_figures():
    scores = LiveScores()
    assert (scores.auc, scores.log_loss, scores.calibration_error, scores.calibration()) == (None, None, None, [])
    scores.add(np.array([0.2, 1.0, 0.0]), np.array([True, True, True]))
    assert scores.auc is None  # nobody to compare with
    assert scores.log_loss < 10
    with pytest.raises(ShapeError):
        scores.add(np.array([0.2]), np.array([True, False]))


# ---- learners ----


def customers_who_leave(rng, count):
    """Features of which one decides, and who leaves."""
    X = rng.normal(size=(count, len(CHURN_FEATURES)))
    return X, rng.random(count) < 1 / (1 + np.exp(-2.5 * X[:, 0]))


@pytest.mark.parametrize("kind", LEARNERS)
def test_learners_learn_and_predicting_changes_nothing(kind):
    rng = np.random.default_rng(4)
    learner = ChurnLearner(kind, seed=1)
    X, left = customers_who_leave(rng, 1_500)
    assert learner.predict_many(X[:3]).tolist() == [0.5] * 3
    learner.learn_many(X, left)
    Y, then = customers_who_leave(rng, 1_000)
    first, again = learner.predict_many(Y), learner.predict_many(Y)
    assert first.tolist() == again.tolist()
    assert ((first >= 0) & (first <= 1)).all()
    assert roc_auc_score(then, first) > 0.8
    twin = ChurnLearner(kind, seed=1)
    twin.learn_many(X, left)
    assert twin.predict_many(Y).tolist() == first.tolist()


def test_who_was_only_ever_seen_to_leave_is_no_division_by_zero():
    for kind in LEARNERS:
        learner = ChurnLearner(kind, seed=0)
        learner.learn_many(np.zeros((50, len(CHURN_FEATURES))), np.ones(50, bool))
        assert learner.predict_many(np.zeros((1, len(CHURN_FEATURES))))[0] > 0.5
        stayed = ChurnLearner(kind, seed=0)
        stayed.learn_many(np.zeros((50, len(CHURN_FEATURES))), np.zeros(50, bool))
        assert stayed.predict_many(np.zeros((1, len(CHURN_FEATURES))))[0] < 0.5


# ---- windows ----


FIRST_AT = np.full(len(PEOPLE), 10 * DAY)
NOTHING_SEEN = np.zeros((len(PEOPLE), len(CHURN_FEATURES)))


def test_windows_of_a_customer_follow_one_another_and_begin_on_all_days():
    churn, begun = Churn(days=30), []
    for day in range(19_000, 19_090):
        churn.turn(day * DAY, PEOPLE, NOTHING_SEEN, FIRST_AT, FIRST_AT, heard=day * DAY)
        started = churn.open.get(day * DAY)
        begun.append(np.isin(PEOPLE, started.customers if started is not None else NOBODY))
    begun = np.array(begun)
    for customer in range(len(PEOPLE)):
        days = np.flatnonzero(begun[:, customer])
        assert len(days) == 3
        assert set(np.diff(days)) == {30}
    assert begun.sum(axis=1).min() > 5


def test_what_became_of_a_window_is_read_off_the_last_purchase():
    churn = Churn(days=10)
    begun = churn.begin(100 * DAY, PEOPLE[:5], np.zeros((5, len(CHURN_FEATURES))))
    assert churn.ended(110 * DAY - 1) == []
    (cohort,) = churn.ended(110 * DAY)
    assert cohort is begun
    assert churn.ended(111 * DAY) == []  # handed out once
    last_at = np.array([100 * DAY, 100 * DAY + 1, 109 * DAY + 5, 110 * DAY + 1, MISSING_TIME])
    known, left = churn.settle(cohort, last_at)
    assert known.tolist() == [True, True, True, False, False]  # bought after it only, and erased
    assert left[known].tolist() == [True, False, False]
    assert churn.outcomes.tolist() == [2, 1]


def test_who_was_seen_to_be_back_is_known_although_more_was_bought_after_the_window():
    bought = np.random.default_rng(1).integers(100 * DAY, 112 * DAY, (len(PEOPLE), 6))  # of everybody six purchases
    bought.sort(axis=1)
    found = {}
    for step in (1, 3):
        churn, learnt = Churn(days=10), []
        for day in range(100, 116, step):
            before = np.where(bought < day * DAY, bought, FIRST_AT[:, None]).max(axis=1)
            learnt += churn.turn(day * DAY, PEOPLE, NOTHING_SEEN, FIRST_AT, before, heard=day * DAY)
        found[step] = learnt
        for one in learnt:
            start, end = one.cohort.start, one.cohort.start + 10 * DAY
            own = bought[places_of(one.cohort.customers, PEOPLE)]
            truth = ~((own > start) & (own <= end)).any(axis=1)
            assert (one.left == truth)[one.known].all()
            # Unknown is only whose first purchase since then came after the look before the end.
            assert not (~one.known & ((own > start) & (own < end - step * DAY)).any(axis=1)).any()
    shares = {step: np.concatenate([one.known for one in learnt]).mean() for step, learnt in found.items()}
    assert shares[1] == 1
    assert shares[3] > 0.95


def test_a_clock_that_was_ahead_for_once_spoils_nothing():
    churn, there = Churn(days=10), Churn(days=10)

    def look(day, of=churn, heard=None):
        last_at = np.full(len(PEOPLE), min(day, heard or day) * DAY - 1)  # everybody buys every day
        return of.turn(day * DAY, PEOPLE, NOTHING_SEEN, FIRST_AT, last_at, heard=(heard or day) * DAY)

    for day in range(100, 115):
        look(day)
        look(day, there)
    assert look(480, heard=114) == []  # nothing is heard of later days: nobody is learnt to have stayed away
    for day in range(115, 140):
        look(day)
        look(day, there)
    assert churn.outcomes[1] == 0
    assert churn.outcomes.tolist() == there.outcomes.tolist()
    assert max(churn.open) <= 139 * DAY


def test_a_worker_that_slept_settles_all_windows_in_their_order():
    churn = Churn(days=10)
    for day in (103, 101, 102):
        churn.begin(day * DAY, PEOPLE[:1], np.zeros((1, len(CHURN_FEATURES))))
    churn.begin(104 * DAY, NOBODY, np.zeros((0, len(CHURN_FEATURES))))
    assert [cohort.start for cohort in churn.ended(500 * DAY)] == [101 * DAY, 102 * DAY, 103 * DAY]


def live(churn, days, leaving, rng):
    """Let every window begin and end; `leaving(day)` is what decides, as in customers_who_leave."""
    for day in range(1_000, 1_000 + days):
        for cohort in churn.ended(day * DAY):
            chance = 1 / (1 + np.exp(-leaving(cohort.start // DAY) * cohort.X[:, 0]))
            stays = rng.random(len(chance)) >= chance
            churn.settle(cohort, np.where(stays, cohort.start + 1, cohort.start))
        due = PEOPLE[(PEOPLE >> np.uint64(32)) % np.uint64(churn.days) == day % churn.days]
        cohort = churn.begin(day * DAY, due, rng.normal(size=(len(due), len(CHURN_FEATURES))))
        yield day, cohort


def test_forecasts_are_shown_and_counted_once_enough_is_known_and_are_calibrated():
    churn = Churn(seed=1, days=20)
    stored = {}
    for day, cohort in live(churn, 160, lambda _: 2.5, np.random.default_rng(2)):
        stored[day] = (cohort, {kind: said.copy() for kind, said in cohort.stated.items()})
        if churn.outcomes.sum() < LEAST_OUTCOMES:
            assert not cohort.shown
            assert f"{LEAST_OUTCOMES} are needed" in churn.missing
    assert churn.missing == ""
    for cohort, said in stored.values():  # learning afterwards changes no forecast
        for kind in LEARNERS:
            assert cohort.stated[kind].tolist() == said[kind].tolist()
    shown = sum(len(cohort.customers) for cohort, _ in stored.values() if cohort.shown and cohort.start < 1_140 * DAY)
    assert len(churn.scores["logistic"]) == shown
    assert churn.scores["logistic"].auc > 0.8
    assert churn.scores["logistic"].calibration_error < 0.06
    assert churn.drifts == {"logistic": [], "tree": []}


def test_a_world_that_turns_round_is_found():
    churn = Churn(seed=1, days=20)
    for _ in live(churn, 260, lambda day: 4.0 if day < 1_120 else -4.0, np.random.default_rng(3)):
        pass
    found = churn.drifts["logistic"]
    assert found
    assert 1_140 <= min(found) < 1_200  # outcomes of the new world come after a window


def test_windows_need_not_be_of_whole_shops():
    churn = Churn()
    assert churn.ended(0) == []
    assert churn.turn(3 * DAY, NOBODY, NOTHING_SEEN[:0], FIRST_AT[:0], FIRST_AT[:0], heard=3 * DAY) == []
    nobody = churn.begin(3, NOBODY, np.zeros((0, len(CHURN_FEATURES))))
    known, left = churn.settle(nobody, np.zeros(0, np.int64))
    assert not known.size
    assert not left.size
    assert not churn.ready


# ---- as the leader takes turns ----


@pytest.mark.parametrize("kind", LEARNERS)
def test_what_is_published_says_what_river_would(kind):
    if kind == "tree":
        assert ChurnLearner(kind, seed=1).model.max_depth == TREE_DEPTH
    rng = np.random.default_rng(5)
    learner = ChurnLearner(kind, seed=1)
    for turned in (1.0, -1.0, 1.0):  # a tree that meets other worlds grows others beside its branches
        X = rng.normal(size=(1_200, len(CHURN_FEATURES)))
        learner.learn_many(X, turned * X[:, 0] + X[:, 1] > 0)
        some = rng.normal(size=(100, len(CHURN_FEATURES)))
        rivers = [learner.model.predict_proba_one(dict(zip(CHURN_FEATURES, x, strict=True))) for x in some.tolist()]
        assert learner.predict_many(some) == pytest.approx([one.get(True, 0.0) for one in rivers], abs=1e-9)


def turns(churn, days, after_each=lambda churn: churn):
    """A shop of which some leave, looked at once a day."""
    rng = np.random.default_rng(7)
    rate = rng.gamma(1.0, 0.04, len(PEOPLE))
    last_at = np.full(len(PEOPLE), 999 * DAY)
    for day in range(1_000, 1_000 + days):
        X = rng.normal(size=(len(PEOPLE), len(CHURN_FEATURES)))
        X[:, 0] = np.log(rate)
        churn.turn(day * DAY, PEOPLE, X, FIRST_AT, last_at, heard=day * DAY)
        last_at = np.where(rng.random(len(PEOPLE)) < rate, day * DAY + DAY // 2, last_at)
        churn = after_each(churn)
    return churn


def test_a_leader_that_is_killed_every_day_learns_the_same():
    whole = turns(Churn(seed=3, days=15), 60)
    parts = turns(Churn(seed=3, days=15), 60, lambda churn: decode(encode(churn)))
    X = np.random.default_rng(1).normal(size=(50, len(CHURN_FEATURES)))
    assert whole.outcomes.sum() > LEAST_OUTCOMES
    assert whole.outcomes.tolist() == parts.outcomes.tolist()
    for kind in LEARNERS:
        assert whole.learners[kind].predict_many(X).tolist() == parts.learners[kind].predict_many(X).tolist()
        assert whole.scores[kind].loss == parts.scores[kind].loss
        assert whole.drifts[kind] == parts.drifts[kind]
    assert {start: one.customers.tolist() for start, one in whole.open.items()} == {
        start: one.customers.tolist() for start, one in parts.open.items()
    }


def test_everybody_has_one_window_at_a_time_and_one_after_another_even_where_days_are_missed():
    churn, had = Churn(days=10), {}
    last_at = np.full(len(PEOPLE), 50 * DAY)
    for day in (100, 101, 102, 103, 107, 108, 115, 116, 130, 131):  # 104 to 106 and more were slept through
        churn.turn(day * DAY, PEOPLE, NOTHING_SEEN, FIRST_AT, last_at, heard=day * DAY)
        held = np.concatenate([cohort.customers for cohort in churn.open.values()])
        assert len(np.unique(held)) == len(held)
        for one in held.tolist():
            had.setdefault(one, set())
        for start, cohort in churn.open.items():
            for one in cohort.customers.tolist():
                had[one].add(start // DAY)
    assert set(had) == set(PEOPLE.tolist())
    assert all(later - former >= 10 for starts in had.values() for former, later in itertools.pairwise(sorted(starts)))


def test_who_is_erased_leaves_open_windows_with_the_next_turn():
    churn = Churn(days=10)
    X, last_at = NOTHING_SEEN, np.full(len(PEOPLE), 50 * DAY)
    for day in range(100, 105):
        churn.turn(day * DAY, PEOPLE, X, FIRST_AT, last_at, heard=day * DAY)
    gone, again = next(iter(churn.open.values())).customers[:2]
    assert gone in waiting_in(encode(churn))
    stays = gone != PEOPLE
    # The other one was erased, too, and has bought since: of the window that is open nothing is known any more.
    first_at = np.where(again == PEOPLE, 104 * DAY + 1, FIRST_AT)
    churn.turn(105 * DAY, PEOPLE[stays], X[stays], first_at[stays], last_at[stays], heard=105 * DAY)
    for one in (gone, again):
        assert all(one not in cohort.customers for cohort in churn.open.values())
        assert one not in waiting_in(encode(churn))
        assert one.tobytes() not in zlib.decompress(encode(churn))
    assert places_of(np.array([gone]), PEOPLE[stays]).tolist() == [-1]


def test_what_was_not_written_by_it_is_not_read():
    churn = Churn()
    churn.begin(100 * DAY, PEOPLE[:5], NOTHING_SEEN[:5])
    memory = msgspec.msgpack.decode(zlib.decompress(encode(churn)))
    harms = {
        pickle.dumps(os.system): "system",
        b"cposix\nsystem\n(S'true'\ntR.": "system",
        b"criver.linear_model\nGoneRegression\n.": "GoneRegression",  # a class that this version of river has not
        b"criver.gone\nRegression\n.": "gone",
        pickle.dumps(1): "int",
        b"": "can not be read",
    }
    for harm, named in harms.items():
        broken = {**memory, "models": {**memory["models"], "tree": harm}}
        with pytest.raises(ChurnMemoryError, match=named):
            decode(packed(broken))
    (window,) = memory["cohorts"]
    for spoilt in ({"X": b"12345"}, {"stated": {}}, {"customers": b"1"}, {"back": b"\1"}):
        with pytest.raises(ChurnMemoryError):
            decode(packed({**memory, "cohorts": [{**window, **spoilt}]}))
    for nothing in (b"nothing", b"", zlib.compress(b"nothing")):
        with pytest.raises(ChurnMemoryError):
            decode(nothing)
        with pytest.raises(ChurnMemoryError):
            waiting_in(nothing)


def test_what_an_earlier_version_remembered_is_read():
    churn = Churn(days=10)
    churn.begin(100 * DAY, PEOPLE[:5], NOTHING_SEEN[:5])
    memory = msgspec.msgpack.decode(zlib.decompress(encode(churn)))
    del memory["cohorts"][0]["back"]
    memory["seen"] = {"logistic": 3, "tree": 3}
    assert decode(packed(memory)).open[100 * DAY].back.tolist() == [False] * 5


def packed(memory):
    return zlib.compress(msgspec.msgpack.encode(memory))
