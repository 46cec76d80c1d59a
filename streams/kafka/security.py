"""How we reach Kafka: servers, protocol, credentials and certificates, as plain values.

Secrets never show in a ``repr``. Certificates and keys are given as the path of a PEM file, or as the PEM text itself: a
container's secret arrives as text.
"""

import asyncio
import inspect
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from aiokafka.abc import AbstractTokenProvider

from streams.core.errors import ConfigurationError
from streams.settings import KafkaProtocol, SaslMechanism, Settings

_PEM = "-----BEGIN"


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates: ``ca`` (empty: the system's CAs), and the client's own with its key, for mutual TLS."""

    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    key_password: str = field(default="", repr=False)
    hostname_check: bool = True


@dataclass(frozen=True, slots=True)
class Sasl:
    """Credentials. ``oauth_hook`` is ``module:function`` and counts for OAUTHBEARER only, user and password for the others."""

    mechanism: SaslMechanism
    user: str = ""
    password: str = field(default="", repr=False)
    oauth_hook: str = ""


@dataclass(frozen=True, slots=True)
class KafkaConfig:
    """Everything that a client needs to be let in. ``bootstrap`` is ``host:port``, comma separated."""

    bootstrap: str
    tls: Tls | None = None
    sasl: Sasl | None = None

    @classmethod
    def of(cls, settings: Settings) -> "KafkaConfig":
        """The settings of this process.

        Raises:
            ConfigurationError: the protocol needs a setting that is missing.
        """
        protocol = settings.kafka_protocol
        tls = _tls(settings) if protocol.endswith("SSL") else None
        return cls(settings.kafka_bootstrap, tls, _sasl(settings) if protocol.startswith("SASL") else None)

    @property
    def protocol(self) -> KafkaProtocol:
        """Kafka's name for it."""
        if self.sasl is None:
            return "PLAINTEXT" if self.tls is None else "SSL"
        return "SASL_PLAINTEXT" if self.tls is None else "SASL_SSL"

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """One context for all clients of the process.

        Raises:
            ConfigurationError: a certificate or key cannot be used.
        """
        return None if self.tls is None else _context(self.tls)

    @property
    def token_provider(self) -> AbstractTokenProvider | None:
        """What fetches tokens, for OAUTHBEARER.

        Raises:
            ConfigurationError: there is no such function.
        """
        if self.sasl is None or self.sasl.mechanism != "OAUTHBEARER":
            return None
        return _Tokens(_function(self.sasl.oauth_hook))

    def client_options(self) -> dict[str, Any]:
        """The security arguments of every aiokafka client.

        Raises:
            ConfigurationError: a certificate, key or token hook cannot be used.
        """
        options: dict[str, Any] = {"security_protocol": self.protocol, "ssl_context": self.ssl_context}
        if self.sasl is not None:
            options["sasl_mechanism"] = self.sasl.mechanism
            if (tokens := self.token_provider) is not None:
                options["sasl_oauth_token_provider"] = tokens
            else:
                options |= {"sasl_plain_username": self.sasl.user, "sasl_plain_password": self.sasl.password}
        return options


def _tls(settings: Settings) -> Tls:
    key = settings.kafka_key.get_secret_value()
    if bool(settings.kafka_certificate) != bool(key):
        raise ConfigurationError(
            "a client certificate needs both OWDD_KAFKA_CERTIFICATE and OWDD_KAFKA_KEY: set the other one, or neither"
        )
    return Tls(
        settings.kafka_ca,
        settings.kafka_certificate,
        key,
        settings.kafka_key_password.get_secret_value(),
        settings.kafka_hostname_check,
    )


def _sasl(settings: Settings) -> Sasl:
    sasl = Sasl(
        settings.kafka_sasl_mechanism,
        settings.kafka_user,
        settings.kafka_password.get_secret_value(),
        settings.kafka_oauth_hook,
    )
    asked = f"OWDD_KAFKA_PROTOCOL={settings.kafka_protocol} with OWDD_KAFKA_SASL_MECHANISM={sasl.mechanism}"
    if sasl.mechanism == "OAUTHBEARER" and not sasl.oauth_hook:
        raise ConfigurationError(f"{asked} needs OWDD_KAFKA_OAUTH_HOOK, a function that returns a token")
    if sasl.mechanism != "OAUTHBEARER" and not (sasl.user and sasl.password):
        raise ConfigurationError(f"{asked} needs OWDD_KAFKA_USER and OWDD_KAFKA_PASSWORD")
    return sasl


@lru_cache(maxsize=8)
def _context(tls: Tls) -> ssl.SSLContext:
    context = ca_context(tls.ca, "OWDD_KAFKA_CA")
    context.check_hostname = tls.hostname_check
    if tls.certificate:
        with tempfile.TemporaryDirectory(prefix="owdd-") as directory:
            try:
                # The password is always given: without one OpenSSL would ask at the terminal.
                context.load_cert_chain(
                    _file(tls.certificate, Path(directory, "certificate.pem")),
                    _file(tls.key, Path(directory, "key.pem")),
                    password=tls.key_password,
                )
            except (OSError, ValueError) as error:
                raise _unusable("OWDD_KAFKA_CERTIFICATE and OWDD_KAFKA_KEY", error) from None
    return context


def ca_context(ca: str, setting: str) -> ssl.SSLContext:
    """A context that trusts ``ca``, a PEM file or its text, and nothing else; the system's CAs if it is empty.

    Raises:
        ConfigurationError: it cannot be used; the message names ``setting``.
    """
    try:
        return ssl.create_default_context(**_ca(ca))
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise _unusable(setting, error) from None


def _ca(ca: str) -> dict[str, Any]:
    if not ca:
        return {}
    return {"cadata": ca} if _is_text(ca) else {"cafile": ca}


def _file(value: str, place: Path) -> Path:
    """A file with ``value``: OpenSSL reads a client's key from nowhere else. Text goes to ``place``, for its owner only."""
    if not _is_text(value):
        return Path(value)
    place.touch(0o600)
    place.write_text(value if value.endswith("\n") else value + "\n")
    return place


def _is_text(value: str) -> bool:
    return value.lstrip().startswith(_PEM)


def _unusable(setting: str, error: Exception) -> ConfigurationError:
    # The reason names no content; an OSError's text would name the path twice.
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
    return ConfigurationError(
        f"{setting}: not usable ({reason}); give the path of a PEM file, or its text (docs/kafka-security.md)"
    )


class _Tokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is untyped
    """Calls the site's function at every connection; one that blocks runs in a thread."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function

    async def token(self) -> str:
        if inspect.iscoroutinefunction(self._function):
            return str(await self._function())
        return str(await asyncio.to_thread(self._function))


def _function(hook: str) -> Callable[[], Any]:
    module, _, name = hook.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"OWDD_KAFKA_OAUTH_HOOK: {hook!r} cannot be imported ({error}); write it module:function"
        ) from None
    if not callable(found):
        raise ConfigurationError(f"OWDD_KAFKA_OAUTH_HOOK: {hook!r} is no function")
    function: Callable[[], Any] = found
    return function
