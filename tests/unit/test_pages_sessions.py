"""Sessions of the pages: who is known by a cookie, and for how long."""

from hypothesis import given
from hypothesis import strategies as st

from dashboard.access import ApiKeys
from dashboard.pages.sessions import LASTS, EndsHere, Sessions
from tests.web_shop import key, keys_of

NOW = 1_700_000_000_000_000


def begun(keys: ApiKeys, name: str = "anna") -> tuple[Sessions, str]:
    sessions = Sessions(keys, EndsHere())
    found = sessions.begin(key(name), NOW)
    assert found is not None
    return sessions, found[0]


def test_a_cookie_is_known_until_it_is_old():
    sessions, cookie = begun(keys_of(anna="admin"))
    session = sessions.read(cookie, NOW + LASTS - 1)
    assert session is not None
    assert sessions.caller(session, NOW).name == "anna"
    assert sessions.read(cookie, NOW + LASTS) is None
    assert sessions.caller(session, NOW + LASTS) is None


def test_it_holds_no_key_and_every_session_is_another():
    keys = keys_of(anna="admin")
    sessions, cookie = begun(keys)
    assert key("anna") not in cookie
    assert sessions.begin(key("anna"), NOW)[0] != cookie


def test_nobody_begins_one_with_a_key_that_is_not_known():
    assert Sessions(keys_of(anna="admin"), EndsHere()).begin("lsk_other", NOW) is None


def test_another_process_knows_it():
    keys = keys_of(anna="viewer", ben="admin")
    _, cookie = begun(keys)
    assert Sessions(keys, EndsHere()).read(cookie, NOW) is not None


def test_who_has_logged_out_is_out():
    sessions, cookie = begun(keys_of(anna="admin"))
    other = sessions.begin(key("anna"), NOW)[0]
    session = sessions.read(cookie, NOW)
    sessions.end(session)
    assert sessions.read(cookie, NOW) is None
    assert sessions.caller(session, NOW) is None
    assert sessions.read(other, NOW) is not None


def test_it_ends_with_its_key():
    _, cookie = begun(keys_of(anna="admin", ben="viewer"))
    assert Sessions(keys_of(ben="viewer"), EndsHere()).read(cookie, NOW) is None
    # The name was given to another key: that is somebody else.
    changed = ApiKeys.read(
        {"anna": {"sha256": "0" * 64, "role": "admin"}, "ben": {"sha256": "1" * 64, "role": "viewer"}}
    )
    assert Sessions(changed, EndsHere()).read(cookie, NOW) is None


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_no_other_cookie_is(place, letter):
    sessions, cookie = begun(keys_of(anna="viewer"))
    at = place % len(cookie)
    forged = cookie[:at] + letter + cookie[at + 1 :]
    if forged != cookie:
        assert sessions.read(forged, NOW) is None


@given(st.text(max_size=200))
def test_nothing_else_is_either(text):
    assert Sessions(keys_of(anna="viewer"), EndsHere()).read(text, NOW) is None
