"""Figures say what the documents say that they are made from."""

from datetime import UTC, date, timedelta

import numpy as np
import pytest

from contracts.documents import DayMoves, HistoryDay, KFigures, KLook, ReviewDocument, SegmentDay, WorkerStatus
from contracts.model import DescentDocument
from dashboard.figures import explored, flows, k_curves, points, quality, timeline, tree
from dashboard.figures.measures import axis_ticks
from online_model.features import FeatureSet
from tests.map_sample import AT, HOSTILE, sample, version

DAY0 = date(2026, 11, 1)


# ---- how many segments ----


def review(**more) -> ReviewDocument:
    curves = [
        KFigures(
            k=k,
            inertia=(3.0 / k, 2.9 / k, 3.2 / k),
            silhouette=(0.5 - 0.02 * k, 0.45 - 0.02 * k, 0.55 - 0.02 * k),
            smallest_share=0.3 / k,
            stability=1 - 0.01 * k,
        )
        for k in range(2, 9)
    ]
    look = KLook(
        at=AT,
        customers=2000,
        curves=curves,
        chosen=4,
        natural=False,
        reason="no natural number of groups",
        agreeing_reviews=1,
        needed_reviews=3,
        verdict="stays at 5",
    )
    return ReviewDocument(
        **{"at": AT, "model_version": 3, "customers": 900, "outcome": "nothing adopted", "k": 5, "look": look, **more}
    )


@pytest.mark.parametrize("measure", k_curves.MEASURES, ids=lambda one: one.name)
def test_a_curve_is_the_review_s_with_its_band_and_both_marks(measure):
    document = review()
    drawn = k_curves.k_curve(document, measure, "light")
    by_name = {trace.name: trace for trace in drawn.data}
    expected = [getattr(one, measure.name) for one in document.look.curves]
    values = [one[0] if isinstance(one, tuple) else one for one in expected]
    curve = by_name[measure.title]
    assert (list(curve.x), list(curve.y)) == (list(range(2, 9)), values)
    assert list(by_name["in force"].y) == [values[5 - 2]]
    assert list(by_name["chosen"].y) == [values[4 - 2]]
    if isinstance(expected[0], tuple):
        band = by_name["in 80 % of resamples"]
        assert list(band.y[:7]) == [one[2] for one in expected]
        assert list(band.y[7:]) == [one[1] for one in reversed(expected)]


def test_why_that_number_is_said_in_words():
    assert k_curves.told(review()) == [
        "The curves speak for 4 segments; 5 are in force.",
        "Nothing adopted.",
        "No natural number of groups.",
        "Stays at 5.",
        "1 of 3 reviews in a row have said so.",
    ]
    assert "No review yet" in k_curves.told(None)[0]
    assert k_curves.told(review(look=None)) == ["Nothing adopted."]


# ---- the tree, versions ----


def test_the_dendrogram_s_branches_are_the_merges_and_the_cut_lies_between_two_of_them():
    made = tree.SegmentTree.of(version())
    drawn = tree.dendrogram(made, 2, "light")
    branches = [trace for trace in drawn.data if trace.mode == "lines"]
    assert [branch.x[1] for branch in branches] == list(made.heights)
    assert made.heights[0] < drawn.layout.shapes[0].x0 < made.heights[1]
    leaves = next(trace for trace in drawn.data if trace.mode == "markers")
    assert [row[1] for row in leaves.customdata] == ["50", "30", "20"]
    assert "<img" not in drawn.to_json().replace("\\u003c", "<")


def test_the_preview_of_a_cut_is_what_the_tree_says():
    made = tree.SegmentTree.of(version())
    assert [tree.as_sentence(one) for one in made.cut(2)] == [
        "A and B together, 80 customers",
        f"{HOSTILE}, 20 customers",
    ]
    assert [group.customers for group in made.cut(1)] == [100]
    for groups in (1, 2, 3):
        labels = made.dendrogram.cut_at(made.cut_height(groups))
        assert labels.max() + 1 == groups


def test_what_became_of_segments_stands_on_the_time_line():
    born = DescentDocument(segment_id=3, name=HOSTILE, kind="split", origins=((2, 0.9), (1, 0.1)))
    gone = DescentDocument(segment_id=2, name="B", kind="merged", heirs=((1, 1.0),))
    versions = [
        version(3, centroids=((0, 0), (3, 3)), names=("A", HOSTILE), lineage=(gone,)),
        version(2, lineage=(born,)),
        version(1, centroids=((0, 0), (1, 1)), names=("A", "B")),
    ]
    told = [one.told() for one in timeline.lineage(versions)]
    assert told == [f"{HOSTILE} split off: from 90% B, 10% A", "B was merged into another: now in 100% A"]
    drawn = timeline.timeline(versions, "dark")
    marks = {trace.name: trace for trace in drawn.data if trace.mode == "markers"}
    assert list(marks["split off"].y) == [2]
    assert [one.replace(tzinfo=UTC) for one in marks["was merged into another"].x] == [AT + timedelta(days=3)]
    spans = [len(trace.x) for trace in drawn.data if trace.mode == "lines+markers"]
    assert spans == [3, 3, 1]


def test_drift_is_the_distance_from_where_a_segment_is_now():
    versions = [version(2, centroids=((3.0, 4.0), (1, 1), (2, 2))), version(1, centroids=((0.0, 0.0), (1, 1), (2, 2)))]
    found = timeline.drifts(versions)
    assert [round(distance, 9) for _, distance in found[1]] == [5.0, 0.0]
    assert [distance for _, distance in found[2]] == [0.0, 0.0]
    other = version(1).model_copy(update={"order_value": 11.0})
    assert [len(path) for path in timeline.drifts([versions[0], other]).values()] == [1, 1, 1]
    drawn = timeline.drift(versions, "light")
    assert list(drawn.data[0].y) == [distance for _, distance in found[1]]


# ---- flows ----


def days() -> list[HistoryDay]:
    def day(number, *moves):
        segments = [
            SegmentDay(id=1, name=f"A{number}", size=5, orders=1, net_revenue=1.0),
            SegmentDay(id=2, name=HOSTILE, size=5, orders=1, net_revenue=1.0),
        ]
        told = [DayMoves(from_segment=a, to_segment=b, cause=cause, customers=n) for a, b, cause, n in moves]
        return HistoryDay(day=DAY0 + timedelta(days=number), segments=segments, moves=told)

    return [
        day(0, (None, 1, "purchase", 4), (1, 2, "time", 3)),
        day(1, (1, 2, "time", 2), (1, 2, "purchase", 1), (2, None, "erased", 1)),
    ]


def test_a_sankey_s_bands_are_the_moves_of_all_days_by_cause():
    found = flows.flows(days())
    assert {(one.origin, one.target, one.cause): one.customers for one in found} == {
        (1, 2, "time"): 5,
        (None, 1, "purchase"): 4,
        (1, 2, "purchase"): 1,
        (2, None, "erased"): 1,
    }
    names = flows.segment_names(days())
    assert (names[1], names[2], names[0]) == ("A1", HOSTILE, "No purchases yet")
    trace = flows.sankey(found, names, "light").data[0]
    labels = trace.node.label
    bands = {
        (labels[a], labels[b], cause): n
        for a, b, cause, n in zip(
            trace.link.source, trace.link.target, trace.link.customdata, trace.link.value, strict=True
        )
    }
    hostile = "&lt;img src=x onerror=alert(1)&gt;"
    assert bands == {
        ("A1", hostile, "time passing"): 5,
        ("First seen", "A1", "purchase"): 4,
        ("A1", hostile, "purchase"): 1,
        (hostile, "Erased", "erasure"): 1,
    }


def test_flows_of_some_causes_and_of_a_period():
    assert [one.customers for one in flows.flows(days(), {"time"})] == [5]
    later = flows.period(days(), DAY0 + timedelta(days=1), DAY0 + timedelta(days=9))
    assert sum(one.customers for one in flows.flows(later)) == 4


def test_moves_by_day_add_up_to_the_days():
    drawn = flows.moves_by_day(days(), "light")
    bars = {trace.name: list(trace.y) for trace in drawn.data}
    assert bars == {"purchase": [4, 1], "time passing": [3, 2], "erasure": [0, 1]}


# ---- the map ----


def view(drawn_from, *axes, **more):
    chosen = points.directions(drawn_from, axes)
    return points.View(**{"axes": chosen, "mode": "light", "currency": "GBP", "shown_id": str, **more})


@pytest.mark.parametrize("axes", [("mix-1", "mix-2"), ("recency", "monetary")])
def test_every_customer_of_the_sample_is_on_the_map_where_its_features_say(axes):
    drawn_from = sample()
    found = points.points(drawn_from, view(drawn_from, *axes))
    X = drawn_from.projection(2).place(drawn_from.X) if axes[0] == "mix-1" else drawn_from.X
    assert np.allclose(np.column_stack([found["x"], found["y"]]), X, atol=1e-4)
    names = [found["names"][place] for place in found["group"]]
    assert names == [drawn_from.names[one] for one in drawn_from.segments.tolist()]
    assert found["ids"] == list(drawn_from.customer_ids)


@pytest.mark.parametrize("axes", [("mix-1", "mix-2"), ("recency", "monetary")])
def test_the_figure_around_it_has_room_for_all_and_the_middles_of_segments(axes):
    drawn_from = sample()
    looked = view(drawn_from, *axes)
    drawn = points.flat(drawn_from, looked)
    x = np.array(points.points(drawn_from, looked)["x"])
    low, high = drawn.layout.xaxis.range
    assert low < x.min() <= x.max() < high
    centroids = drawn_from.model.centroids
    expected = drawn_from.projection(2).place(centroids) if axes[0] == "mix-1" else centroids
    assert np.allclose(np.column_stack([drawn.data[-1].x, drawn.data[-1].y]), expected)
    assert "<img" not in drawn.to_json().replace("\\u003c", "<")


def test_in_depth_every_customer_is_there_too():
    drawn_from = sample()
    drawn = points.deep(drawn_from, view(drawn_from, "mix-1", "mix-2", "recency"))
    assert sum(len(trace.x) for trace in drawn.data[:-1]) == len(drawn_from.X)
    assert np.allclose(np.sort(np.concatenate([trace.z for trace in drawn.data[:-1]])), np.sort(drawn_from.X[:, 0]))
    assert "<img" not in drawn.to_json().replace("\\u003c", "<")


def test_what_is_told_of_a_point_is_in_the_units_that_people_use():
    drawn_from = sample()
    found = points.points(drawn_from, view(drawn_from, "recency", "monetary", shown_id=lambda _: "masked"))
    days_told, money_told = found["told"]
    assert days_told["after"] == " days since the last order"
    assert money_told["after"].startswith(" GBP net")
    assert np.allclose(days_told["values"], np.expm1(drawn_from.X[:, 0]) * 30, atol=0.01)
    assert set(found["ids"]) == {"masked"}


def test_only_the_segments_that_are_wanted_and_outliers_marked():
    drawn_from = sample()
    found = points.points(drawn_from, view(drawn_from, "recency", "monetary", segments=[3]))
    assert found["names"] == [drawn_from.names[3]]
    assert len(found["x"]) == (drawn_from.segments == 3).sum()
    assert sum(found["far"]) == (drawn_from.outlying & (drawn_from.segments == 3)).sum() > 0
    assert len(points.directions(drawn_from, ("recency", "gone"))) == 1


def test_ticks_of_a_logarithmic_axis_are_round_numbers_of_days():
    column = FeatureSet.of(("recency",)).columns[0]
    ticks = axis_ticks(column, np.log1p(np.array([0.0, 400.0]) / 30), 10.0)
    days_told = [float(text.replace(",", "")) for text in ticks["ticktext"]]
    assert np.allclose(np.expm1(ticks["tickvals"]) * 30, days_told)
    assert 0 in days_told
    assert 200 in days_told


# ---- events, explorations ----


def test_what_workers_counted_is_added_up():
    def worker(name, **counts):
        return WorkerStatus(
            worker=name,
            started_at=AT,
            at=AT,
            interval_s=1,
            records=1,
            events_per_s=1,
            lag=0,
            partitions=1,
            customers=1,
            model_version=1,
            oldest_dirty_view_s=0,
            moves={},
            events=counts,
        )

    total = quality.added([worker("a", purchase=3, profile=1), worker("b", purchase=4)], "events")
    assert total == {"purchase": 7, "profile": 1}
    assert quality.ordered({**total, "return": 0}) == [("purchase", 7, 1.0), ("profile", 1, 1 / 7)]


def test_an_exploration_s_figure_keeps_its_numbers_and_takes_our_colours():
    spec = {
        "data": [{"type": "heatmap", "z": [[1.0, 0.5]], "colorscale": "diverging", "texttemplate": "%{z}"}],
        "layout": {"shapes": [{"type": "line", "x0": 1, "x1": 1, "y0": 0, "y1": 1, "name": "median"}], "height": 5},
    }
    drawn = explored.explored(spec, "dark")
    assert [list(row) for row in drawn.data[0].z] == [[1.0, 0.5]]
    assert drawn.data[0].colorscale[0][1] == "#8f4a1c"
    assert drawn.layout.height is None
    assert len(drawn.layout.shapes) == 1


def test_a_segment_has_its_colour_wherever_it_stands_in_a_legend():
    known = {"Loyal": "#111111"}
    assert explored.colors(["A", "Loyal"], 3, known, "light")[1] == "#111111"
    spec = {"data": [{"type": "scatter", "x": [1]}, {"type": "scatter", "x": [2]}], "layout": {}}
    drawn = explored.explored(spec, "light", explored.colors(["A", "Loyal"], 2, known, "light"))
    assert drawn.data[1].marker.color == "#111111"
