"""The judge of recommendations from end to end on a small table: the real worker, views as apps read them."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.recommendation.__main__ import main, spread

START = pd.Timestamp("2026-01-01")
SETS = [[f"{kind}{number}" for number in range(12)] for kind in "ab"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Forty customers of two tastes, each with an order every other week from a random day on, and postage in each."""
    rng = np.random.default_rng(0)
    rows = []
    for customer in range(40):
        for number in range(7):
            at = START + pd.Timedelta(days=float(rng.uniform(0, 60) + 14 * number))
            order = f"{customer}-{number}"
            items = rng.choice(SETS[customer % 2], 3, replace=False, p=np.arange(12, 0, -1) / 78).tolist()
            rows += [(f"c{customer}", at.strftime("%Y-%m-%d %H:%M:%S"), order, item, 1, 2.5) for item in items]
            rows.append((f"c{customer}", at.strftime("%Y-%m-%d %H:%M:%S"), order, "postage", 1, 1.0))
    path = tmp_path_factory.mktemp("table") / "orders.csv"
    names = ["customer_id", "occurred_at", "order_id", "item_id", "quantity", "unit_price"]
    pd.DataFrame(rows, columns=names).to_csv(path, index=False)
    return path


CUTS = ["--cut", "2026-03-20", "2026-04-05T12:00"]
QUICK = ["--set=currency=EUR", "--without=implicit", "--fits=2", "--blends=3", "--prequential-days=4"]


def figures(capsys, *arguments):
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_table_from_end_to_end_twice_alike(table, capsys):
    found = figures(capsys, table, *QUICK, *CUTS)
    assert list(found["cuts"]) == ["2026-03-20T00:00:00Z", "2026-04-05T12:00:00Z"]
    names = {"ours", "ease", "own_history", "popular_30_days", "ease_bare"}
    assert set(found["all"]) == names | {"own_history_bare"}
    assert set(found["new"]) == names
    for target in ("all", "new"):
        for name, one in found[target].items():
            assert 0 <= one["low"] <= one["ndcg@10"] <= one["high"] <= 1
            # With three products in each order, whoever knows the two tastes finds some of them.
            assert one["hit_rate"] >= one["recall@10"] > 0, name
            assert len(one["coverage"]) == 10
            if name != "ours":
                difference = found[target]["ours"]["ndcg@10"] - one["ndcg@10"]
                assert one["ours_minus"]["ndcg@10"] == pytest.approx(difference, abs=2e-4)
    by_cut = [cut["all"]["ours"]["ndcg@10"] for cut in found["cuts"].values()]
    assert found["all"]["ours"]["ndcg@10"] == pytest.approx(np.mean(by_cut), abs=1e-4)
    assert found["prequential"]["days"] == 4
    assert found["prequential"]["orders"] > 0
    assert 0 < found["prequential"]["all"]["ours"]["ndcg@10"] < 1
    assert len(found["tuning"]["cuts"]) == 3
    assert max(found["tuning"]["cuts"]) < min(found["cuts"])
    again = figures(capsys, table, *QUICK, *CUTS)
    for run in (found, again):
        del run["seconds"], run["cpu_seconds"], run["seconds_by_part"]
    assert again == found


def test_the_table_for_people(table, capsys):
    assert main([str(table), *QUICK]) == 0
    said = capsys.readouterr().out
    assert "significantly worse than:" in said
    assert "popular_30_days" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cut=yesterday"], "'yesterday' is no date or time"),
        (["--cut=2025-01-01"], "expected between 2026-01-"),
        (["--cut=2026-03-20", "--tune-cut=2026-03-21"], "--tune-cut 2026-03-21T00:00:00Z: expected between"),
        (["--setting=charm=3"], "no such setting"),
        (["--map=nonsense"], "expected FIELD=VALUE"),
        (["--cut=2026-01-05"], "no customer who bought before it bought anything new after it"),
    ],
)
def test_nonsense_is_answered_in_one_line(table, capsys, arguments, said):
    assert main([str(table), *QUICK, *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""


def test_days_are_spread_over_the_whole_time():
    assert spread(range(10), 3) == [1, 5, 8]
    assert spread([1, 5], 3) == [1, 5]
    assert spread([1, 5], 0) == []
