"""Why a Kafka cluster can not be reached: stage by stage, since kafka-python reports every failure alike."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from kafka.net.sasl import get_sasl_mechanism

from logs.kafka_security import KafkaSecurity
from logs.kafka_wire import ClosedError, KafkaWire, SpeaksTlsError

TIMEOUT_SECONDS: Final = 5.0
UNSUPPORTED_MECHANISM: Final = 33
ILLEGAL_SASL_STATE: Final = 34
# OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH and X509_V_ERR_CERT_HAS_EXPIRED.
OTHER_HOST: Final = (62, 64)
EXPIRED: Final = 10

Stage = Literal["address", "name", "connection", "tls", "protocol", "login", "cluster"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a connection got: `ok`, or the stage that failed and what to do about it."""

    ok: bool
    text: str
    stage: Stage | None = None


class _FailedError(Exception):
    def __init__(self, stage: Stage, text: str) -> None:
        super().__init__(text)
        self.stage: Stage = stage


def probe(bootstrap: str, security: KafkaSecurity | None, timeout: float = TIMEOUT_SECONDS) -> Verdict:
    """Try the servers in turn, each stage for at most so many seconds.

    The first server that answers decides; where none does, the last one.
    """
    verdict = Verdict(ok=False, text=f"{bootstrap!r} names no server", stage="address")
    for server in bootstrap.split(","):
        try:
            text = _try(server, security or KafkaSecurity(), timeout)
        except _FailedError as failed:
            verdict = Verdict(ok=False, text=f"{server}: {failed}", stage=failed.stage)
        else:
            return Verdict(ok=True, text=f"{server}: {text}")
    return verdict


def diagnose(bootstrap: str, security: KafkaSecurity | None) -> str:
    """One sentence on why a client could not connect just now."""
    verdict = probe(bootstrap, security, timeout=2.0)
    return "it answers now, but did not in time; try again" if verdict.ok else verdict.text


def _try(server: str, security: KafkaSecurity, timeout: float) -> str:
    host, _, port = server.rpartition(":")
    if not host or not port.isdigit():
        raise _FailedError("address", "expected host:port")
    with _connect(host, int(port), timeout) as plain, _secure(plain, host, security) as channel:
        wire = KafkaWire(channel)
        with _conversation(security):
            wire.api_versions()
        if security.mechanism is not None:
            _log_in(wire, security)
        try:
            brokers = wire.brokers()
        except (ClosedError, OSError) as error:
            raise _FailedError(
                "login", f"the broker wants a login: set mechanism, username and password ({error})"
            ) from None
    _reach(brokers, timeout)
    login = f", logged in as {security.username}" if security.mechanism else ""
    return f"{len(brokers)} broker{'s' * (len(brokers) != 1)}{', TLS' * security.tls}{login}"


def _connect(host: str, port: int, timeout: float) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout)
    except socket.gaierror:
        raise _FailedError("name", f"the name {host!r} does not resolve: check its spelling and your DNS") from None
    except ConnectionRefusedError:
        raise _FailedError("connection", "connection refused: nothing listens there; is the broker up?") from None
    except TimeoutError:
        raise _FailedError("connection", f"no answer within {timeout:.0f} s: a firewall, or a wrong address") from None
    except OSError as error:
        raise _FailedError("connection", f"no connection: {error.strerror or error}") from None


@contextlib.contextmanager
def _secure(plain: socket.socket, host: str, security: KafkaSecurity) -> Iterator[socket.socket]:
    if not security.tls:
        yield plain
        return
    try:
        context = ssl.create_default_context(cafile=security.ca_file)
        if security.certificate_file is not None:
            context.load_cert_chain(security.certificate_file, security.key_file)
    except (OSError, ssl.SSLError) as error:
        raise _FailedError("tls", f"a certificate file can not be used: {error}") from None
    try:
        channel = context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise _FailedError("tls", _distrust(error, host)) from None
    except (ssl.SSLError, OSError) as error:
        raise _FailedError(
            "tls",
            f"no TLS there: the port is probably a plaintext one; set tls = false, or take the TLS port ({error})",
        ) from None
    with channel:
        yield channel


def _distrust(error: ssl.SSLCertVerificationError, host: str) -> str:
    if error.verify_code in OTHER_HOST:
        return f"the broker's certificate is not for {host!r}: use a name that stands in it"
    if error.verify_code == EXPIRED:
        return "the broker's certificate has expired"
    return f"the broker's certificate is not trusted ({error.verify_message}): name its authority by ca_file"


@contextlib.contextmanager
def _conversation(security: KafkaSecurity) -> Iterator[None]:
    """What a failure of the first request means."""
    try:
        yield
    except SpeaksTlsError:
        raise _FailedError("tls", "the port speaks TLS: set tls = true") from None
    except ssl.SSLError as error:
        raise _FailedError(
            "tls", f"the broker refused our side of TLS: it may ask for a certificate of ours ({error.reason})"
        ) from None
    except TimeoutError:
        raise _FailedError("protocol", "it accepts connections and does not answer: not Kafka, or it hangs") from None
    except (ClosedError, OSError) as error:
        hint = "" if security.tls else "; if the port expects TLS, set tls = true"
        raise _FailedError("protocol", f"no answer to Kafka's protocol ({error}){hint}") from None


def _log_in(wire: KafkaWire, security: KafkaSecurity) -> None:
    mechanism = security.mechanism
    assert mechanism is not None
    with _conversation(security):
        code, available = wire.sasl_handshake(mechanism)
    if code == ILLEGAL_SASL_STATE:
        raise _FailedError("login", "this port takes no login: leave mechanism out, or take the SASL port")
    if code == UNSUPPORTED_MECHANISM:
        raise _FailedError("login", f"the broker does not know {mechanism}: it has {', '.join(available) or 'none'}")
    if code:
        raise _FailedError("login", f"the broker refuses the SASL handshake with error {code}")
    client = get_sasl_mechanism(mechanism)(
        sasl_mechanism=mechanism,
        sasl_plain_username=security.username or "",
        sasl_plain_password=security.password or "",
    )
    done = False
    while not done:
        with _conversation(security):
            code, words, answer = wire.sasl_authenticate(client.auth_bytes())
        if code:
            raise _FailedError(
                "login", f"user {security.username!r} or its password is wrong for {mechanism} ({words})"
            )
        done = client.receive(answer) or client.is_done()


def _reach(brokers: list[tuple[str, int]], timeout: float) -> None:
    """Clients go on to the addresses that brokers advertise: a classic trap with containers."""
    for host, port in brokers:
        try:
            _connect(host, port, timeout).close()
        except _FailedError as failed:
            raise _FailedError(
                "cluster",
                f"it answers, but tells clients to use {host}:{port}, which can not be reached from here ({failed}); "
                "set the broker's advertised.listeners to an address that this machine can reach",
            ) from None
