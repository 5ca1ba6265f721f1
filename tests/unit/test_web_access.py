"""Keys of the HTTP API: what settings may say, who is who, and what masks give away."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.access import ROLES, SCOPES, ApiKeyError, ApiKeys, hashed, new_key
from dashboard.masking import Masks

HASH = hashed("lsk_x")


def test_a_key_is_known_by_its_hash_alone():
    key = new_key()
    keys = ApiKeys.read({"anna": {"sha256": hashed(key), "role": "viewer"}, "shop": {"sha256": HASH, "role": "admin"}})
    assert keys.caller(key).name == "anna"
    assert keys.caller(key).scopes == ROLES["viewer"]
    assert keys.caller(hashed(key)) is None
    assert keys.caller("") is None
    assert key not in repr(keys)


@given(st.text(max_size=200))
def test_nobody_guesses(text):
    keys = ApiKeys.read({"shop": {"sha256": hashed(new_key()), "role": "admin"}})
    assert keys.caller(text) is None


def test_new_keys_differ():
    assert len({new_key() for _ in range(100)}) == 100


def test_scopes_are_given_one_by_one_or_as_a_role():
    keys = ApiKeys.read({"feed": {"sha256": HASH, "scopes": ["events:write"]}})
    assert keys.caller("lsk_x").scopes == {"events:write"}
    assert ROLES["viewer"] < ROLES["marketer"] <= ROLES["analyst"] < ROLES["admin"] == set(SCOPES)
    assert "ids" not in ROLES["viewer"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"a b": {"sha256": HASH, "role": "viewer"}}, "no name"),
        ({"a": {"sha256": "lsk_x", "role": "viewer"}}, "64 hexadecimal digits"),
        ({"a": {"role": "viewer"}}, "64 hexadecimal digits"),
        ({"a": {"sha256": HASH}}, "either a role or scopes"),
        ({"a": {"sha256": HASH, "role": "viewer", "scopes": ["ids"]}}, "either a role or scopes"),
        ({"a": {"sha256": HASH, "role": "boss"}}, "viewer, marketer, analyst, admin"),
        ({"a": {"sha256": HASH, "scopes": ["everything"]}}, "'everything' is not one of"),
        ({"a": {"sha256": HASH, "rolle": "viewer"}}, "'rolle' is not known"),
        ({"a": {"sha256": HASH, "role": "viewer"}, "b": {"sha256": HASH, "role": "admin"}}, "the same key"),
    ],
)
def test_what_settings_say_wrongly_is_told(table, said):
    with pytest.raises(ApiKeyError, match=said):
        ApiKeys.read(table)


@given(st.text(), st.text())
def test_masks_tell_customers_apart_and_need_the_secret(one, other):
    masks = Masks(ApiKeys.read({"a": {"sha256": HASH, "role": "viewer"}}).secret())
    assert (masks.mask(one) == masks.mask(other)) == (one == other)
    assert masks.mask(one) != Masks(b"guessed").mask(one)
    assert len(one) < 4 or one not in masks.mask(one)


def test_of_one_key_alone_a_mask_can_be_worked_out_and_that_is_known():
    only = {"anna": {"sha256": hashed("lsk_a"), "role": "viewer"}}
    assert ApiKeys.read(only).secret() == hashlib.sha256(hashed("lsk_a").encode()).digest()
    assert ApiKeys.read(only).masks_nothing
    assert not ApiKeys.read({**only, "unused": {"sha256": hashed("lsk_b"), "role": "viewer"}}).masks_nothing
    assert not ApiKeys.read({"root": {"sha256": hashed("lsk_a"), "role": "admin"}}).masks_nothing
    assert not ApiKeys.read({}).masks_nothing
