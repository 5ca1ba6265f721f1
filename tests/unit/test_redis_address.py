"""Log-in and certificates from settings of their own reach redis-py as they are."""

from urllib.parse import urlsplit

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from livesegments.redis_address import redis_address
from livesegments.sources import SettingsError, load_settings


def options(url: str, **flags) -> dict:
    settings = load_settings(flags=flags).settings
    return redis.ConnectionPool.from_url(redis_address(url, settings)).connection_kwargs


@given(st.text(min_size=1, max_size=20), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_any_name_and_password_arrive(username, password):
    said = options("redis://h:1/2", redis_username=username, redis_password=password)
    assert (said["username"], said["password"], said["host"], said["db"]) == (username, password, "h", 2)


def test_the_url_wins():
    assert options("redis://:own@h:1", redis_password="other")["password"] == "own"
    assert options("rediss://h?ssl_ca_certs=own.pem", redis_ca_file="other.pem")["ssl_ca_certs"] == "own.pem"


def test_certificates_go_with_tls_only():
    files = {"redis_ca_file": "a b&c.pem", "redis_certificate_file": "d.pem", "redis_key_file": "e.pem"}
    said = options("rediss://h:1/0?socket_timeout=3", **files)
    assert (said["ssl_ca_certs"], said["ssl_certfile"], said["ssl_keyfile"]) == ("a b&c.pem", "d.pem", "e.pem")
    assert said["socket_timeout"] == 3
    assert "ssl_ca_certs" not in options("redis://h:1/0", **files)


def test_a_unix_socket_has_a_login_too():
    assert options("unix:///run/redis.sock", redis_password="p@/")["password"] == "p@/"


def test_other_urls_stay():
    settings = load_settings(flags={"redis_password": "p"}).settings
    assert redis_address("kafka://h:1", settings) == "kafka://h:1"


def test_halves_are_refused():
    with pytest.raises(SettingsError, match="redis_key_file needs redis_certificate_file"):
        load_settings(flags={"redis_key_file": "k.pem"})
    with pytest.raises(SettingsError, match="redis_username needs redis_password"):
        load_settings(flags={"redis_username": "me"})


@pytest.mark.parametrize(
    "prefix", ["shop:customer", "shop:eu:similar:x", 'a"b', "a'b", "a\\b", "a\x00b", "a\nb", "{p0}"]
)
def test_a_prefix_that_could_meet_another_deployments_ids_is_refused(prefix):
    with pytest.raises(SettingsError, match="key_prefix"):
        load_settings(flags={"key_prefix": prefix})


def test_a_prefix_may_have_parts():
    assert load_settings(flags={"key_prefix": "customer:shop:eu*"}).settings.key_prefix == "customer:shop:eu*"
    assert urlsplit(redis_address("redis://h:1", load_settings().settings)).netloc == "h:1"
