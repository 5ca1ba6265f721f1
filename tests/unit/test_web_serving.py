"""Where `livesegments web` listens, and what its settings may say."""

import pytest

from contracts.times import DAY
from dashboard.access import hashed
from livesegments.parts import audit_spec
from livesegments.settings import Settings
from livesegments.sources import SettingsError, load_settings
from livesegments.web.serving import WebAddressError, address_of, listening

ONE_KEY = {"shop": {"sha256": hashed("lsk_x"), "role": "admin"}}


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", "127.9.9.9:0"])
def test_without_keys_it_listens_on_this_machine(address):
    with listening(Settings(web_address=address)) as listener:
        assert address_of(listener).startswith("http://127.")


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "shop.example:8080"])
def test_without_keys_it_refuses_to_listen_for_others(address):
    with pytest.raises(WebAddressError, match="livesegments web-key"):
        listening(Settings(web_address=address))


@pytest.mark.parametrize("more", [{"web_keys": ONE_KEY}, {"web_open": True}])
def test_for_others_it_takes_keys_or_to_be_told(more):
    with listening(Settings(web_address="0.0.0.0:0", **more)) as listener:
        assert listener.getsockname()[1]


def test_a_port_that_is_taken_is_told():
    with listening(Settings(web_address="127.0.0.1:0")) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(WebAddressError, match="free"):
            listening(Settings(web_address=f"127.0.0.1:{port}"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"web_address": "8080"}, "host:port"),
        ({"web_address": "127.0.0.1:99999"}, "65535"),
        ({"web_keys": '{"a": {"sha256": "x", "role": "admin"}}'}, "64 hexadecimal digits"),
        ({"web_keys": "a"}, "JSON object"),
        ({"web_max_body": "1"}, "1024"),
    ],
)
def test_wrong_settings_are_told(flags, said):
    with pytest.raises(SettingsError, match=said):
        load_settings(None, flags)


def test_the_audit_log_is_kept_as_long_as_set():
    settings = load_settings(None, {"audit_retention": "10d", "log_prefix": "x-"}).settings
    assert audit_spec(settings).name == "x-audit"
    assert audit_spec(settings).retention_ms == 10 * DAY // 1000
