"""Why Kafka does not let us in, in one sentence: what happened, where, and what to do.

aiokafka logs the cause of a failed start and raises "Unable to bootstrap". So we connect once more and look.
"""

import socket
import ssl
from typing import Final

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from streams.core.errors import OwddError
from streams.kafka.security import KafkaConfig

_PATIENCE_MS: Final = 5_000


class KafkaRefusedError(OwddError, KafkaConnectionError):  # type: ignore[misc]  # aiokafka is untyped
    """No bootstrap server lets us in. Also a KafkaConnectionError: what waits for Kafka goes on waiting."""

    def __str__(self) -> str:
        return str(self.args[0])


async def why_refused(kafka: KafkaConfig) -> KafkaRefusedError:
    """The error to raise: what each bootstrap server answers, and the remedy. Takes some seconds at most for each."""
    found = [f"{host}:{port}: {await _cause(kafka, host, port)}" for host, port, _ in collect_hosts(kafka.bootstrap)]
    return KafkaRefusedError("Kafka at " + "; ".join(found))


async def _cause(kafka: KafkaConfig, host: str, port: int) -> str:
    try:
        connection = await create_conn(host, port, request_timeout_ms=_PATIENCE_MS, **kafka.client_options())
    except (KafkaError, OSError, TimeoutError) as error:
        return _sentence(kafka, error)
    connection.close()
    return "the broker accepts us, but does not answer; look at its log"


def _sentence(kafka: KafkaConfig, error: BaseException) -> str:
    match error:
        case SaslAuthenticationFailed():
            setting = "OWDD_KAFKA_OAUTH_HOOK" if kafka.token_provider else "OWDD_KAFKA_USER and OWDD_KAFKA_PASSWORD"
            return f"the broker refuses our credentials; check {setting}, and OWDD_KAFKA_SASL_MECHANISM"
        case UnsupportedSaslMechanismError() | IllegalSaslStateError():
            return f"the listener takes no {_mechanism(kafka)} logins; check OWDD_KAFKA_SASL_MECHANISM and OWDD_KAFKA_PROTOCOL"
        case ssl.SSLCertVerificationError(verify_message=str(reason)) if "mismatch" in reason:
            return f"its certificate is not for this host ({reason}); use a name that it is for in OWDD_KAFKA_BOOTSTRAP"
        case ssl.SSLCertVerificationError(verify_message=str(reason)):
            return f"its certificate is not signed by a CA that we trust ({reason}); check OWDD_KAFKA_CA"
        case ssl.SSLError(reason=str(reason)):
            return f"the TLS handshake fails ({reason}); {_PROTOCOL_OR_CERTIFICATE}"
        case socket.gaierror():
            return "the name is not known; check OWDD_KAFKA_BOOTSTRAP"
        case ConnectionRefusedError():
            return "no program listens; check OWDD_KAFKA_BOOTSTRAP, and that the broker runs"
        case KafkaConnectionError() | ConnectionError() | EOFError():
            return f"the connection was closed while we introduced ourselves; {_PROTOCOL_OR_CERTIFICATE}"
        case TimeoutError():
            return (
                f"no answer within {_PATIENCE_MS // 1000} s; check OWDD_KAFKA_BOOTSTRAP, and that the listener expects "
                f"{kafka.protocol} (OWDD_KAFKA_PROTOCOL)"
            )
        case _:
            return f"no connection ({type(error).__name__}); check OWDD_KAFKA_BOOTSTRAP"


_PROTOCOL_OR_CERTIFICATE: Final = (
    "check OWDD_KAFKA_PROTOCOL, and OWDD_KAFKA_CERTIFICATE and OWDD_KAFKA_KEY if the broker asks for a client certificate"
)


def _mechanism(kafka: KafkaConfig) -> str:
    return kafka.sasl.mechanism if kafka.sasl else "SASL"
