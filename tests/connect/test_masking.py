"""What may be shown: never a secret, always where it is."""

import pytest

from streams.connect.masking import MASK, masked, masked_key, scrubbed

SALTED = "column.mask.hash.v2.SHA-256.with.salt.NaCl"


@pytest.mark.parametrize(
    "key",
    [
        "database.password",
        "driver.trustStorePassword",
        "schema.history.internal.producer.sasl.jaas.config",
        "producer.override.ssl.keystore.key",
        "signal.consumer.basic.auth.user.info",
        "driver.accessToken",
        "driver.clientSecret",
    ],
)
def test_a_secret_is_masked(key: str) -> None:
    assert masked(key, "hunter2") == MASK


@pytest.mark.parametrize("reference", ["${file:/run/secrets/a.properties:key}", "${env:PASSWORD}", "${dir:/run/secrets:pw}"])
def test_a_reference_to_a_secret_is_shown(reference: str) -> None:
    assert masked("database.password", reference) == reference


@pytest.mark.parametrize("almost", ["a${env:B}", "${env:B}c", "${hunter2}", "${env:A}${env:B}"])
def test_what_only_looks_like_a_reference_is_masked(almost: str) -> None:
    assert masked("database.password", almost) == MASK


@pytest.mark.parametrize("key", ["database.hostname", "topic.prefix", "message.key.columns", "heartbeat.action.query"])
def test_what_is_no_secret_is_shown(key: str) -> None:
    assert masked(key, "value") == "value"


def test_an_empty_password_is_shown_as_empty() -> None:
    assert masked("database.password", "") == ""


def test_a_salt_is_masked_where_debezium_takes_it_in_the_name() -> None:
    assert masked_key(SALTED) == f"column.mask.hash.v2.SHA-256.with.salt.{MASK}"
    assert masked(SALTED, "dbo.customer_contact.cc_email") == "dbo.customer_contact.cc_email"


def test_a_text_of_the_worker_is_scrubbed_of_secrets_and_of_nothing_else() -> None:
    config = {"database.password": "hunter2", "x.secret": "hunter22", SALTED: "a", "topic.prefix": "ow", "y.token": "${env:T}"}
    said = "ow: hunter22 and hunter2 and NaCl and ${env:T}"
    assert scrubbed(said, config) == f"ow: {MASK} and {MASK} and {MASK} and ${{env:T}}"
