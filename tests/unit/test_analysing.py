"""What analysts' pages read of a deployment: samples, lassos over all customers, versions, trials, dead letters."""

import numpy as np
import pytest

from contracts.segment_names import OwnName
from dashboard.lasso import Axis, Lasso, LassoError
from livesegments.app import Deployment
from livesegments.settings import Settings
from livesegments.web.analysing import StateAnalysis
from livesegments.web.rows import StateRows
from online_model.condition import And, Between, Compare, Or
from online_model.rules import parse
from online_model.settings import ModelSettings
from tests.in_process import InProcess
from tests.unit.test_model_versions import purchases

BUYERS = 120


@pytest.fixture(scope="module")
def shop():
    shop = InProcess(3, model=ModelSettings(first_model_buyers=40, by_rule_buyers=0, by_rule_days=0, k=4))
    shop.publish(*purchases(0, BUYERS))
    shop.publish(b"no event", b'{"type": "wish"}', b"nor this", partition=1)
    shop.run()
    return shop


@pytest.fixture
def analysis(shop):
    deployment = Deployment(Settings(clock="event"), shop.logs, shop.state, shop.views)
    return StateAnalysis(deployment, StateRows(shop.state, "Out of scope"))


def lasso_of(sample, corners, **more) -> Lasso:
    return Lasso(
        **{"version": sample.model.version, "now": sample.now, "x": Axis(0), "y": Axis(2), "corners": corners, **more}
    )


def box(sample, low, high):
    """Between these quantiles of recency and of money."""
    left, right = np.quantile(sample.X[:, 0], (low, high)).tolist()
    bottom, top = np.quantile(sample.X[:, 2], (low, high)).tolist()
    return ((left, bottom), (right, bottom), (right, top), (left, top))


def test_a_small_shop_s_sample_is_everybody_where_they_are_published(shop, analysis):
    sample = analysis.sample()
    rows = shop.rows()
    assert sorted(sample.customer_ids) == sorted(rows)
    assert {who: rows[who]["segment"] for who in rows} == dict(
        zip(sample.customer_ids, sample.segments.tolist(), strict=True)
    )
    assert sample.all_customers == len(rows)
    assert set(sample.names.values()) <= {one.name for one in sample.model.segments}
    assert analysis.sample() is sample


def test_a_lasso_holds_exactly_those_inside_among_all_customers(analysis):
    sample = analysis.sample()
    lasso = Lasso.read(str(lasso_of(sample, box(sample, 0.2, 0.8))))
    inside = lasso.holds(sample.X, sample.segments, sample.model)
    assert 0 < inside.sum() < len(inside)
    batches = list(analysis.inside(lasso))
    found = [who for batch in batches for who in batch.column("customer_id").to_pylist()]
    assert sorted(found) == sorted(np.array(sample.customer_ids)[inside].tolist())
    assert len(batches) > 1, "it is streamed"
    ids, counts = np.unique(sample.segments[inside], return_counts=True)
    assert analysis.count(lasso) == dict(zip(ids.tolist(), counts.tolist(), strict=True))


def test_a_lasso_on_the_directions_in_which_customers_differ_most_and_of_one_segment(analysis):
    sample = analysis.sample()
    projection = sample.projection(2)
    axes = {"x": Axis.of_component(projection, 0), "y": Axis.of_component(projection, 1)}
    segment = int(sample.segments[0])
    lasso = lasso_of(sample, ((-9.0, -9.0), (9.0, -9.0), (9.0, 9.0), (-9.0, 9.0)), **axes, segments=(segment,))
    assert analysis.count(lasso) == {segment: int((sample.segments == segment).sum())}


def test_a_lasso_of_another_time_is_refused_at_once(analysis):
    sample = analysis.sample()
    corners = box(sample, 0.1, 0.9)
    for lasso in (lasso_of(sample, corners, version=999), lasso_of(sample, corners, x=Axis(17))):
        with pytest.raises(LassoError):
            analysis.inside(lasso)


def test_versions_are_told_with_names_of_one_s_own(shop, analysis):
    newest = analysis.versions()[0]
    own = OwnName(name="Our best")
    shop.state.put_segment_name(newest.segments[0].id, own.model_dump_json().encode())
    try:
        renamed = analysis.versions()[0]
        assert [one.name for one in renamed.segments] == ["Our best", *(one.name for one in newest.segments[1:])]
    finally:
        shop.state.put_segment_name(newest.segments[0].id, None)


def test_trying_out_changes_nothing(shop, analysis):
    before = shop.state.model()
    trial = analysis.try_out(3, ("recency", "monetary"))
    assert trial.model.k == 3
    assert trial.model.features == ("recency", "monetary")
    assert trial.customers == len(shop.rows())
    assert shop.state.model() == before


def test_dead_letters_by_reason_with_the_newest_as_an_example(analysis):
    found = {one.reason: one for one in analysis.letters()}
    assert {reason: one.open for reason, one in found.items()} == {"not-json": 2, "unknown-type": 1}
    assert found["not-json"].text == "nor this"
    assert "wish" in found["unknown-type"].text


def test_an_exploration_is_of_all_or_of_one_segment(shop, analysis):
    facts = dict(analysis.explore(None).facts)
    assert facts["customers"] == f"{len(shop.rows())}"
    segment = int(analysis.sample().segments[0])
    explored = analysis.explore(segment)
    own = sum(row["segment"] == segment for row in shop.rows().values())
    assert dict(explored.facts)["customers"] == f"{own}"
    assert [section.title for section in explored.sections] == ["Customers", "What the model compares"]
    assert all(figure.spec["data"] for section in explored.sections for figure in section.figures)


def test_a_rule_says_how_close_it_comes_among_all_customers(shop, analysis):
    sample = analysis.sample()
    lasso = lasso_of(sample, box(sample, 0.2, 0.8))
    inside = lasso.holds(sample.X, sample.segments, sample.model)
    exact = analysis.rule(lasso)
    assert (exact.both, exact.lasso_only, exact.rule_only) == (inside.sum(), 0, 0)
    assert exact.f1 == 1
    (left, low), (right, high) = lasso.box
    half = lasso_of(sample, ((left, low), (right, low), ((left + right) / 2, 2 * high)))
    near = analysis.rule(half)
    assert near.both + near.lasso_only == half.holds(sample.X, sample.segments, sample.model).sum()
    # What it says it would hold is what a worker would find.
    assert near.both + near.rule_only == held(shop, sample, near.condition)
    assert 0.5 < near.f1 <= 1


def held(shop, sample, condition) -> int:
    """Of all rows, by recency and money alone."""
    found = [
        {"recency_days": days, "features.monetary": X[2]}
        for days, X in zip(sample.told[:, 0].tolist(), sample.X.tolist(), strict=True)
    ]
    assert len(found) == len(shop.rows())
    return sum(holds_of(parse(condition).condition, one) for one in found)


def holds_of(condition, known) -> bool:
    match condition:
        case And(parts):
            return all(holds_of(part, known) for part in parts)
        case Or(parts):
            return any(holds_of(part, known) for part in parts)
        case Between(field, low, high):
            return low.value <= known[field] <= high.value
        case Compare(field, sign, value):
            return known[field] <= value.value if sign == "<=" else known[field] >= value.value


def test_there_is_no_rule_for_the_map_of_another_version(analysis):
    sample = analysis.sample()
    assert analysis.rule(lasso_of(sample, box(sample, 0.2, 0.8), version=99)) is None
