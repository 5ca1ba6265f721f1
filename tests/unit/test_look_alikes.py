"""Who is most like an audience."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.times import DAY
from livesegments.explaining import Explainer
from livesegments.look_alikes import NoModelError, _Best, _Sample, look_alikes, write_look_alikes
from livesegments.records import Records, read_document
from livesegments.row_lists import NoSuchAudienceError
from livesegments.segment_names import SegmentNames
from online_model.look_alikes import LEAST_MEMBERS, Likeness, TooFewError
from online_model.metric import Metric
from online_model.model import SegmentModel
from online_model.rules import audiences, parse
from tests.deployment import LEARN_ITEMS_ONCE
from tests.in_process import START, InProcess, fixed_model
from tests.unit.test_segment_commands import purchase


def two_features(draw, customers=4_000):
    X = np.stack([draw.normal(3, 2, customers), draw.normal(-1, 0.5, customers)], axis=1)
    return X, Metric.of_sample(X)


# ---- the score ----


@pytest.mark.parametrize(
    ("inside", "best"),
    [
        (lambda X: X[:, 0] > 5, "end"),
        (lambda X: np.abs(X[:, 0] - 3) < 0.5, "middle"),
        (lambda X: np.abs(X[:, 0] - 3) > 3, "both ends"),
    ],
)
def test_hidden_members_come_first(inside, best):
    X, metric = two_features(np.random.default_rng(1))
    members = np.flatnonzero(inside(X))
    known, hidden = members[::2], members[1::2]
    rest = np.setdiff1d(np.arange(len(X)), known)
    scores = Likeness.learn(metric, X[known], X[rest]).scores(X[rest])
    first = rest[np.argsort(-scores)][: len(hidden)]
    assert np.isin(first, hidden).mean() > 0.9, best


def test_reasons_are_the_features_that_set_members_apart():
    X, metric = two_features(np.random.default_rng(1))
    likeness = Likeness.learn(metric, X[X[:, 1] > 0], X)
    parts = likeness.reasons(np.array([[3.0, 0.2], [np.nan, 0.2], [3.0, -1.0]]))
    assert parts[0, 1] > abs(parts[0, 0])
    assert parts[1, 0] == -np.inf
    assert parts[2, 1] < parts[0, 1]
    assert likeness.typical[1] == pytest.approx(np.median(X[X[:, 1] > 0, 1]))


def test_what_is_missing_constant_or_far_out_breaks_nothing():
    X, _ = two_features(np.random.default_rng(1), 300)
    X = np.concatenate([X, np.full((300, 1), 7.0)], axis=1)
    X[::3, 1] = np.nan
    X[5] = np.nan
    X[7, 0] = 1e9
    metric = Metric.of_sample(X[8:])
    likeness = Likeness.learn(metric, X[:40], X[40:])
    scores = likeness.scores(X)
    assert np.flatnonzero(np.isnan(scores)).tolist() == [5]
    assert ((scores[~np.isnan(scores)] >= 0) & (scores[~np.isnan(scores)] <= 1)).all()
    everything = Likeness.learn(metric, X[:40][~np.isnan(X[:40, 0])], X[:40])
    assert np.nanmax(np.abs(everything.scores(X[:40]) - 0.5)) < 0.2, "members are like members"


def test_from_too_few_nothing_is_learnt():
    X, metric = two_features(np.random.default_rng(1), 100)
    with pytest.raises(TooFewError, match=f"{LEAST_MEMBERS - 1} members"):
        Likeness.learn(metric, X[: LEAST_MEMBERS - 1], X)
    with pytest.raises(TooFewError, match="nobody else"):
        Likeness.learn(metric, X, X[:0])


# ---- sample and heap ----


def records_of(ids):
    header = np.zeros(len(ids), [("segment", "i4")])
    return Records(ids, header, (), (), (), 0)


Scores = st.lists(st.sampled_from([0.1, 0.2, 0.5, np.nan]), max_size=40)


@settings(max_examples=50, deadline=None)
@given(Scores, st.integers(1, 7), st.integers(1, 9), st.randoms(use_true_random=False))
def test_the_best_are_those_of_sorting_all_in_whatever_order_rows_come(scores, most, piece, draw):
    people = [(f"c{n}", score) for n, score in enumerate(scores)]
    expected = sorted((one for one in people if not np.isnan(one[1])), key=lambda one: (-one[1], one[0]))[:most]
    draw.shuffle(people)
    best = _Best(most)
    for start in range(0, len(people), piece):
        part = people[start : start + piece]
        best.take(records_of([who for who, _ in part]), np.zeros((len(part), 2)), np.array([s for _, s in part]))
    assert [(one.customer_id, one.score) for one in best.ordered()] == expected


def test_a_sample_is_the_same_whatever_the_order_of_rows():
    ids = [f"c{n}" for n in range(1_000)]

    def sampled(order):
        sample = _Sample(30)
        for start in range(0, len(order), 70):
            part = order[start : start + 70]
            X = np.array([[float(one[1:])] for one in part])
            sample.take(records_of(part), X, np.ones(len(part), bool))
        return sample.seen, sorted(sample.X(1)[:, 0].tolist())

    seen, one = sampled(ids)
    assert (seen, len(one)) == (1_000, 30)
    assert sampled(ids[::-1]) == (seen, one)
    assert 300 < np.mean(one) < 700
    assert _Sample(5).X(3).shape == (0, 3)


# ---- over rows ----


@pytest.fixture(scope="module")
def shop():
    shop = InProcess(
        3,
        recommender=LEARN_ITEMS_ONCE,
        forecasts=False,
        audiences=audiences({"Named": "spend >= 100 and tenure_days > 85", "Nobody": "spend > 1e9"}),
        scope=parse("spend < 500", segments=False),
    )
    shop.adopt(fixed_model())
    for n in range(400):
        price = 30.0 if n % 4 else 8.0
        shop.publish(*(purchase(f"c{n}", 1 + n % 50 + 20 * order, price) for order in (3, 2, 1, 0)))
    shop.publish(purchase("=trade", 1, 900.0))
    shop.run()
    return shop


def explainer(shop, *, bare=False):
    document = read_document(shop.state)
    model = None if bare else SegmentModel.from_document(document)
    return Explainer(
        state=shop.state, names=SegmentNames(shop.state, document), model=model, now=START - DAY, currency="GBP"
    )


def test_look_alikes_are_no_members_and_said_why(shop, tmp_path):
    told = look_alikes(explainer(shop), "Named", 25)
    members = {who for who, row in shop.rows().items() if row["spend"] >= 100e6}
    found = [one.customer_id for one in told.found]
    assert len(set(found)) == len(found) == 25
    assert "=trade" not in found, "whom the scope leaves out is not compared"
    near = [who for who in found if who in members]
    assert len(near) > 20, "who spent as much, but is not customer for as long"
    assert [one.score for one in told.found] == sorted((one.score for one in told.found), reverse=True)
    assert told.members + told.others == 400
    assert any("members:" in text for one in told.found for text in one.why)
    assert all(len(one.why) <= 2 for one in told.found)
    assert told.found == look_alikes(explainer(shop), "Named", 25).found
    assert [one.customer_id for one in look_alikes(explainer(shop), "Named", 3).found] == found[:3]
    for name in ("a.csv", "a.parquet"):
        assert write_look_alikes(tmp_path / name, told, lambda segment: f"=Segment {segment}") == 25
    csv, parquet = pd.read_csv(tmp_path / "a.csv"), pd.read_parquet(tmp_path / "a.parquet")
    assert list(csv.columns) == list(parquet.columns)
    assert csv.customer_id.tolist() == parquet.customer_id.tolist() == found
    assert csv.segment_name[0].startswith("'=Segment")
    assert parquet.segment_name[0].startswith("=Segment")


def test_where_nothing_can_be_compared(shop):
    with pytest.raises(NoSuchAudienceError, match="there are Named, Nobody"):
        look_alikes(explainer(shop), "Else", 5)
    with pytest.raises(TooFewError, match="0 members"):
        look_alikes(explainer(shop), "Nobody", 5)
    with pytest.raises(NoModelError, match="no segments yet"):
        look_alikes(explainer(shop, bare=True), "Named", 5)
