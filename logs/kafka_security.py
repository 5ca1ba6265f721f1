"""How to log in to a Kafka cluster, and whom to trust."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """TLS and SASL settings. Without a mechanism nobody logs in; without `tls` nothing is encrypted."""

    tls: bool = False
    ca_file: Path | None = None
    """Certificates to trust, in PEM; None trusts the machine's."""
    certificate_file: Path | None = None
    """Our own certificate, where the cluster asks for one (mutual TLS)."""
    key_file: Path | None = None
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
