"""What URLs of Redis name, and what is said of those that can not be one."""

import pytest

from livesegments.redis_address import redis_address
from livesegments.sources import SettingsError, load_settings
from recommender.redis_url import RedisUrl


@pytest.mark.parametrize("url", ["redis://h:1/2", "rediss://me:p@h", "unix:///run/redis.sock?db=1"])
def test_one_server_is_left_as_it_is(url):
    said = RedisUrl.read(url)
    assert (said.kind, said.first) == ("server", url)


def test_a_cluster_is_named_by_some_of_its_nodes():
    said = RedisUrl.read("redis+cluster://me:p%40@a:7000,b,[::1]:7002?socket_timeout=3")
    assert said.kind == "cluster"
    assert said.servers == (("a", 7000), ("b", 6379), ("::1", 7002))
    assert said.options() == {"username": "me", "password": "p@", "db": 0, "socket_timeout": 3.0}


def test_tls_is_said_by_the_scheme():
    said = RedisUrl.read("rediss+cluster://a?ssl_ca_certs=ca.pem")
    assert said.options() == {"db": 0, "ssl": True, "ssl_ca_certs": "ca.pem"}


def test_sentinels_are_named_with_the_service_they_watch_over():
    said = RedisUrl.read("redis+sentinel://:p@a,b:5000/shop/3?sentinel_username=u&sentinel_password=s%26")
    assert said.servers == (("a", 26379), ("b", 5000))
    assert said.service == "shop"
    assert said.options() == {"password": "p", "db": 3}
    assert dict(said.sentinel_login) == {"username": "u", "password": "s&"}


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis+cluster://a/1", "no databases but 0"),
        ("redis+sentinel://a", "name of a service"),
        ("redis+sentinel://a/shop/x", "expected"),
        ("redis+cluster://a:x", "expected"),
        ("redis+cluster://a,,b", "expected"),
        ("redis+other://a", "expected"),
        ("unix+cluster:///a", "expected"),
        ("a:1", "expected"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(url, why):
    with pytest.raises(ValueError, match=why):
        RedisUrl.read(url)


def test_log_ins_and_certificates_reach_every_kind():
    flags = {
        "redis_url": "rediss+sentinel://a/shop",
        "log_url": "kafka://k:9092",
        "redis_password": "p",
        "redis_ca_file": "ca.pem",
        "redis_sentinel_username": "u",
        "redis_sentinel_password": "s",
    }
    settings = load_settings(flags=flags).settings
    said = RedisUrl.read(redis_address(settings.redis_url, settings))
    assert said.options() == {"password": "p", "db": 0, "ssl": True, "ssl_ca_certs": "ca.pem"}
    assert dict(said.sentinel_login) == {"username": "u", "password": "s"}


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ({"redis_url": "redis+cluster://a:1,b:2"}, "a log is in Kafka, or in one Redis server"),
        ({"redis_url": "redis+cluster://a/4", "log_url": "kafka://k:1"}, "no databases but 0"),
        ({"redis_sentinel_username": "u"}, "needs redis_sentinel_password"),
    ],
)
def test_settings_that_do_not_fit_are_refused(flags, why):
    with pytest.raises(SettingsError, match=why):
        load_settings(flags=flags)
