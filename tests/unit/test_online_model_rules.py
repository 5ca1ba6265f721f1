from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.documents import NO_SEGMENT
from contracts.times import DAY
from online_model.condition import (
    Among,
    And,
    Between,
    Compare,
    Duration,
    Flag,
    Missing,
    Not,
    Number,
    Or,
    Relative,
    Text,
)
from online_model.condition_fields import FIGURES
from online_model.condition_parser import MAX_CHARACTERS, MAX_DEPTH
from online_model.condition_truth import Customers
from online_model.features import FEATURES, MISSING_TIME, TextColumn
from online_model.forecasts.ahead_columns import FIGURES as FORECASTS
from online_model.rules import BULK_BUYERS, Audience, Rule, RuleError, audiences, measure, parse

NOW = 20_000 * DAY
NAMES = {1: "Champions", 2: "Loyal, higher spend", 3: "Loyal, lower spend", 4: "Lapsed", 5: "Lapsed, valuable"}


class Columns(SimpleNamespace):
    """Customers' columns from plain dicts, as rows are read."""

    def numbers(self, attribute):
        values = [one.get(attribute) for one in self.profiles]
        numeric = [isinstance(value, int | float) and not isinstance(value, bool) for value in values]
        return np.array([value if is_one else np.nan for value, is_one in zip(values, numeric, strict=True)], float)

    def labels(self, attribute):
        texts = [written(one.get(attribute)) for one in self.profiles]
        values = sorted({text for text in texts if text is not None})
        return TextColumn(np.array([-1 if one is None else values.index(one) for one in texts], np.int32), values)

    def forecast(self, name, now):
        return np.full(len(self.last_at), np.nan)

    def kept_purchases(self):
        owners = np.repeat(np.arange(len(self.times)), [len(one) for one in self.times])
        return owners, np.array([at for one in self.times for at in one], np.int64)


def written(value):
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def customers(*rows):
    """Rows as dicts: figures that are not given are those of somebody who never bought."""

    def column(name, dtype, default=0):
        return np.array([row.get(name, default) for row in rows], dtype)

    times = [[NOW - round(days * DAY) for days in row.get("bought", ())] for row in rows]
    return Columns(
        first_at=np.array([min(one, default=MISSING_TIME) for one in times], np.int64),
        last_at=np.array([max(one, default=MISSING_TIME) for one in times], np.int64),
        newest_at=np.array([max(one, default=MISSING_TIME) for one in times], np.int64),
        orders=column("orders", np.uint32),
        returns=column("returns", np.uint32),
        orders_decayed=column("orders_decayed", float),
        net_decayed=column("net_decayed", float),
        recent_net=column("recent_net", float),
        spend=column("spend", float),
        refunds=column("refunds", float),
        units=column("units", np.int64),
        purchase_days=column("purchase_days", np.uint32),
        segment=column("segment", np.int32, NO_SEGMENT),
        times=times,
        profiles=[row.get("attributes", {}) for row in rows],
    )


def holds(text, *rows, population=None):
    return parse(text).holds(customers(*rows), NOW, NAMES, population).tolist()


# ---- what conditions say ----


def test_the_example_of_the_manual():
    text = (
        'spend > 1000 and recency_days <= 30 and segment in ("Champions", "Loyal") and attributes.gender = "F"'
        " and not attributes.marketing_consent = false"
    )
    right = {
        "spend": 1500.0,
        "bought": [12],
        "segment": 1,
        "attributes": {"gender": "F", "marketing_consent": True},
    }
    wrong = [
        {"spend": 1000.0},
        {"bought": [31]},
        {"segment": 4},
        {"attributes": {"gender": "M", "marketing_consent": True}},
        {"attributes": {"gender": "F", "marketing_consent": False}},
        {"attributes": {"gender": "F"}},
    ]
    assert holds(text, right, *(right | one for one in wrong)) == [True] + [False] * 6


def test_figures_come_in_a_persons_units():
    row = {
        "orders": 4,
        "returns": 1,
        "spend": 400.0,
        "refunds": 100.0,
        "units": 20,
        "purchase_days": 4,
        "orders_decayed": 4.0,
        "recent_net": 80.0,
        "bought": [120, 110, 100, 90],
    }
    figures = {
        "orders": 4,
        "returns": 1,
        "spend": 400,
        "refunds": 100,
        "net_spend": 300,
        "units": 20,
        "mean_order_value": 100,
        "units_per_order": 5,
        "purchase_days": 4,
        "overdue": 9,
        "recency_days": 90,
        "tenure_days": 120,
        "recent_spend": 40,
        "orders_decayed": 4 * 2 ** -(90 / 365),
    }
    assert set(figures) == set(FIGURES) - set(FORECASTS)
    for name, value in figures.items():
        assert holds(f"{name} between {value - 0.001} and {value + 0.001}", row, {"bought": []}) == [True, False]


def test_what_is_not_forecast_is_not_known():
    assert set(FORECASTS) < set(FIGURES)
    for name in FORECASTS:
        assert holds(f"{name} is missing", {"bought": [30]}) == [True]
        assert holds(f"{name} >= 0 or not {name} >= 0", {"bought": [30]}) == [False]


def test_features_are_those_of_the_model():
    text = f"features.recency between {np.log(2) - 1e-9} and {np.log(2) + 1e-9}"
    assert holds(text, {"bought": [30]}, {"bought": [31]}, {}) == [True, False, False]


@pytest.mark.parametrize("name", FEATURES)
def test_every_declared_feature_can_be_asked_for(name):
    assert holds(f"features.{name} is missing", {}) == [True]


def test_durations_are_days():
    rows = [{"bought": [0.4]}, {"bought": [0.6]}, {"bought": [2]}]
    assert holds("recency_days < 12h", *rows) == [True, False, False]
    assert holds("recency_days between 12h and 1d23h", *rows) == [False, True, False]


def test_what_is_not_known_is_neither_true_nor_false():
    known, unknown = {"attributes": {"age": 40}}, {"attributes": {}}
    assert holds("attributes.age > 30", known, unknown) == [True, False]
    assert holds("not attributes.age > 30", known, unknown) == [False, False]
    assert holds("attributes.age != 30", known, unknown) == [True, False]
    assert holds("attributes.age not between 50 and 60", known, unknown) == [True, False]
    assert holds("attributes.age is missing", known, unknown) == [False, True]
    assert holds("not attributes.age > 30 or attributes.age is missing", known, unknown) == [False, True]
    assert holds("attributes.age > 30 or orders = 0", known, unknown) == [True, True]
    assert holds("not (attributes.age > 30 and orders = 1)", known, unknown) == [True, True]


def test_numbers_and_texts_of_one_attribute():
    rows = [{"attributes": {"size": value}} for value in (42, "42", "large", True)]
    assert holds("attributes.size > 40", *rows) == [True, False, False, False]
    assert holds("not attributes.size > 40", *rows) == [False] * 4
    assert holds('attributes.size = "42"', *rows) == [True, True, False, False]
    assert holds("attributes.size = true", *rows) == [False, False, False, True]
    assert holds('attributes.size in (42, "large")', *rows) == [True, False, True, False]


def test_of_more_texts_than_customers_those_that_they_have_are_looked_at():
    columns = customers({}, {}, {})
    columns.labels = lambda _: TextColumn(np.array([7, -1, 3], np.int32), list("abcdefgh"))
    for sign, expected in {"=": [True, False, False], "!=": [False, False, True]}.items():
        assert parse(f'attributes.size {sign} "h"').holds(columns, NOW, NAMES).tolist() == expected


def test_dates_compare_as_texts():
    rows = [{"attributes": {"customer_since": since}} for since in ("2019-05-01", "2020-01-01", "2024-02-29")]
    assert holds('attributes.customer_since >= "2020-01-01"', *rows) == [False, True, True]


def test_a_segment_is_known_by_name_its_twins_by_the_family():
    rows = [{"segment": one} for one in (1, 2, 3, 4, 5, 99, NO_SEGMENT)]
    assert holds('segment = "champions"', *rows) == [True] + [False] * 6
    assert holds('segment = "Loyal"', *rows) == [False, True, True] + [False] * 4
    assert holds('segment = "Loyal, lower spend"', *rows) == [False, False, True] + [False] * 4
    assert holds('segment = "Lapsed"', *rows) == [False] * 3 + [True] + [False] * 3
    assert holds('segment != "Loyal"', *rows) == [True, False, False, True, True, False, False]
    assert holds("segment is missing", *rows) == [False] * 5 + [True] * 2
    assert holds("segment_id in (4, 99)", *rows) == [False] * 3 + [True, False, True, False]


def test_several_rules_share_what_is_computed_of_the_customers():
    columns = customers({"bought": [40, 30, 20, 10]}, {"bought": [60, 50, 40, 30]})
    columns.asked = 0
    kept = columns.kept_purchases()

    def kept_purchases():
        columns.asked += 1
        return kept

    columns.kept_purchases = kept_purchases
    together = Customers(columns, NOW, NAMES)
    texts = ("overdue > 2", "overdue <= 2 or overdue is missing")
    assert [parse(text).true_of(together).tolist() for text in texts] == [[False, True], [True, False]]
    assert columns.asked == 1


def test_nobody_has_a_segment_before_there_are_any():
    rule = parse('segment = "Loyal" or segment is not missing')
    assert rule.holds(customers({"segment": 1}, {}), NOW, {}).tolist() == [False, False]


def test_bulk_buyers_are_measured_by_their_shop():
    usual = [{"orders": 2, "units": 2 * units, "bought": [3]} for units in (4, 5, 6, 5, 5)]
    trade = [{"orders": 2, "units": 100, "bought": [3]}, {"orders": 1, "units": 500, "bought": [3]}]
    shop = customers(*usual, *trade, {}, {})
    population = measure([BULK_BUYERS.rule], shop, NOW)
    assert population == {"p50 units_per_order": 5.0}
    assert np.flatnonzero(BULK_BUYERS.rule.holds(shop, NOW, NAMES, population)).tolist() == [5]
    wholesale = customers(*(row | {"units": 40 * row["units"]} for row in usual))
    assert not BULK_BUYERS.rule.holds(wholesale, NOW, NAMES, measure([BULK_BUYERS.rule], wholesale, NOW)).any()


def test_percentiles_are_over_buyers_and_of_attributes_over_all():
    rules = [parse("spend >= p75"), parse("attributes.age > 0.5 * median"), parse("attributes.shoe < p10")]
    rows = [{"spend": float(spend), "bought": [1], "orders": 1} for spend in range(5)]
    population = measure(rules, customers(*rows, {"attributes": {"age": 40}}, {"attributes": {"age": 60}}), NOW)
    assert population == {"p75 spend": 3.0, "p50 attributes.age": 50.0}


def test_an_unknown_percentile_is_neither_reached_nor_missed():
    row = {"units": 10, "orders": 2, "bought": [1]}
    assert holds("units_per_order > 5 * median", row) == [False]
    assert holds("not units_per_order > 5 * median", row) == [False]


def test_bulk_buyers_of_online_retail(data_folder):
    lines = pd.read_parquet(
        data_folder / "online_retail_2010_2011.parquet", columns=["InvoiceNo", "Quantity", "UnitPrice", "CustomerID"]
    )
    lines = lines[lines.CustomerID.notna() & (lines.UnitPrice >= 0) & (lines.Quantity > 0)]
    lines["spend"] = lines.Quantity * lines.UnitPrice
    by_customer = lines.groupby("CustomerID").agg(
        orders=("InvoiceNo", "nunique"), units=("Quantity", "sum"), spend=("spend", "sum")
    )
    shop = customers(*(row | {"bought": [1]} for row in by_customer.to_dict("records")))
    found = BULK_BUYERS.rule.holds(shop, NOW, NAMES, measure([BULK_BUYERS.rule], shop, NOW))
    assert found.sum() == 71
    assert round(shop.spend[found].sum() / shop.spend.sum(), 2) == 0.25


# ---- how they are written ----


def test_the_manual_names_every_figure_and_its_examples_are_rules():
    manual = (Path(__file__).parents[2] / "docs" / "conditions.md").read_text()
    assert not [name for name in FIGURES if f"`{name}`" not in manual]
    examples = manual.split("```")[1].strip().splitlines()
    assert len(examples) > 3
    assert all(parse(example).fields for example in examples)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("spend>1_000", "spend > 1000"),
        ("spend <> 1e3 AND orders == .5", "spend != 1000 and orders = 0.5"),
        ("a1 = 1".replace("a1", 'attributes."shoe size"'), 'attributes."shoe size" = 1'),
        ("attributes.in = 'it\\'s'", 'attributes.in = "it\'s"'),
        ('attributes.size.eu in ("a\\\\b" , true)', 'attributes.size.eu in ("a\\\\b", true)'),
        ("not (not orders is not missing)", "not not not orders is missing"),
        ("orders not in (1,2) or orders=3 and units=-4", "not orders in (1, 2) or orders = 3 and units = -4"),
        ("(orders=1 or orders=2) and units=3", "(orders = 1 or orders = 2) and units = 3"),
        ("spend > 1 * median and spend < 2.5*P90", "spend > median and spend < 2.5 * p90"),
    ],
)
def test_rules_print_as_they_may_be_written(text, printed):
    assert str(parse(text)) == printed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected a field such as spend or recency_days, not the end (column 1)"),
        ("recencydays < 3", "there is no field 'recencydays'; did you mean recency_days? (column 1)"),
        ("orders > 1 and recency < 3", "did you mean features.recency, the feature as the model sees it? (column 16)"),
        ("weather = 1", "choose among orders, returns"),
        ("attributes = 1", "say which: attributes.<name>"),
        ("spend > 1.000.000", "'1.000.000' is neither a number such as 1000 or 2.5 nor a duration"),
        ("recency_days < 30days", "'30days' is neither a number such as 1000 or 2.5 nor a duration such as 30d"),
        ("spend > 1 orders", "expected 'and', 'or' or the end, not 'orders' (column 11)"),
        ("spend > 30d", "spend is no time; compare it with a number, not with 30d (column 9)"),
        ('spend > "much"', "spend is a number; compare it with one"),
        ("segment = Loyal", 'a text needs quotation marks: "Loyal" (column 11)'),
        ('segment > "Loyal"', "segments have no order"),
        ("segment = 3", "a segment is compared with its name in quotation marks, not with 3"),
        ("attributes.vip > true", "true and false have no order"),
        ('segment = "Loyal', 'the text that begins with "Loyal does not end; close it with " (column 11)'),
        ("(orders = 1", "expected ')' to close the parenthesis, not the end"),
        ("orders", "expected =, !=, <, <=, >, >=, between, in or is after orders, not the end"),
        ("orders in 1", "expected '(' after 'in', as in orders in (1, 2), not '1'"),
        ("orders in (p90)", "a list holds numbers and texts"),
        ("orders between 1 or 2", "expected 'and' between the two values, not 'or'"),
        ("orders = 1e999", "1e999 is too large a number"),
        ("recency_days < 999999d", "100 years at most"),
        ("spend > 2 * mean", "expected median or a percentile such as p90 after '*', not 'mean'"),
        ("orders; drop", "';' does not belong into a condition"),
        ("(" * (MAX_DEPTH + 1), f"nested {MAX_DEPTH} deep"),
        ("x" * (MAX_CHARACTERS + 1), f"{MAX_CHARACTERS} characters"),
    ],
)
def test_errors_say_what_is_wrong_and_where(text, says):
    with pytest.raises(RuleError) as error:
        parse(text)
    assert says in str(error.value)


def test_what_decides_who_gets_a_segment_can_not_ask_for_it():
    assert parse("orders > 1", segments=False).fields == {"orders"}
    with pytest.raises(RuleError, match="can not be asked for here"):
        parse('orders > 1 and not segment = "Loyal"', segments=False)


def test_audiences_have_names_and_their_errors_say_whose_they_are():
    found = audiences({"Big spenders": "spend > 1000", "Away": "recency_days > 90d"})
    assert [one.name for one in found] == ["Big spenders", "Away"]
    assert found[1].rule == parse("recency_days > 2160h")
    with pytest.raises(RuleError, match="audience 'Away': there is no field"):
        audiences({"Away": "recency_dyas > 90"})
    for name in ("", " x", "x\n", "x" * 61):
        with pytest.raises(RuleError, match="needs a name"):
            Audience(name, parse("spend > 1"))


TOKENS = """and or not in between is missing ( ) , . * = < >= != spend recency_days segment attributes age 5 30d p90
median "F" 'x' true - + 1e9 .5 1__0 1_ 12h3 " \\ """
words = st.sampled_from(TOKENS.split())


@given(st.text() | st.lists(words, max_size=25).map(" ".join) | st.lists(words, max_size=12).map("".join))
def test_the_parser_raises_nothing_but_rule_errors(text):
    try:
        rule = parse(text)
    except RuleError:
        return
    assert parse(str(rule)) == rule


# ---- against plain Python ----

numbers = st.integers(-3, 12).map(float) | st.floats(allow_nan=False, allow_infinity=False)
plain_numbers = st.builds(Number, numbers)
percentiles = st.builds(Relative, numbers, st.integers(0, 99).map(float))
texts = st.builds(Text, st.sampled_from(["F", "M", "true", "3", 'it\'s \\ "q"', ""]))
flags = st.builds(Flag, st.booleans())
durations = st.builds(Duration, st.integers(0, 36_500 * DAY) | st.integers(0, 10).map(lambda days: days * DAY))
signs = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
FIELDS = ["orders", "spend", "net_spend", "mean_order_value", "segment_id"]
ATTRIBUTE_FIELDS = ["attributes.age", "attributes.shoe size"]


def comparisons(fields, values):
    return (
        st.builds(Compare, fields, signs, values)
        | st.builds(Between, fields, values, values)
        | st.builds(Among, fields, st.lists(values, min_size=1, max_size=3).map(tuple))
        | st.builds(Missing, fields)
    )


segment_texts = st.builds(Text, st.sampled_from([*NAMES.values(), "Loyal", "nothing"]))
comparison = (
    comparisons(st.sampled_from(FIELDS), plain_numbers)
    | comparisons(st.just("recency_days"), plain_numbers | durations)
    | comparisons(st.sampled_from(ATTRIBUTE_FIELDS), plain_numbers | texts)
    | st.builds(Compare, st.sampled_from([*FIELDS, *ATTRIBUTE_FIELDS]), signs, percentiles)
    | st.builds(Compare, st.sampled_from(ATTRIBUTE_FIELDS), st.sampled_from(["=", "!="]), flags)
    | st.builds(Compare, st.just("segment"), st.sampled_from(["=", "!="]), segment_texts)
    | st.builds(Missing, st.just("segment"))
)
conditions = st.recursive(
    comparison,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=8,
)
attribute_values = st.sampled_from([3, 4.5, 40, "F", "M", "3", True, False])
rows = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "orders": st.integers(0, 4),
            "spend": st.integers(0, 12).map(float),
            "refunds": st.integers(0, 3).map(float),
            "bought": st.lists(st.integers(0, 12), max_size=3),
            "segment": st.sampled_from([*NAMES, 99]),
            "attributes": st.dictionaries(st.sampled_from(["age", "shoe size"]), attribute_values),
        },
    ),
    min_size=1,
    max_size=6,
)


@given(conditions)
def test_printing_and_parsing_gives_the_same_rule(condition):
    rule = Rule(condition)
    assert parse(str(rule)) == rule


def value_of(field, row):
    """A field of one customer; None where it is not known."""
    orders, spend, refunds = row.get("orders", 0), row.get("spend", 0.0), row.get("refunds", 0.0)
    return {
        "orders": orders,
        "spend": spend,
        "net_spend": spend - refunds,
        "mean_order_value": spend / orders if orders else None,
        "recency_days": min(row.get("bought", []), default=None),
        "segment_id": row.get("segment"),
        "segment": NAMES.get(row.get("segment")),
        **{f"attributes.{name}": value for name, value in row.get("attributes", {}).items()},
    }.get(field)


def compared(field, sign, value, row, population):
    """True, False, or None."""
    own = value_of(field, row)
    if own is None:
        return None
    if isinstance(value, Text | Flag):
        other = str(value.value) if isinstance(value, Text) else str(value.value).lower()
        own = written(own)
        if field == "segment":
            family = "Loyal" if own.startswith("Loyal") else own
            return (other in (own, family)) == (sign == "=")
    else:
        if isinstance(own, str | bool):
            return None
        match value:
            case Number(other):
                pass
            case Duration(microseconds):
                other = microseconds / DAY
            case Relative(factor, percent):
                measured = population.get(f"p{percent:g} {field}")
                if measured is None:
                    return None
                other = factor * measured
    return {
        "=": own == other,
        "!=": own != other,
        "<": own < other,
        "<=": own <= other,
        ">": own > other,
        ">=": own >= other,
    }[sign]


def both(truths):
    return False if False in truths else None if None in truths else True


def either(truths):
    return True if True in truths else None if None in truths else False


def plain(condition, row, population):
    match condition:
        case Not(part):
            inner = plain(part, row, population)
            return None if inner is None else not inner
        case And(parts):
            return both([plain(part, row, population) for part in parts])
        case Or(parts):
            return either([plain(part, row, population) for part in parts])
        case Compare(field, sign, value):
            return compared(field, sign, value, row, population)
        case Between(field, low, high):
            return both([compared(field, *pair, row, population) for pair in ((">=", low), ("<=", high))])
        case Among(field, values):
            return either([compared(field, "=", value, row, population) for value in values])
        case Missing(field):
            return value_of(field, row) is None


@given(conditions, rows, st.booleans())
def test_columns_say_what_plain_python_says_row_by_row(condition, rows, measured):
    columns = customers(*rows)
    rule = Rule(condition)
    population = measure([rule], columns, NOW) if measured else {}
    expected = [plain(condition, row, population) is True for row in rows]
    assert rule.holds(columns, NOW, NAMES, population).tolist() == expected
