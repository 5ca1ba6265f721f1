"""TLS and log-in on a real broker: that they work, and that each way to get them wrong is named for what it is."""

import shutil
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from logs.base import LogSpec, LogUnavailableError
from logs.kafka_log import KafkaLogs
from logs.kafka_probe import probe
from logs.kafka_security import KafkaSecurity
from logs.redis_server import free_port
from tests.conftest import missing
from tests.servers import LocalKafka, NoServerError


def certificate(folder: Path, host: str) -> Path:
    """A self-signed certificate for one host, with its key beside it: it is its own authority."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run([*command, "-addext", f"subjectAltName=DNS:{host}", *files], check=True, capture_output=True)
    return folder / "certificate.pem"


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """One broker with a listener of each kind."""
    if shutil.which("openssl") is None:
        missing("no openssl to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")
    authority = certificate(folder, "localhost")
    (folder / "keystore.pem").write_text((folder / "key.pem").read_text() + authority.read_text())
    own = "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"
    names = ["TLS", "LOGIN", "BARE", "AWAY"]
    more = ",".join(f"{name}://127.0.0.1:{{spare[{place}]}}" for place, name in enumerate(names))
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule required user_worker=secret;"
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    settings = {
        "listeners": f"{own},{more}",
        "advertised.listeners": (
            "PLAINTEXT://127.0.0.1:{port},TLS://localhost:{spare[0]},LOGIN://localhost:{spare[1]},"
            "BARE://localhost:{spare[2]},AWAY://127.0.0.1:{spare[4]}"
        ),
        "listener.security.protocol.map": (
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,LOGIN:SASL_SSL,BARE:SASL_PLAINTEXT,AWAY:PLAINTEXT"
        ),
        "inter.broker.listener.name": "PLAINTEXT",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(folder / "keystore.pem"),
    }
    for name in ("login", "bare"):
        settings |= {
            f"listener.name.{name}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            f"listener.name.{name}.plain.sasl.jaas.config": plain,
            f"listener.name.{name}.scram-sha-512.sasl.jaas.config": scram,
        }
    try:
        broker = LocalKafka(settings, users={"worker": "secret"})
    except NoServerError as error:
        missing(str(error))
    tls, login, bare, away, _ = broker.spare
    with broker:
        yield SimpleNamespace(
            plain=broker.bootstrap,
            tls=f"localhost:{tls}",
            login=f"localhost:{login}",
            bare=f"localhost:{bare}",
            away=f"127.0.0.1:{away}",
            ca=authority,
            folder=folder,
        )


def security(secured, **changes) -> KafkaSecurity:
    worker = {"tls": True, "ca_file": secured.ca, "username": "worker", "password": "secret"}
    return KafkaSecurity(**{**worker, **changes})


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
@pytest.mark.parametrize("tls", [True, False])
def test_records_go_through_a_login(secured, mechanism, tls, unique):
    bootstrap = secured.login if tls else secured.bare
    logs = KafkaLogs(bootstrap, security=security(secured, mechanism=mechanism, tls=tls))
    verdict = logs.probe()
    assert verdict.ok, verdict.text
    assert "worker" in verdict.text
    logs.create(LogSpec(unique, 1))
    writer = logs.writer()
    writer.append(unique, b"k", b"v").result(30)
    writer.close(30)
    assert [list(batch.values) for batch in logs.read_all(unique)] == [[b"v"]]
    logs.close()


def test_plaintext_and_tls_alone_are_fine(secured):
    assert KafkaLogs(secured.plain).probe().ok
    assert KafkaLogs(secured.tls, security=security(secured, username=None)).probe().ok


def verdict_of(bootstrap, given=None):
    verdict = KafkaLogs(bootstrap, security=given).probe()
    assert not verdict.ok
    assert "\n" not in verdict.text
    assert "secret" not in verdict.text
    return verdict.stage, verdict.text


def test_every_stage_that_fails_is_named(secured, tmp_path):
    login = {"mechanism": "PLAIN"}
    cases = [
        ("name", "does not resolve", "no-such-host.invalid:9092", None),
        ("address", "host:port", "localhost", None),
        ("connection", "refused", f"127.0.0.1:{free_port()}", None),
        ("tls", "set tls = true", secured.tls, None),
        ("tls", "plaintext", secured.plain, security(secured)),
        ("tls", "not trusted", secured.tls, security(secured, ca_file=None)),
        ("tls", "is not for '127.0.0.1'", secured.tls.replace("localhost", "127.0.0.1"), security(secured)),
        ("tls", "can not be used", secured.tls, security(secured, ca_file=tmp_path / "missing.pem")),
        ("login", "wrong", secured.login, security(secured, **login, password="Secret")),
        ("login", "wrong", secured.login, security(secured, mechanism="SCRAM-SHA-512", password="Secret")),
        ("login", "wrong", secured.login, security(secured, mechanism="SCRAM-SHA-512", username="nobody")),
        ("login", "PLAIN, SCRAM-SHA-512", secured.login, security(secured, mechanism="SCRAM-SHA-256")),
        ("login", "takes no login", secured.tls, security(secured, **login)),
        ("login", "wants a login", secured.login, security(secured)),
        ("cluster", "advertised.listeners", secured.away, None),
    ]
    for stage, words, bootstrap, given in cases:
        assert verdict_of(bootstrap, given)[0] == stage, (words, verdict_of(bootstrap, given))
        assert words in verdict_of(bootstrap, given)[1]


def test_an_untrusted_certificate_is_no_less_clear_when_a_log_is_opened(secured):
    logs = KafkaLogs(secured.tls, security=KafkaSecurity(tls=True))
    with pytest.raises(LogUnavailableError, match="ca_file"):
        logs.writer()


def test_something_else_than_kafka_is_not_taken_for_it():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        verdict = probe(address, None, timeout=0.5)
    assert not verdict.ok
    assert verdict.stage == "protocol"


def test_the_second_server_may_answer_where_the_first_does_not(secured):
    assert KafkaLogs(f"127.0.0.1:{free_port()},{secured.plain}").probe().ok
