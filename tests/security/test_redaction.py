"""No password in a log line, whichever library writes it."""

import logging
from dataclasses import dataclass

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from kafka.net.sasl import get_sasl_mechanism

from livesegments.log_output import configure
from livesegments.redaction import Redaction, secrets
from livesegments.sources import load_settings
from logs.kafka_noise import quieten
from logs.open import LogUrlError, open_logs
from recommender.reader import CustomerReader, ReaderUrlError

PASSWORDS = {"kafka": "kafka-s3cret", "redis": "redis-s3cret", "url": "url/s3cret", "log": "log s3cret"}


def settings(**more):
    flags = {
        "kafka_password": PASSWORDS["kafka"],
        "redis_password": PASSWORDS["redis"],
        "redis_url": "redis://me:url%2Fs3cret@h:1/0",
        "log_url": "rediss://h:1/0?password=log+s3cret",
        "log_level": "debug",
    }
    return load_settings(flags=flags | more).settings


@dataclass
class Said:
    capsys: pytest.CaptureFixture

    def getvalue(self) -> str:
        self.seen = getattr(self, "seen", "") + self.capsys.readouterr().err
        return self.seen


@pytest.fixture
def said(capsys):
    """What is logged, with logging as it was afterwards."""
    root, kafka = logging.getLogger(), logging.getLogger("kafka")
    before = root.handlers[:], root.level, kafka.handlers[:], kafka.level, kafka.propagate
    # A Kafka client of an earlier test has put these loggers behind one that remembers what was said lately.
    kafka.handlers[:], kafka.level, kafka.propagate = [], logging.NOTSET, True
    yield Said(capsys)
    root.handlers[:], root.level, kafka.handlers[:], kafka.level, kafka.propagate = before
    structlog.reset_defaults()


def test_all_passwords_of_the_settings_are_known():
    assert {"kafka-s3cret", "redis-s3cret", "url%2Fs3cret", "log s3cret"} == set(filter(None, secrets(settings())))


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("logger", ["livesegments", "kafka.net", "redis"])
def test_a_line_with_passwords_loses_them(said, log_format, logger):
    configure(settings(log_format=log_format))
    try:
        int(PASSWORDS["redis"])
    except ValueError:
        logging.getLogger(logger).exception("for %s, and %s", PASSWORDS["kafka"], ["url%2Fs3cret", PASSWORDS["url"]])
    structlog.get_logger(logger).warning("with", password=PASSWORDS["log"])
    assert "and" in said.getvalue()
    assert "s3cret" not in said.getvalue()


def test_a_line_without_passwords_stays(said):
    configure(settings(log_format="text"))
    structlog.get_logger("x").warning("worker starts", partitions=12)
    assert "worker starts" in said.getvalue()
    assert "***" not in said.getvalue()


@given(st.text(min_size=4, max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_whatever_the_password_it_is_gone(secret, before, after):
    line = Redaction([secret])(None, "", f"{before}{secret}{after}")
    assert secret not in line.replace("***", "\N{BLACK SQUARE}") or "*" in secret


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_kafkas_own_lines_never_get_through_below_warning(said, mechanism):
    """kafka-python prints what it sends at DEBUG; somebody who looks for a fault turns that on."""
    configure(settings(kafka_password="", log_format="text"))  # nothing to star out: the level alone holds it back
    quieten()
    logging.getLogger("kafka").setLevel(logging.DEBUG)
    client = get_sasl_mechanism(mechanism)(
        sasl_mechanism=mechanism, sasl_plain_username="me", sasl_plain_password=PASSWORDS["kafka"]
    )
    logging.getLogger("kafka.net.connection").debug("sending %r", client.auth_bytes() + PASSWORDS["kafka"].encode())
    assert "s3cret" not in said.getvalue()


@pytest.mark.parametrize("url", ["redis://me:pa/s3cret@h", "http://me:s3cret@h", "me:s3cret@h:1", "redis:me:s3cret@h"])
def test_errors_show_no_password(url):
    with pytest.raises(LogUrlError) as log:
        open_logs(url.replace("redis", "radish"))
    with pytest.raises(ReaderUrlError) as reader:
        CustomerReader(url)
    assert "s3cret" not in f"{log.value} {reader.value}"
