"""Kafka and Redis as they are locked up in production: TLS on both sides, SCRAM, access control lists.

`python -m tests.servers.secured COMMAND…` runs a command, such as pytest, on such servers: REDIS_URL and
KAFKA_BOOTSTRAP_SERVERS lead to them, and LIVESEGMENTS_KAFKA_… and `kafka_security_of_tests` say how to log in.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import redis

from logs.kafka_security import KafkaSecurity
from logs.redis_server import free_port
from tests.servers.errors import NoServerError
from tests.servers.local_kafka import LocalKafka
from tests.servers.local_redis import LocalRedis

ADMIN = "admin"
MECHANISM = "SCRAM-SHA-512"
_KAFKA_SETTINGS = "LIVESEGMENTS_KAFKA_"


class Certificates:
    """An authority, a certificate for servers on localhost, and one for clients; PEM files in a folder."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            raise NoServerError("no openssl to make certificates with")
        self.folder = folder
        self.ca = folder / "ca.pem"
        new = ("req", "-newkey", "rsa:2048", "-nodes", "-sha256")
        self._openssl(*new, "-x509", "-days", "2", "-subj", "/CN=tests", "-keyout", "ca.key", "-out", "ca.pem")
        for name in ("server", "client"):
            extensions = folder / f"{name}.ext"
            extensions.write_text("subjectAltName=DNS:localhost\n")
            self._openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
            signed_by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
            wanted = ("-in", f"{name}.csr", "-extfile", extensions.name, "-out", f"{name}.pem")
            self._openssl("x509", "-req", "-sha256", *signed_by, *wanted)
        both = (folder / "server.key").read_text() + (folder / "server.pem").read_text()
        (folder / "keystore.pem").write_text(both)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def of(self, name: str) -> tuple[Path, Path]:
        """Certificate and key."""
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"


class SecuredKafka:
    """A broker that lets in nobody without a password, and nobody to what no list grants.

    Its plaintext listener stands for the network of brokers: whoever comes from there may do all.
    """

    def __init__(self, certificates: Certificates, users: dict[str, str]) -> None:
        self.broker = LocalKafka(
            {
                "listeners": "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},"
                "SECURED://127.0.0.1:{spare[0]}",
                "advertised.listeners": "PLAINTEXT://127.0.0.1:{port},SECURED://localhost:{spare[0]}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL",
                "inter.broker.listener.name": "PLAINTEXT",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(certificates.folder / "keystore.pem"),
                "listener.name.secured.sasl.enabled.mechanisms": MECHANISM,
                "listener.name.secured.scram-sha-512.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                ),
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": f"User:ANONYMOUS;User:{ADMIN}",
            },
            users=users,
        )

    @property
    def bootstrap(self) -> str:
        return f"localhost:{self.broker.spare[0]}"

    def allow(self, arguments: Iterable[str]) -> None:
        """What kafka-acls.sh does with these arguments."""
        self.broker.run_tool(
            "org.apache.kafka.tools.AclCommand", "--bootstrap-server", self.broker.bootstrap, *arguments
        )


@contextlib.contextmanager
def secured_redis(certificates: Certificates, lines: Iterable[str], admin_password: str) -> Iterator[int]:
    """The TLS port of a Redis with these ACL SETUSER lines: no plaintext port, no default user, certificates asked."""
    certificate, key = certificates.of("server")
    port = free_port()
    settings = {
        "tls-port": str(port),
        "tls-cert-file": str(certificate),
        "tls-key-file": str(key),
        "tls-ca-cert-file": str(certificates.ca),
        "tls-auth-clients": "yes",
    }
    with LocalRedis(settings=settings) as local, redis.Redis.from_url(local.url) as client:
        for line in lines:
            client.execute_command(*line.split())
        client.execute_command("ACL", "SETUSER", ADMIN, "on", f">{admin_password}", "allkeys", "allchannels", "+@all")
        client.config_set("port", "0")
        client.execute_command("ACL", "SETUSER", "default", "reset")
        yield port


@dataclass(frozen=True)
class Secured:
    """Both servers, and who may log in."""

    certificates: Certificates
    kafka: SecuredKafka
    redis_port: int
    passwords: dict[str, str]

    def redis_url(self, user: str) -> str:
        certificate, key = self.certificates.of("client")
        files = urlencode({"ssl_ca_certs": self.certificates.ca, "ssl_certfile": certificate, "ssl_keyfile": key})
        return f"rediss://{user}:{self.passwords[user]}@localhost:{self.redis_port}/0?{files}"

    def kafka_security(self, user: str) -> KafkaSecurity:
        return KafkaSecurity(
            tls=True,
            ca_file=self.certificates.ca,
            mechanism=MECHANISM,
            username=user,
            password=self.passwords[user],
        )

    def settings_of(self, user: str) -> dict[str, str]:
        """The environment of a user's commands."""
        certificate, key = self.certificates.of("client")
        said = {
            "REDIS_URL": f"rediss://localhost:{self.redis_port}/0",
            "REDIS_USERNAME": user,
            "REDIS_PASSWORD": self.passwords[user],
            "REDIS_CA_FILE": self.certificates.ca,
            "REDIS_CERTIFICATE_FILE": certificate,
            "REDIS_KEY_FILE": key,
            "LOG_URL": f"kafka://{self.kafka.bootstrap}",
            "KAFKA_TLS": "true",
            "KAFKA_CA_FILE": self.certificates.ca,
            "KAFKA_MECHANISM": MECHANISM,
            "KAFKA_USERNAME": user,
            "KAFKA_PASSWORD": self.passwords[user],
        }
        return {f"LIVESEGMENTS_{name}": str(value) for name, value in said.items()}


@contextlib.contextmanager
def secured_servers(passwords: dict[str, str], redis_lines: Iterable[str]) -> Iterator[Secured]:
    """Both servers, with users of these names and an admin. Raises NoServerError."""
    passwords = {**passwords, ADMIN: secrets.token_urlsafe(24)}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="livesegments-test-tls-")))
        certificates = Certificates(folder)
        kafka = SecuredKafka(certificates, passwords)
        stack.enter_context(kafka.broker)
        port = stack.enter_context(secured_redis(certificates, redis_lines, passwords[ADMIN]))
        yield Secured(certificates, kafka, port, passwords)


def kafka_security_of_tests() -> KafkaSecurity | None:
    """How tests log in to the broker of KAFKA_BOOTSTRAP_SERVERS; None: not at all."""
    if (password := os.environ.get(f"{_KAFKA_SETTINGS}PASSWORD")) is None:
        return None
    return KafkaSecurity(
        tls=True,
        ca_file=Path(os.environ[f"{_KAFKA_SETTINGS}CA_FILE"]),
        mechanism=MECHANISM,
        username=ADMIN,
        password=password,
    )


def librdkafka_of_tests(bootstrap: str) -> dict[str, str]:
    """The settings of a librdkafka client that logs in to the broker in the same way."""
    security = kafka_security_of_tests()
    if security is None:
        return {"bootstrap.servers": bootstrap}
    return {
        "bootstrap.servers": bootstrap,
        "security.protocol": "sasl_ssl",
        "ssl.ca.location": str(security.ca_file),
        "sasl.mechanism": MECHANISM,
        "sasl.username": ADMIN,
        "sasl.password": str(security.password),
    }


def clean_environment() -> dict[str, str]:
    """The environment without settings of ours, but for how to log in to the broker."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LIVESEGMENTS_") or name.startswith(_KAFKA_SETTINGS)
    }


def main(command: list[str]) -> int:
    """Run the command on secured servers; its exit status."""
    with secured_servers({}, ()) as servers:
        said = servers.settings_of(ADMIN)
        environment = {
            "REDIS_URL": servers.redis_url(ADMIN),
            "KAFKA_BOOTSTRAP_SERVERS": servers.kafka.bootstrap,
            **{name: value for name, value in said.items() if name.startswith(_KAFKA_SETTINGS)},
        }
        return subprocess.run(command, env=os.environ | environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
