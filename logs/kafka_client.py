"""What all our Kafka clients have in common: how they connect, and what kafka-python's errors mean to us."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaAdminClient, errors

from logs.base import LogError, LogUnavailableError, RecordTooLargeError
from logs.kafka_noise import quieten
from logs.kafka_probe import diagnose
from logs.kafka_security import KafkaSecurity

BOOTSTRAP_MS: Final = 5_000
ADMIN_REQUEST_MS: Final = 5_000
CLIENT_ERRORS: Final = (errors.KafkaError, RuntimeError)
"""What a client's call raises where the cluster does not answer. kafka-python 3.0.12 raises a bare RuntimeError
("Transport closed for writes") where the connection breaks, or the client is closed, under a request."""


@dataclass(frozen=True, slots=True)
class KafkaCluster:
    """Where a cluster is and how to log in."""

    bootstrap: str
    """host:port[,host:port]"""
    security: KafkaSecurity | None = None

    def settings(self) -> dict[str, Any]:
        """Settings for every kafka-python client."""
        quieten()
        settings: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap.split(","),
            "bootstrap_timeout_ms": BOOTSTRAP_MS,
            # With the default of 30 s a consumer came back 26 to 39 s after its broker, with this in 2.
            "reconnect_backoff_max_ms": 1_000,
        }
        if (security := self.security) is not None:
            settings["security_protocol"] = ("SASL_" if security.mechanism else "") + (
                "SSL" if security.tls else "PLAINTEXT"
            )
            settings |= {
                "ssl_cafile": _text(security.ca_file),
                "ssl_certfile": _text(security.certificate_file),
                "ssl_keyfile": _text(security.key_file),
                "sasl_mechanism": security.mechanism,
                "sasl_plain_username": security.username,
                "sasl_plain_password": security.password,
            }
        return settings

    def admin(self) -> KafkaAdminClient:
        """A connected admin client. Raises LogUnavailableError."""
        with self.connecting():
            return KafkaAdminClient(**self.settings(), request_timeout_ms=ADMIN_REQUEST_MS)

    @contextlib.contextmanager
    def connecting(self) -> Iterator[None]:
        """Turn kafka-python's one error for all failures to connect into one that says which it was."""
        try:
            yield
        except errors.KafkaError as error:
            if isinstance(error, errors.AuthorizationError):
                raise meaning(error) from error
            raise LogUnavailableError(
                f"Kafka at {self.bootstrap}: {diagnose(self.bootstrap, self.security)}"
            ) from error


def never_create_topics(metadata: Any) -> None:
    """Keep a client's requests for metadata from making topics that are not there, where the brokers do that.

    kafka-python 3.0.12 takes the setting `allow_auto_create_topics` and does not hand it on: a topic that was deleted
    came back at once, with one partition and producers' times.
    """
    metadata.config["allow_auto_create_topics"] = False


def meaning(error: BaseException) -> LogError:
    """Our error for one of kafka-python's."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, errors.MessageSizeTooLargeError | errors.RecordListTooLargeError):
        return RecordTooLargeError(f"the record is larger than the log accepts: {error}")
    if isinstance(error, errors.AuthorizationError):
        return LogError(f"Kafka does not allow it; ask for the ACL that is missing: {text}")
    if isinstance(error, errors.RetriableError | RuntimeError):
        return LogUnavailableError(f"Kafka does not answer now: {text}")
    return LogError(f"Kafka refused: {text}")


def _text(path: object) -> str | None:
    return None if path is None else str(path)
