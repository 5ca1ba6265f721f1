"""Exploring a table or the live customers: what is found, and the report on it."""

import json
import sys
from datetime import UTC
from html.parser import HTMLParser

import msgspec
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from typer.testing import CliRunner

from contracts.times import DAY
from livesegments.cli import app
from livesegments.explore.columns import histogram, number, typed
from livesegments.explore.comparing import correlations, outliers
from livesegments.explore.figures import sections
from livesegments.explore.findings import Outlier
from livesegments.explore.looking import SAMPLE
from livesegments.explore.page import COLOURS, PlotlyMissingError, page
from livesegments.explore.sources import explore_file, explore_live
from livesegments.settings import Settings
from producer.mapping import MappingRequest
from producer.table import TableError
from tests.in_process import START, InProcess
from tests.unit.test_load_customers import fill

NOW = START + 20_000 * DAY
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'`${x}%{y}<b>{{"


def write(path, rows):
    pd.DataFrame(rows[1:], columns=rows[0]).to_csv(path, index=False)
    return path


def explored(path, **request):
    return explore_file(path, MappingRequest(**request), now=NOW)


def column_of(table, name):
    return next(column for column in table.columns if column.name == name)


def profiles(tmp_path, seed=1, rows=300):
    rng = np.random.default_rng(seed)
    income = rng.normal(60, 20, rows).round(1)
    income[0] = 900
    return write(
        tmp_path / "profiles.csv",
        [
            ["CustomerID", "Gender", "Age", "Income", "Score"],
            *(
                [n + 1, "FM"[n % 2], int(age), earns if n % 10 else None, round(100 - earns + noise, 1)]
                for n, (age, earns, noise) in enumerate(
                    zip(rng.uniform(16, 80, rows), income, rng.normal(0, 1, rows), strict=True)
                )
            ),
        ],
    )


def orders(tmp_path):
    return write(
        tmp_path / "orders.csv",
        [
            ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"],
            ["1", "a", "Apple", 2, "2011-01-03 10:05", 3.0, "7", "UK"],
            ["1", "b", "Bread", 1, "2011-01-03 10:05", 4.0, "7", "UK"],
            ["2", "a", "Apple", 5, "2011-02-01 11:00", 3.0, "8", "UK"],
            ["C3", "a", "Apple", -1, "2011-02-02 11:00", 3.0, "8", "UK"],
            ["4", "a", "Apple", 1, "2011-02-03 23:00", 3.0, None, "France"],
        ],
    )


# ---- columns ----


@given(st.lists(st.floats(-1e12, 1e12), min_size=1), st.sampled_from([1, 1e-6, 1e6]))
def test_every_value_is_counted_once(values, scale):
    values = np.array(values) * scale
    found = histogram(values)
    assert sum(found.counts) + found.below + found.above == len(values)
    assert len(found.edges) == len(found.counts) + 1
    assert (np.diff(found.edges) > 0).all()


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_no_bin_lies_between_two_whole_numbers(values):
    found = histogram(np.array(values, np.float64))
    if found.log:
        assert all(np.floor(high) >= np.ceil(low) for low, high in zip(found.edges, found.edges[1:], strict=False))
    assert sum(found.counts) + found.below + found.above == len(values)


def test_skewed_amounts_are_looked_at_on_a_logarithmic_scale():
    rng = np.random.default_rng(1)
    assert histogram(rng.lognormal(3, 1.5, 5000)).log
    assert not histogram(rng.normal(50, 5, 5000)).log


def test_a_few_far_values_on_both_sides_do_not_stretch_a_histogram():
    values = np.concatenate([np.random.default_rng(1).normal(0, 1, 5000), [-1e6, 1e6]])
    found = histogram(values)
    assert found.edges[-1] - found.edges[0] < 10
    assert (found.below, found.above) == (26, 26)


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("Age", [31, 40, None, 22], "number"),
        ("Income", ["15", "16.5", "x", "17"], "category"),
        ("member", [True, False, None], "category"),
        ("flag", ["0", "1", "0"], "category"),
        ("city", ["Bern", "Köln", "Bern"], "category"),
        ("comment", [f"text {n}" for n in range(200)], "text"),
        ("CustomerID", [str(n) for n in range(17850, 18050)], "text"),
        ("nothing", [None, None], "text"),
        ("at", pd.to_datetime(["2011-01-01", "2011-01-02"]), "time"),
    ],
)
def test_what_a_column_is(name, values, kind):
    assert typed(pd.Series(values, name=name), None, UTC).found.kind == kind


def test_missing_values_and_those_that_are_no_numbers_are_told_apart():
    found = typed(pd.Series(["1", "2", None, "x", "3"], name="n"), "number", UTC).found
    assert (found.missing, found.unusable, found.quantiles["median"]) == (1, 1, 2)


# ---- columns together ----


def test_correlations_are_spearmans():
    rng = np.random.default_rng(3)
    x = rng.lognormal(size=200)
    y = x**3 + rng.lognormal(size=200)
    found = correlations([number("x", x), number("y", y)], np.arange(200))
    assert found.matrix[0][1] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-4)


def test_far_values_are_outliers_and_carry_their_row():
    values = np.append(np.random.default_rng(1).normal(50, 5, 500), [500.0, np.nan])
    found = outliers([number("income", values)], [f"c{n}" for n in range(502)])
    (farthest, *_) = found.farthest
    assert farthest == Outlier("c500", {"income": 500.0}, farthest.z)
    assert farthest.z["income"] > 3.5
    assert found.high["income"] >= 1


def test_a_constant_column_has_neither():
    numbers = [number("x", np.ones(10)), number("y", np.arange(10.0))]
    assert correlations(numbers, np.arange(10)) is None
    assert outliers(numbers, None).rows == 0


# ---- sources ----


def test_a_table_of_profiles(tmp_path):
    found = explored(profiles(tmp_path))
    (table,) = found.tables
    assert [column.kind for column in table.columns] == ["text", "category", "number", "number", "number"]
    assert column_of(table, "Income").missing == 30
    (ages,) = table.groups
    assert (ages.column, ages.by, ages.ranges) == ("Age", "Gender", True)
    assert sum(group.rows for group in ages.groups) == 300
    assert ages.groups[0].label == "under 18"
    assert table.pairs.labelled_by == "Gender"
    assert table.correlations.matrix[1][2] < -0.9


def test_the_ends_of_age_groups(tmp_path):
    rows = [["CustomerID", "age"], *([n, age] for n, age in enumerate([17, 18, 24, 25, 64, 65, 99]))]
    (table,) = explored(write(tmp_path / "t.csv", rows)).tables
    groups = {group.label: group.rows for group in table.groups[0].groups}
    assert groups == {"under 18": 1, "18–24": 2, "25–34": 1, "55–64": 1, "65+": 2}


def test_order_lines_and_the_customers_behind_them(tmp_path):
    found = explored(orders(tmp_path))
    lines, customers = found.tables
    assert column_of(lines, "CustomerID").missing == 1
    assert column_of(lines, "Country").levels[0] == ("UK", 4)
    assert customers.rows == 2
    assert column_of(customers, "spend").quantiles["max"] == 15
    told = found.orders
    assert [(month.month, month.orders, month.returns, month.customers, month.spend) for month in told.months] == [
        ("2011-01", 1, 0, 1, 10.0),
        ("2011-02", 1, 1, 1, 15.0),
    ]
    assert told.hours[0][10] == 1  # a Monday
    assert [(item.item_id, item.name, item.spend, item.buyers) for item in told.items] == [
        ("a", "Apple", 21.0, 2),
        ("b", "Bread", 4.0, 1),
    ]
    assert told.skipped == {"no customer": 1}


def test_only_the_columns_asked_for(tmp_path):
    path = profiles(tmp_path)
    found = explore_file(path, MappingRequest(), now=NOW, only=["Age"])
    assert [column.name for column in found.tables[0].columns] == ["Age"]
    with pytest.raises(TableError, match="there is no column 'Alter'; it has CustomerID, Gender"):
        explore_file(path, MappingRequest(), now=NOW, only=["Alter"])


def test_a_table_without_customers_is_explored_all_the_same(tmp_path):
    rows = [["x", "y"], *([n, n * n] for n in range(50))]
    (table,) = explored(write(tmp_path / "t.csv", rows)).tables
    assert table.correlations.matrix[0][1] == 1


def test_the_live_customers():
    shop = InProcess()
    fill(shop)
    found = explore_live(shop.state, Settings(clock="event"), now=NOW)
    customers, compared = found.tables
    assert customers.rows == 60
    assert column_of(customers, "recency_days").quantiles["min"] == 0
    assert {"age", "spend", "segment_name"} <= {column.name for column in customers.columns}
    assert customers.groups[0].column == "segment_name"
    assert [column.name for column in compared.columns] == ["recency", "frequency", "monetary", "segment_name"]
    assert compared.pairs.labelled_by == "segment_name"


def test_nobody_to_explore():
    with pytest.raises(TableError, match="no customers yet"):
        explore_live(InProcess().state, Settings(), now=NOW)


def test_a_year_of_online_retail(data_folder):
    found = explored(data_folder / "online_retail_2010_2011.parquet")
    lines, customers = found.tables
    assert (lines.rows, lines.looked_at, customers.rows) == (541_909, SAMPLE, 4_372)
    assert column_of(lines, "CustomerID").missing == 135_080
    assert any("50,000 of 541,909 rows" in note for note in found.notes)
    assert found.orders.items[1].name == "REGENCY CAKESTAND 3 TIER"
    assert any(one.row == "16446" for one in customers.outliers.farthest)  # 80,995 units, cancelled at once
    assert explored(data_folder / "online_retail_2010_2011.parquet") == found


# ---- the report ----


def test_every_figure_is_one_that_plotly_knows(tmp_path):
    for path in (profiles(tmp_path), orders(tmp_path)):
        for section in sections(explored(path)):
            assert section.figures
            for figure in section.figures:
                spec = json.loads(json.dumps(figure.spec, allow_nan=False))
                for trace in spec["data"]:
                    if trace.get("colorscale") in {"sequential", "diverging"}:
                        del trace["colorscale"]  # the page's
                go.Figure(spec)  # raises where a name or a value is wrong
                assert len(figure.legend) <= COLOURS


def test_names_that_are_alike_once_cut_stay_apart(tmp_path):
    names = [f"a name much longer than what fits on an axis {n}" for n in range(3)]
    rng = np.random.default_rng(1)
    path = write(tmp_path / "t.csv", [names, *rng.normal(size=(30, 3)).tolist()])
    figures = [figure for section in sections(explored(path)) for figure in section.figures]
    (heat,) = next(figure.spec["data"] for figure in figures if figure.title == "Correlations")
    assert len(set(heat["x"])) == len(set(heat["y"])) == 3


class Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = []
        self.attributes = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [name for name, _ in attrs]


def test_what_the_data_say_is_never_markup_or_script(tmp_path):
    rows = [[HOSTILE, f"{HOSTILE}2", "age"], *([HOSTILE + str(n % 3), n, 20 + n] for n in range(30))]
    report = page(explored(write(tmp_path / "t.csv", rows)))
    clean = page(
        explored(write(tmp_path / "u.csv", [["a", "b", "age"], *([f"x{n % 3}", n, 20 + n] for n in range(30))]))
    )
    hostile, harmless = Elements(), Elements()
    hostile.feed(report)
    harmless.feed(clean)
    assert hostile.seen == harmless.seen
    assert hostile.attributes == harmless.attributes
    data = report.split('id="figures">')[1].split("</script>")[0]
    assert "<" not in data
    for spec in json.loads(data):
        for trace in spec["data"]:
            for name in (trace.get("name", ""), *map(str, trace.get("x", ())), *map(str, trace.get("y", ()))):
                assert "<" not in name  # Plotly reads some HTML in texts


def test_the_report_fetches_nothing(tmp_path):
    report = page(explored(profiles(tmp_path)))
    assert "default-src 'none'" in report
    assert not [tag for tag in ("<link", " src=") if tag in report.split("<script")[0]]


def test_without_plotly_it_says_what_to_install(tmp_path, monkeypatch):
    found = explored(profiles(tmp_path))
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(PlotlyMissingError, match=r"pip install 'livesegments\[explore\]'"):
        page(found)


# ---- the command ----


def test_a_report_and_json(tmp_path, monkeypatch):
    path = profiles(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["explore", str(path), "--out", "mine.html"])
    assert done.exit_code == 0, done.output
    assert "mine.html: 300 rows" in done.output
    assert (tmp_path / "mine.html").read_text().startswith("<!doctype html>")
    shown = CliRunner().invoke(app, ["explore", str(path), "--json"])
    found = json.loads(shown.stdout)
    assert found["tables"][0]["rows"] == 300
    assert "NaN" not in shown.stdout
    assert msgspec.json.decode(shown.stdout)["v"] == 1
