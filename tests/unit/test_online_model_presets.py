import numpy as np
import pytest

from consumer.columns import Columns
from consumer.layout import HEADER
from consumer.ragged_columns import DecodedColumns
from online_model.encoding import AttributeOptions
from online_model.features import FeatureSet, UnknownFeatureError
from online_model.presets import FeatureRequest, choose_columns, renewed_columns


def people(*attributes):
    """Customers who never bought and of whom only attributes are known."""
    return Columns(np.zeros(len(attributes), HEADER), DecodedColumns(lambda: attributes))


def shop(n=100):
    return people(*({"age": 20 + i % 50, "income": 1000.0 * i, "city": "ab"[i % 2], "vip": i < 5} for i in range(n)))


def request(*names, attributes=(), **options):
    return FeatureRequest(names=names, attributes=attributes, options=options)


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
    assert names(choose_columns(request("profile"), rows)) == [f"attributes.{name}" for name in "bcde"]
    chosen = choose_columns(request("profile", attributes=("vip", "a")), rows)
    assert names(chosen) == ["attributes.vip=true", "attributes.a"]


def test_text_spans_the_model_only_where_it_is_asked_for():
    rows = shop()
    assert names(choose_columns(request("profile"), rows)) == ["attributes.age", "attributes.income"]
    levels = ["attributes.city=a", "attributes.city=b"]
    assert names(choose_columns(request("attributes.city"), rows)) == levels
    categorical = AttributeOptions(categorical=True)
    assert names(choose_columns(request("profile", city=categorical), rows))[2:] == levels
    assert len(choose_columns(request("attributes.n", n=categorical), people({"n": 1}, {"n": 2})).columns) == 2


def test_too_many_levels_are_left_out_with_advice_and_nothing_fails():
    rows = people(*({"city": str(i), "age": i} for i in range(9)))
    choice = choose_columns(request("attributes.city", "attributes.age"), rows)
    assert names(choice) == ["attributes.age"]
    assert "broader groups" in choice.left_out[0]
    assert choose_columns(request("attributes.city"), rows).columns == ()


def test_what_nobody_has_is_left_out():
    choice = choose_columns(request("attributes.height", "profile", "preferences"), people({}, {}))
    assert choice.columns == ()
    assert [text.split()[0] for text in choice.left_out] == ["no", "no", "no"]


def test_a_choice_places_people_who_never_bought():
    rows = shop()
    feature_set = FeatureSet(choose_columns(request("profile", city=AttributeOptions(categorical=True)), rows).columns)
    X = feature_set.features(rows, now=0, order_value=1.0)
    np.testing.assert_array_equal(X[:, 0], rows.numbers("age"))
    np.testing.assert_array_equal(X[:, 2], rows.labels("city").among(["a"]))
    assert feature_set.placeable(rows).all()
    assert not feature_set.needs_purchases


def renewed(asked, before, after):
    wanted = request(*asked)
    columns = choose_columns(wanted, before).columns
    return renewed_columns(wanted, wanted.signature, columns, after), columns


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
    many = people(*({"city": str(i)} for i in range(100)))
    choice, before = renewed(["attributes.city"], shop(), many)
    assert choice.columns == before


def test_other_settings_choose_anew():
    before = choose_columns(request("profile"), shop()).columns
    wanted = request("profile", age=AttributeOptions(bins=(30, 40)))
    choice = renewed_columns(wanted, request("profile").signature, before, shop())
    assert choice.columns[0].bins == (30, 40)
