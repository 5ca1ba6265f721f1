from dataclasses import dataclass, field

import numpy as np
import pytest

from consumer.columns import Columns
from consumer.layout import HEADER, MISSING_TIME
from consumer.ragged_columns import DecodedColumns
from contracts.times import DAY
from online_model.encoding import AttributeOptions
from online_model.features import FeatureSet, UnknownFeatureError
from online_model.presets import FeatureRequest, ScalingError, choose_columns, renewed_columns

NOW = 20_000 * DAY


def people(*attributes):
    """Customers who never bought and of whom only attributes are known."""
    return Columns(np.zeros(len(attributes), HEADER), DecodedColumns(lambda: attributes))


def shop(n=100):
    return people(*({"age": 20 + i % 50, "income": 1000.0 * i, "city": "ab"[i % 2], "vip": i < 5} for i in range(n)))


def request(*names, attributes=(), **options):
    return FeatureRequest(names=names, attributes=attributes, options=options)


def chosen(wanted, rows):
    return choose_columns(wanted, rows, now=NOW, order_value=10.0)


def names(choice):
    return [column.name for column in choice.columns]


def test_presets_are_written_out_among_other_names():
    assert request("rfm+basket", "attributes.age").terms() == (
        *("recency", "frequency", "monetary", "mean_order", "basket_units"),
        "attributes.age",
    )
    assert request("rfm").signature == FeatureSet.of().names


@pytest.mark.parametrize("wrong", [(), ("rfm", "recency"), ("colour",), ("attributes.",), ("share.",), ("RFM",)])
def test_what_is_no_feature_is_refused(wrong):
    with pytest.raises(UnknownFeatureError, match=r"feature"):
        request(*wrong)


def test_a_profile_is_the_four_numbers_that_most_customers_have():
    rows = people(
        *({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "vip": True, "city": "x", "customer_since": 2020} for _ in range(3)),
        {"b": 1, "c": 1, "d": 1, "e": 1},
    )
    assert names(chosen(request("profile"), rows)) == [f"attributes.{name}" for name in "bcde"]
    choice = chosen(request("profile", attributes=("vip", "a")), rows)
    assert names(choice) == ["attributes.vip=true", "attributes.a"]


def test_text_spans_the_model_only_where_it_is_asked_for():
    rows = shop()
    assert names(chosen(request("profile"), rows)) == ["attributes.age", "attributes.income"]
    levels = ["attributes.city=a", "attributes.city=b"]
    assert names(chosen(request("attributes.city"), rows)) == levels
    categorical = AttributeOptions(categorical=True)
    assert names(chosen(request("profile", city=categorical), rows))[2:] == levels
    assert len(chosen(request("attributes.n", n=categorical), people({"n": 1}, {"n": 2})).columns) == 2


def test_too_many_levels_are_left_out_with_advice_and_nothing_fails():
    rows = people(*({"city": str(i), "age": i} for i in range(9)))
    choice = chosen(request("attributes.city", "attributes.age"), rows)
    assert names(choice) == ["attributes.age"]
    assert "broader groups" in choice.left_out[0]
    assert chosen(request("attributes.city"), rows).columns == ()


def test_what_nobody_has_is_left_out():
    choice = chosen(request("attributes.height", "profile", "preferences"), people({}, {}))
    assert choice.columns == ()
    assert [text.split()[0] for text in choice.left_out] == ["no", "no", "no"]


def test_a_choice_places_people_who_never_bought():
    rows = shop()
    feature_set = FeatureSet(chosen(request("profile", city=AttributeOptions(categorical=True)), rows).columns)
    X = feature_set.features(rows, now=0, order_value=1.0)
    np.testing.assert_array_equal(X[:, 0], rows.numbers("age"))
    np.testing.assert_array_equal(X[:, 2], rows.labels("city").among(["a"]))
    assert feature_set.placeable(rows).all()
    assert not feature_set.needs_purchases


def renewed(asked, before, after):
    wanted = request(*asked)
    columns = chosen(wanted, before).columns
    return renewed_columns(wanted, wanted.signature, columns, after, now=NOW, order_value=10.0), columns


def test_columns_stay_where_an_attribute_has_come_to_have_too_many_values():
    """A renewal that changes nothing would be found with every review, and be all that reviews do."""
    eight = people(*({"plan": f"p{number % 8}"} for number in range(80)))
    nine = people(*({"plan": f"p{number % 9}"} for number in range(90)))
    assert renewed(("attributes.plan",), eight, nine)[0] is None


def test_columns_stay_while_the_sample_looks_alike():
    assert renewed(["profile", "attributes.city"], shop(), shop())[0] is None
    assert renewed(["rfm"], shop(), shop(400))[0] is None


def test_caps_follow_a_sample_that_has_outgrown_them():
    choice, before = renewed(["profile"], shop(100), shop(200))
    assert choice.columns[0] == before[0]
    assert choice.columns[1].high == 199_000 > before[1].high


def test_a_new_level_is_taken_up_and_the_others_stay():
    after = people(*({"city": "abc"[i % 3]} for i in range(100)))
    choice, _ = renewed(["attributes.city"], shop(), after)
    assert [column.level for column in choice.columns] == ["a", "b", "c"]


def test_other_settings_choose_anew():
    before = chosen(request("profile"), shop()).columns
    wanted = request("profile", age=AttributeOptions(bins=(30, 40)))
    choice = renewed_columns(wanted, request("profile").signature, before, shop(), now=NOW, order_value=10.0)
    assert choice.columns[0].bins == (30, 40)


# ---- scaling of what is made of purchases ----


def buyers(days, baskets=None):
    """Customers who bought once, so many days before NOW, and what share of it was from the category Garden."""
    header = np.zeros(len(days), HEADER)
    times = NOW - np.array(days) * DAY
    for name in ("first_at", "last_at", "newest_at"):
        header[name] = times
    header["orders"] = header["orders_decayed"] = 1
    shares = np.array([0.0] * len(days) if baskets is None else baskets)
    return Columns(header, Baskets(lambda: [{}] * len(days), garden=shares))


@dataclass(frozen=True, eq=False)
class Baskets(DecodedColumns):
    """Shares of Garden as they are given; the rest is from Toys."""

    garden: np.ndarray = field(kw_only=True)

    def category_counts(self):
        return {"Garden": 2, "Toys": 1}

    def category_shares(self, categories):
        return np.stack([self.garden if one == "Garden" else 1 - self.garden for one in categories], axis=1)


def by_range(*asked, **scaling):
    return FeatureRequest(names=asked, scaling={name.replace("__", "."): how for name, how in scaling.items()})


def test_a_feature_by_its_range_knows_its_range_and_the_others_none():
    columns = chosen(by_range("rfm", recency="minmax", monetary="standard"), buyers([0, 30, 90])).columns
    assert [column.span for column in columns] == [np.log1p(3.0), None, None]
    nobody = people({}, {})
    nobody.header["last_at"] = MISSING_TIME
    assert chosen(by_range("recency", recency="minmax"), nobody).columns[0].span == 0.0


def test_every_share_is_scaled_unless_it_is_named_itself():
    rows = buyers([1, 2, 3], [0.1, 0.4, 0.9])
    spans = [one.span for one in chosen(by_range("preferences", preferences="minmax"), rows).columns]
    assert spans == pytest.approx([0.8, 0.8])
    garden = by_range("preferences", "recency", preferences="minmax", share__Garden="standard")
    assert [one.span is None for one in chosen(garden, rows).columns] == [True, False, True]
    alone = by_range("share.Toys", preferences="minmax")
    assert chosen(alone, rows).columns[0].span == pytest.approx(0.8)


def test_scaling_makes_another_request_only_where_it_changes_something():
    plain = request("rfm").signature
    assert by_range("rfm", recency="standard", tenure="minmax", preferences="minmax").signature == plain
    assert by_range("rfm", recency="minmax").signature == (*plain, "recency: minmax")
    assert by_range("preferences", share__Toys="standard").signature == ("preferences",)
    both = by_range("share.Toys", share__Toys="standard", preferences="minmax").signature
    assert both == ("share.Toys", "preferences: minmax", "share.Toys: standard")
    assert by_range("preferences", share__Toys="minmax").signature == ("preferences", "share.Toys: minmax")


@pytest.mark.parametrize(
    ("name", "how", "told"),
    [
        ("recency", "robust", "standard or minmax"),
        ("height", "minmax", "no feature 'height'"),
        ("rfm", "minmax", "no feature 'rfm'"),
        ("share.", "minmax", "no feature"),
        ("attributes.age", "minmax", "attribute_options.age.scaling"),
        ("profile", "minmax", "attribute_options.<name>.scaling"),
    ],
)
def test_a_scaling_that_makes_no_sense_is_refused(name, how, told):
    with pytest.raises(ScalingError, match=told):
        FeatureRequest(names=("rfm",), scaling={name: how})


def test_a_range_follows_a_sample_that_has_outgrown_it():
    wanted = by_range("rfm", recency="minmax")
    columns = chosen(wanted, buyers([0, 30])).columns

    def later(days):
        return renewed_columns(wanted, wanted.signature, columns, buyers(days), now=NOW, order_value=10.0)

    assert later([0, 30, 31]) is None
    assert later([0, 90]).columns[0].span == np.log1p(3.0)
    assert later([0, 10]).columns[0].span < columns[0].span
    assert later([0, 90]).columns[1:] == columns[1:]


def test_set_to_its_range_a_feature_is_chosen_anew_and_back_again():
    plain, scaled = request("rfm"), by_range("rfm", recency="minmax")
    rows = buyers([0, 30])
    there = renewed_columns(scaled, plain.signature, FeatureSet.of().columns, rows, now=NOW, order_value=10.0)
    assert there.columns[0].span == np.log1p(1.0)
    back = renewed_columns(plain, scaled.signature, there.columns, rows, now=NOW, order_value=10.0)
    assert back.columns == FeatureSet.of().columns
