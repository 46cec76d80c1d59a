"""A secured listener for the embedded broker: throw-away certificates, one user, and how a client gets in.

Chosen when the broker's storage is formatted, and kept in its data directory under ``security/``. Certificates come from the
``openssl`` program and are good for a month; nothing here protects anything but a test.
"""

import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from streams.kafka.security import KafkaConfig, Sasl, Tls
from streams.settings import SaslMechanism
from testkit.local_services.ports import HOST
from testkit.local_services.start_errors import CertificatesFailed

Security: TypeAlias = Literal["plaintext", "sasl_ssl", "mtls"]
"""How clients come in: in the clear; by TLS, with user and password; by TLS, with a certificate of their own."""

USER: Final = "owdd"
SCRAM: Final[tuple[SaslMechanism, ...]] = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_DAYS: Final = "30"
_JAAS: Final = "org.apache.kafka.common.security"


@dataclass(frozen=True, slots=True)
class BrokerSecurity:
    """The security of one broker; its files are in ``directory``."""

    directory: Path
    security: Security

    @classmethod
    def of(cls, data_dir: Path) -> "BrokerSecurity":
        """The choice that was made for ``data_dir``; plain text if none was."""
        directory = data_dir / "security"
        for security in ("sasl_ssl", "mtls"):
            if (directory / security).exists():
                return cls(directory, security)
        return cls(directory, "plaintext")

    @classmethod
    def make(cls, data_dir: Path, security: Security) -> "BrokerSecurity":
        """Choose for ``data_dir``, and make the certificates and the password.

        Raises:
            CertificatesFailed: there is no ``openssl``, or it failed.
        """
        made = cls(data_dir / "security", security)
        shutil.rmtree(made.directory, ignore_errors=True)
        if security != "plaintext":
            made.directory.mkdir(mode=0o700)
            _private(made.directory / "password", secrets.token_urlsafe(16))
            _make_certificates(made.directory)
            (made.directory / security).touch()
        return made

    @property
    def ca(self) -> Path:
        """The CA's certificate."""
        return self.directory / "ca.pem"

    @property
    def certificate(self) -> Path:
        """The client's certificate; its key is in :attr:`key`."""
        return self.directory / "client.pem"

    @property
    def key(self) -> Path:
        """The client's key."""
        return self.directory / "client.key"

    @property
    def password(self) -> str:
        """The user's password."""
        return (self.directory / "password").read_text()

    def kafka_config(self, bootstrap: str) -> KafkaConfig:
        """How a client gets in."""
        if self.security == "plaintext":
            return KafkaConfig(bootstrap)
        if self.security == "mtls":
            return KafkaConfig(bootstrap, Tls(str(self.ca), str(self.certificate), str(self.key)))
        return KafkaConfig(bootstrap, Tls(str(self.ca)), Sasl("SCRAM-SHA-512", USER, self.password))

    def environment(self) -> dict[str, str]:
        """The same as variables of the product."""
        if self.security == "plaintext":
            return {}
        ca = {"OWDD_KAFKA_CA": str(self.ca)}
        if self.security == "mtls":
            own = {"OWDD_KAFKA_CERTIFICATE": str(self.certificate), "OWDD_KAFKA_KEY": str(self.key)}
            return {"OWDD_KAFKA_PROTOCOL": "SSL", **ca, **own}
        login = {"OWDD_KAFKA_USER": USER, "OWDD_KAFKA_PASSWORD": self.password}
        return {"OWDD_KAFKA_PROTOCOL": "SASL_SSL", **ca, **login}

    @property
    def protocol(self) -> str:
        """The listener's protocol, by Kafka's name."""
        return {"plaintext": "PLAINTEXT", "sasl_ssl": "SASL_SSL", "mtls": "SSL"}[self.security]

    def properties(self) -> dict[str, str]:
        """The broker's properties; it talks to itself over the same listener, as one more client."""
        if self.security == "plaintext":
            return {}
        found = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.directory / "broker.chain"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca),
            "ssl.client.auth": "required" if self.security == "mtls" else "none",
        }
        if self.security == "sasl_ssl":
            login = f'username="{USER}" password="{self.password}"'
            found |= {
                "sasl.enabled.mechanisms": ",".join((*SCRAM, "PLAIN")),
                "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
                "listener.name.client.plain.sasl.jaas.config": (
                    f'{_JAAS}.plain.PlainLoginModule required {login} user_{USER}="{self.password}";'
                ),
            }
            for mechanism in SCRAM:
                jaas = f"listener.name.client.{mechanism.lower()}.sasl.jaas.config"
                found[jaas] = f"{_JAAS}.scram.ScramLoginModule required {login};"
        return found

    def format_options(self) -> list[str]:
        """What ``StorageTool format`` must know: SCRAM's users are part of the storage. The tool takes them in argv only."""
        if self.security != "sasl_ssl":
            return []
        users = (f"{mechanism}=[name={USER},password={self.password}]" for mechanism in SCRAM)
        return [part for user in users for part in ("--add-scram", user)]


def _private(file: Path, text: str) -> None:
    file.touch(0o600)
    file.write_text(text)


def _make_certificates(directory: Path) -> None:
    """A CA, and certificates of the broker and of a client that it signed. Kafka reads PEM: key first, then the certificate."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", _DAYS)
    _openssl(directory, "req", "-x509", *key, "-subj", "/CN=owdd test CA", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("broker", "client"):
        names = ("-addext", f"subjectAltName=IP:{HOST}", "-addext", "basicConstraints=CA:FALSE")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", *names, "-subj", f"/CN={name}")
        _openssl(directory, "req", "-x509", *key, *signed, "-keyout", f"{name}.key", "-out", f"{name}.pem")
        _private(directory / f"{name}.chain", (directory / f"{name}.key").read_text() + (directory / f"{name}.pem").read_text())


def _openssl(directory: Path, *arguments: str) -> None:
    try:
        done = subprocess.run(
            ["openssl", *arguments], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise CertificatesFailed([str(error)]) from error
    if done.returncode:
        raise CertificatesFailed(done.stderr.splitlines()[-5:])
