"""The site's Kafka security in Faust's words: Faust makes its own clients, from these."""

from faust import auth
from faust.types.auth import CredentialsT

from streams.kafka.security import KafkaConfig


def faust_credentials(kafka: KafkaConfig) -> CredentialsT | None:
    """What ``broker_credentials`` takes; None: Faust connects in plain text.

    Faust chooses the protocol by the presence of an SSL context, as we do.
    """
    context = kafka.ssl_context
    if kafka.sasl is None:
        return None if context is None else auth.SSLCredentials(context)
    if (tokens := kafka.token_provider) is not None:
        return auth.OAuthCredentials(oauth_cb=tokens, ssl_context=context)
    sasl = kafka.sasl
    return auth.SASLCredentials(username=sasl.user, password=sasl.password, mechanism=sasl.mechanism, ssl_context=context)
