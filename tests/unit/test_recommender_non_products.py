"""Postage, fees and manual entries are never products; what merely sounds like one is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.non_products import AMOUNT_ITEM, NonProductPatternError, NonProducts

BOOKED = """POST post postage AMAZONFEE Discount manual Adjust Shipping carriage
BANK CHARGES|gift card|gift-voucher 20|Express Delivery|dotcom postage|shipping fee"""
SOLD = """DOT M D C2 85123A 22423 PADS DCGSSBOY coffee toffee poster postcard MUG Dress Manuals
gift box|post-it notes|handling tools|feet"""


def ids(text: str) -> list[str]:
    words, phrases = text.splitlines()
    return [*words.split(), *phrases.split("|")]


@pytest.mark.parametrize("item", ids(BOOKED))
def test_booked_services_are_no_products(item):
    assert NonProducts().matches(item)


@pytest.mark.parametrize("item", ids(SOLD))
def test_products_that_sound_alike_stay(item):
    assert not NonProducts().matches(item)


def test_the_place_holder_is_never_a_product_whatever_the_settings():
    assert NonProducts([]).matches(AMOUNT_ITEM)
    assert not NonProducts([]).matches("POST")


@given(st.lists(st.lists(st.sampled_from(["POST", "22423", "manual", "85123A"]), max_size=900), max_size=6))
def test_the_mask_grows_with_the_items(batches):
    items = NonProducts()
    for batch in batches:
        items.extend(batch)
    every = [item for batch in batches for item in batch]
    assert items.allowed.tolist() == [re.match(r"\d", item) is not None for item in every]


def test_a_broken_pattern_is_one_readable_line():
    with pytest.raises(NonProductPatternError, match=r"'\(post' is not a regular expression"):
        NonProducts(["(post"])
