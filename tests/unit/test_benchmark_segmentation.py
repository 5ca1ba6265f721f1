"""The measuring instruments: figures on hand-made moves and clusters, and a small table from end to end."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.calmness import Events, ids_reused, kept, moves_between_segments, moves_by_cause, unexplained
from benchmarks.clusterings import compare, silhouette
from benchmarks.in_time_order import Moves, Population, in_slices
from benchmarks.segmentation import main
from contracts.times import DAY, HOUR
from online_model.adoption import first_model
from online_model.settings import ModelSettings
from producer.message import Message

MODEL = ModelSettings(k=3)


def moves(*rows):
    """(customer, day, before, after, cause)"""
    who, days, before, after, causes = zip(*rows, strict=True)
    at = np.array([round(day * DAY) for day in days])
    return Moves(who, at, np.array(before, np.int32), np.array(after, np.int32), causes)


def bought(*rows):
    who, days = zip(*rows, strict=True)
    return Events(["purchase"] * len(who), who, [round(day * DAY) for day in days])


ENTER = [(who, 0.1, -1, 1, "model") for who in "abcd"]


def test_who_leaves_without_buying_is_counted_on_that_day():
    happened = moves(*ENTER, ("a", 1.5, 1, 2, "time"), ("b", 1.5, 1, 2, "purchase"))
    shares = kept(happened, bought(("a", 0.0), ("b", 1.5)), [0, 1, 2])
    # Day 0: nobody is in a segment yet. Day 1: a, c, d did not buy, a left. Day 2: all four stayed.
    assert shares["kept_per_day_worst"] == pytest.approx(2 / 3)
    assert shares["kept_per_day_median"] == pytest.approx((2 / 3 + 1) / 2)
    assert shares["kept_per_day"] == pytest.approx(6 / 7)


def test_moves_by_an_adoption_are_not_counted():
    happened = moves(*ENTER, ("a", 1.5, 1, 2, "model"))
    assert kept(happened, bought(("a", 0.0)), [0, 1])["kept_per_day"] == 1


def test_two_weeks_are_two_weeks_of_the_calendar_and_whole_ones_only():
    happened = moves(*ENTER, ("a", 10.0, 1, 2, "time"), ("a", 12.0, 2, 3, "time"), ("b", 16.0, 1, 2, "time"))
    shares = kept(happened, bought(("c", 12.0)), [0, 1, 2, 10, 12, 15, 16])
    # From day 1 to 14: c bought, a left (once is enough), b and d stayed. From day 2 to 15 the same. From day 0 nobody
    # is in a segment, from day 10 on there are no 14 days left.
    assert shares["kept_per_14_days"] == pytest.approx(2 / 3)
    assert shares["kept_per_14_days_worst"] == pytest.approx(2 / 3)


def test_without_anybody_there_is_no_share():
    shares = kept(moves(("a", 0.5, -1, 0, "profile")), bought(("a", 3.0)), [0, 3])
    assert set(shares.values()) == {None}


def test_moves_count_between_learned_segments_only():
    happened = moves(*ENTER, ("a", 1.0, 1, 2, "time"), ("a", 2.0, 2, 1, "purchase"), ("b", 3.0, 1, 0, "return"))
    assert moves_between_segments(happened) == 2
    assert moves_by_cause(happened) == {"purchase": 1, "return": 0, "profile": 0, "alias": 0, "time": 1, "model": 0}


def test_moves_that_nothing_explains_are_counted():
    model = population(customers()).model
    happened = moves(
        ("a", 1.5, 1, 2, "purchase"),
        ("b", 1.5, 1, 2, "purchase"),
        ("b", 1.5, 1, 2, "return"),
        ("b", 1.5, 1, 2, "time"),
        ("b", 0.0, 1, 2, "model"),
        ("b", 1.5, 1, 2, "model"),
    )
    assert unexplained(happened, bought(("a", 1.2), ("b", 0.2)), [model]) == 3


def customers(seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    X = np.array([[0.0, 0, 0], [6, 0, 3], [0, 6, 3]])[rng.integers(0, 3, 300)] + rng.normal(0, 1, (300, 3))
    X[rng.random(X.shape) < missing] = np.nan
    return X[~np.isnan(X).all(axis=1)]


def population(X, centroids=None):
    model = first_model(X, 1.0, 3, 1, 0, settings=MODEL)
    if centroids is not None:
        model = type(model).from_document(
            model.to_document().model_copy(
                update={
                    "segments": tuple(
                        one.model_copy(update={"centroid": tuple(row)})
                        for one, row in zip(model.to_document().segments, centroids(model.centroids), strict=True)
                    )
                }
            )
        )
    return Population(model, tuple(map(str, range(len(X)))), X, model.assign(X))


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_beside_batch_k_means(missing):
    X = customers(missing=missing)
    X[:, 2] = 1.0  # constant: of no weight
    best = compare(population(X), seed=0, silhouettes=True)
    assert best.inertia_ratio == pytest.approx(1.0, abs=0.02)
    assert best.ari > 0.8
    assert best.silhouette == pytest.approx(best.silhouette_batch, abs=0.05)
    worse = compare(population(X, lambda centroids: centroids + np.array([1.0, 0, 0])), seed=0, silhouettes=False)
    assert worse.inertia_ratio > 1.1
    assert worse.silhouette is None


def test_no_silhouette_of_one_cluster():
    assert silhouette(np.eye(3), np.array([0, 0, -1], np.int32), 0) is None


def test_ids_that_come_back_are_counted():
    model = population(customers()).model
    without = first_model(customers(1), 1.0, 2, 1, 0, settings=ModelSettings(k=2))
    assert ids_reused([model, model]) == 0
    assert ids_reused([model, without]) == 0
    assert ids_reused([model, without, model]) == 1


def test_slices_end_with_the_day_and_hold_no_more_than_asked():
    messages = [Message(hour * HOUR, str(hour), b"a", b"") for hour in (0, 1, 2, 23, 24, 25, 80)]
    slices = [[message.occurred_at // HOUR for message in part] for part in in_slices(messages, 3, DAY)]
    assert slices == [[0, 1, 2], [23], [24, 25], [80]]


@pytest.fixture
def table(tmp_path):
    """Sixty customers of three kinds over half a year."""
    rng = np.random.default_rng(0)
    rows = []
    for customer in range(60):
        start, end, orders, price = [(0, 180, 12, 20.0), (0, 60, 2, 10.0), (0, 180, 4, 300.0)][customer % 3]
        for day in np.sort(rng.uniform(start, end, orders)):
            at = pd.Timestamp("2026-01-01") + pd.Timedelta(days=float(day))
            rows.append((f"c{customer}", at.strftime("%Y-%m-%d %H:%M:%S"), len(rows), "x", 1, round(price, 2)))
    path = tmp_path / "orders.csv"
    names = ["who", "occurred_at", "order_id", "item_id", "quantity", "unit_price"]
    pd.DataFrame(rows, columns=names).to_csv(path, index=False)
    return path


NAMES = ("occurred_at", "order_id", "item_id", "quantity", "unit_price")
MAPPED = ["--map=customer_id=who", *(f"--map={name}={name}" for name in NAMES), "--set=currency=EUR"]


def figures(capsys, *arguments):
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_table_from_end_to_end_twice_alike(table, capsys):
    found = figures(capsys, table, *MAPPED, "--k=3")
    assert found["k"] == 3
    assert found["customers"] == 60
    assert found["inertia_ratio_worst"] >= found["inertia_ratio_median"]
    assert found["inertia_ratio_final"] <= 1.05
    assert found["river_inertia_ratio_final"] >= 0.95
    assert found["ari"] > 0.8
    assert found["ids_reused"] == 0
    assert len(found["inertia_ratios"]) == 10
    names = " ".join(row["name"] for row in found["comparisons"])
    for name in ("STREAMKMeans", "CluStream", "DBSTREAM", "GaussianMixture", "HDBSCAN"):
        assert name in names
    again = figures(capsys, table, *MAPPED, "--k=3")
    for run in (found, again):
        del run["seconds"]
        for row in run["comparisons"]:
            del row["seconds"]
    assert again == found


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--k=1"], "k = '1'"),
        (["--k=64", "--setting=first_model_buyers=64"], "no segments were learnt"),
        (["--features=charm"], "there is no feature 'charm'"),
        (["--setting=charm=3"], "no such setting"),
        (["--map=nonsense"], "expected FIELD=VALUE"),
        (["--set=currency=GBP", "--setting=currency=EUR"], "could not be used"),
    ],
)
def test_nonsense_is_answered_in_one_line(table, capsys, arguments, said):
    known = MAPPED if "--set=currency=GBP" not in arguments else MAPPED[:-1]
    assert main([str(table), *known, *arguments, "--no-comparisons"]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""


def test_a_table_that_is_not_there(tmp_path, capsys):
    assert main([str(tmp_path / "none.csv")]) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_the_table_for_people(table, capsys):
    assert main([str(table), *MAPPED, "--k=3", "--no-comparisons"]) == 0
    said = capsys.readouterr().out
    assert "inertia_ratio_median" in said
    assert "beside batch k-means" not in said
