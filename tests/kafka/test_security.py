"""Settings become the arguments of every client; what is missing is named, and no secret shows."""

from pathlib import Path
from typing import Any

import pytest
from faust import auth

from streams.core.errors import ConfigurationError
from streams.engine.credentials import faust_credentials
from streams.kafka.security import KafkaConfig, Sasl, Tls
from streams.settings import Settings
from testkit.local_services.broker_security import BrokerSecurity

SECRET = "the-password"


def of(**values: Any) -> KafkaConfig:
    return KafkaConfig.of(Settings(**values))


def token() -> str:
    return "a token"


async def token_later() -> str:
    return "another token"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> BrokerSecurity:
    return BrokerSecurity.make(tmp_path_factory.mktemp("made"), "mtls")


def test_plain_text_is_the_default() -> None:
    assert of().client_options() == {"security_protocol": "PLAINTEXT", "ssl_context": None}
    assert faust_credentials(of()) is None


def test_no_secret_shows() -> None:
    config = of(kafka_protocol="SASL_PLAINTEXT", kafka_user="u", kafka_password=SECRET)
    assert config.client_options()["sasl_plain_password"] == SECRET
    assert SECRET not in repr(config)
    assert SECRET not in repr(KafkaConfig("b", Tls(key=SECRET, key_password=SECRET), Sasl("PLAIN", "u", SECRET)))
    assert SECRET not in repr(faust_credentials(config))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"kafka_protocol": "SASL_SSL"}, "OWDD_KAFKA_USER and OWDD_KAFKA_PASSWORD"),
        ({"kafka_protocol": "SASL_SSL", "kafka_sasl_mechanism": "OAUTHBEARER"}, "OWDD_KAFKA_OAUTH_HOOK"),
        ({"kafka_protocol": "SSL", "kafka_certificate": "/c.pem"}, "OWDD_KAFKA_KEY"),
        ({"kafka_protocol": "SSL", "kafka_ca": "/nowhere/ca.pem"}, "OWDD_KAFKA_CA: not usable"),
        ({"kafka_protocol": "SSL", "kafka_ca": "-----BEGIN nonsense"}, "OWDD_KAFKA_CA: not usable"),
    ],
)
def test_what_is_missing_is_named(values: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        of(**values).client_options()


def test_a_key_that_does_not_fit_is_named(files: BrokerSecurity) -> None:
    config = KafkaConfig("b", Tls(str(files.ca), str(files.certificate), str(files.directory / "broker.key")))
    with pytest.raises(ConfigurationError, match="OWDD_KAFKA_CERTIFICATE and OWDD_KAFKA_KEY: not usable"):
        config.client_options()


@pytest.mark.parametrize(("hook", "found"), [("token", "a token"), ("token_later", "another token")])
async def test_the_token_hook_is_called(hook: str, found: str) -> None:
    config = KafkaConfig("b", None, Sasl("OAUTHBEARER", oauth_hook=f"{__name__}:{hook}"))
    provider = config.client_options()["sasl_oauth_token_provider"]
    assert await provider.token() == found
    assert isinstance(faust_credentials(config), auth.OAuthCredentials)


@pytest.mark.parametrize("hook", ["nowhere:token", f"{__name__}:nothing", f"{__name__}:SECRET"])
def test_a_hook_that_cannot_be_called_is_named(hook: str) -> None:
    with pytest.raises(ConfigurationError, match="OWDD_KAFKA_OAUTH_HOOK"):
        KafkaConfig("b", None, Sasl("OAUTHBEARER", oauth_hook=hook)).client_options()


def test_faust_gets_what_our_clients_get(files: BrokerSecurity) -> None:
    config = KafkaConfig("b", Tls(str(files.ca)), Sasl("SCRAM-SHA-256", "u", SECRET))
    found, options = faust_credentials(config), config.client_options()
    assert isinstance(found, auth.SASLCredentials)
    assert found.ssl_context is options["ssl_context"]
    assert (found.protocol.value, found.mechanism.value) == (options["security_protocol"], options["sasl_mechanism"])
    assert (found.username, found.password) == (options["sasl_plain_username"], options["sasl_plain_password"])
    only_tls = faust_credentials(KafkaConfig("b", Tls(str(files.ca))))
    assert isinstance(only_tls, auth.SSLCredentials)


def test_an_encrypted_key_needs_its_password(files: BrokerSecurity, tmp_path: Path) -> None:
    import subprocess

    encrypted = tmp_path / "encrypted.key"
    command = ["openssl", "pkcs8", "-topk8", "-in", str(files.key), "-out", str(encrypted), "-passout", "pass:right"]
    subprocess.run(command, check=True, capture_output=True)

    def options(password: str) -> dict[str, Any]:
        return KafkaConfig("b", Tls(str(files.ca), str(files.certificate), str(encrypted), password)).client_options()

    with pytest.raises(ConfigurationError, match="not usable"):
        options("wrong")
    assert options("right")["ssl_context"] is not None
