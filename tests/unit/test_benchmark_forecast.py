"""The judge of forecasts: its instruments against scikit-learn, and a small table from end to end."""

import json
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss as log_loss_of
from sklearn.metrics import roc_auc_score

from benchmarks.forecast import scoring
from benchmarks.forecast.__main__ import main
from benchmarks.forecast.holdout import fit, parameters, refit
from benchmarks.forecast.known_lifetimes import Tastes, known_shop
from benchmarks.forecast.rivals import naive_leaves, naive_orders
from benchmarks.forecast.stream import Rows
from benchmarks.forecast.truth import Truth
from contracts.times import DAY, to_micros
from online_model.forecasts.purchases import Purchases
from online_model.forecasts.value import Amounts
from producer.mapping import MappingRequest
from producer.replay import read_events

START = pd.Timestamp("2026-01-01", tz="UTC")
FIRST = to_micros(START.to_pydatetime()) // DAY
MAPPED = ["--no-header", "--map=customer_id=1", "--map=occurred_at=2", "--map=amount=3"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A bare table of 130 customers: a third leave early, the others buy about every nine days for 15 weeks."""
    rng = np.random.default_rng(0)
    lines = []
    for customer in range(130):
        at, stop = rng.uniform(0, 25), 40 if customer % 3 == 0 else 105
        while at < stop:
            day = (START + pd.Timedelta(days=int(at))).strftime("%Y%m%d")
            lines.append(f" {customer:05d} {day} {rng.gamma(3.0) * (5 + customer % 7):7.2f}")
            at += rng.exponential(9)
    path = tmp_path_factory.mktemp("table") / "bare.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_instruments_say_what_scikit_learn_says():
    rng = np.random.default_rng(1)
    p = np.round(rng.random(2_000), 2)  # with ties
    happened = rng.random(2_000) < p
    assert scoring.auc(p, happened) == pytest.approx(roc_auc_score(happened, p))
    assert scoring.auc(p, np.ones(2_000, bool)) is None
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    assert scoring.log_loss(p, happened) == pytest.approx(log_loss_of(happened, clipped))
    error, null = scoring.calibration_error(p, happened), scoring.calibration_error_null(p, 0)
    assert 0 < null < 0.05
    assert error < 2 * null  # these are right
    assert scoring.calibration_error(p**3, happened) > 5 * null


def test_the_truth_counts_days_and_nets_returns(tmp_path):
    path = tmp_path / "orders.csv"
    rows = ["a,2026-01-01 10:00,30", "a,2026-01-01 12:00,10", "b,2026-01-02,5", "a,2026-01-03,-20", "a,2026-01-04,7"]
    path.write_text("customer_id,occurred_at,amount\n" + "\n".join(rows) + "\n")
    truth = Truth(list(read_events(path, MappingRequest(currency="EUR"), now=(FIRST + 100) * DAY)))
    assert (truth.first_day, truth.last_day) == (FIRST, FIRST + 3)
    assert truth.purchase_days(["b", "a"], FIRST, FIRST + 3).tolist() == [1, 1]
    assert truth.purchase_days(["b", "a"], FIRST, FIRST + 4).tolist() == [1, 2]
    assert truth.net(["a", "b"], FIRST, FIRST + 3).tolist() == [20, 5]
    assert truth.net(["a"], FIRST + 3, FIRST + 4).tolist() == [7]


def test_whoever_may_have_bought_before_is_not_fitted_but_counted():
    shop = known_shop(Tastes(customers=400), seed=0)
    first_at = ((78.0 - shop.purchases.age) * 7).astype(np.int64) * DAY
    people = tuple(map(str, range(400)))
    rows = Rows(546, people, first_at, first_at, np.zeros((400, 0)), shop.purchases, shop.amounts)
    fits = fit(rows, 100 * DAY)
    assert fits.censored == (first_at < 100 * DAY).sum() > 0
    assert {one.customers for one in fits.lifetimes.values()} == {400 - fits.censored}
    assert parameters(fits)["left_censored"] == fits.censored
    none = rows.select(np.flatnonzero(first_at < 0))
    assert refit(none, None, fits).lifetimes == fits.lifetimes  # too few to fit: what there was before
    assert refit(none, None, fits).rows is none


def test_a_pass_over_everybody_step_by_step(capsys):
    assert main(["--pass", "5000", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["told"] == figures["customers"] == 5_000
    assert [one["what"] for one in figures["passes"]] == ["a new day", "added up again", "sample gathered"]
    new_day, again, _ = figures["passes"]
    assert new_day["steps"] == again["steps"] == 3
    for one in figures["passes"]:
        assert 0 < one["median_ms"] <= one["p99_ms"] <= one["longest_ms"] <= 1e3 * one["seconds"]
    for wrong in (["--pass", "10"], ["--pass", "5000", "--known-lifetimes"], []):
        with pytest.raises(SystemExit):
            main(wrong)
    assert "expected 1000 customers at least" in capsys.readouterr().err


def test_the_rule_of_thumb():
    ages = np.array([100.0, 10.0])
    rows = Rows(
        1_000,
        ("old", "new"),
        np.array([300, 930]) * DAY,
        np.array([900, 990]) * DAY,
        np.zeros((2, 0)),
        Purchases(np.array([9.0, 4.0]), ages, ages),
        Amounts(np.ones(2), np.ones(2)),
    )
    assert naive_leaves(rows, 90).tolist() == [1, 0]
    assert naive_orders(rows, 70, 14).tolist() == [0, 1]  # 5 in ten weeks, so 1 in two


def test_a_bare_table_from_end_to_end(table, tmp_path, capsys):
    picture = tmp_path / "weeks.svg"
    arguments = [str(table), *MAPPED, "--calibrate-until=2026-03-08", "--churn-days=14", f"--plot={picture}", "--json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    for name in ("r", "alpha", "a", "b", "log_likelihood", "auc", "auc_batch"):
        assert isinstance(found[name], float)
    assert found["r"] == found["models"]["bg_nbd"]["r"]
    assert found["customers"] == 130
    assert found["models"]["left_censored"] == 0
    assert found["auc"] > 0.75
    assert found["expected_calibration_error"] < 0.15
    assert 0 < found["calibration_error_null"] < 0.1
    assert set(found["churn"]["by"]) == {"logistic", "tree", "batch", "naive", "mbg_nbd"}
    everybody = found["holdout_by_frequency"][-1]
    assert everybody["repeats"] == "all"
    assert everybody["mbg_nbd"] == pytest.approx(everybody["actual"], rel=0.25)
    errors = everybody["mean_absolute_error"]
    assert errors["mbg_nbd"] < errors["naive"]
    weeks = found["weeks"]  # whole ones
    assert 0.8 * everybody["actual"] * 130 < sum(line["actual"] for line in weeks) <= everybody["actual"] * 130 + 0.1
    assert sum(line["mbg_nbd"] for line in weeks) <= everybody["mbg_nbd"] * 130 + 0.1
    assert [line["from"] for line in found["months"]] == ["2026-03-09"]
    assert all(0.8 < line["coverage_orders"] <= 1 for line in found["months"])
    drawn = ET.parse(picture).getroot()
    assert len([one for one in drawn if one.tag.endswith("polyline")]) == 3


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--calibrate-until=2025-01-01"], "expected a day from 2026-01-01 to before 2026-04-"),
        (["--calibrate-until=2026-01-20"], "weeks since the first purchase, 8 are needed"),
    ],
)
def test_what_can_not_be_measured_is_said(table, capsys, arguments, text):
    assert main([str(table), *MAPPED, *arguments]) == 2
    assert text in capsys.readouterr().err


def test_a_file_or_a_shop_and_a_date(table, capsys):
    for arguments in ([], [str(table), "--known-lifetimes"], [str(table)]):
        with pytest.raises(SystemExit):
            main(arguments)
    assert "--calibrate-until: expected a date" in capsys.readouterr().err
