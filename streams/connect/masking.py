"""Masks the secrets of a connector's configuration.

Kafka Connect returns secrets in clear, unless they were given as references (``${file:…}``, ``${env:…}``) that only a
worker resolves. References may be shown: they contain the place of a secret, not the secret.
"""

import re
from collections.abc import Mapping

MASK = "********"

_SECRET = re.compile(
    r"password|passwd|passphrase|secret|salt|token|credential|jaas|user\.info|keystore\.key|private.?key", re.IGNORECASE
)
_REFERENCE = re.compile(r"\$\{[^${}:]+:[^${}]+\}")
# Debezium takes the salt of a hashed column in the *name* of the property.
_SALT_IN_NAME = re.compile(r"(\.with\.salt\.).+$", re.IGNORECASE)


def is_secret(key: str, value: str) -> bool:
    """Whether ``value`` must not be shown: its key suggests a secret, and it is not a reference to one."""
    suspicious = _SECRET.search(key) and not _SALT_IN_NAME.search(key)
    return bool(value and suspicious) and not _REFERENCE.fullmatch(value)


def masked(key: str, value: str) -> str:
    """``value`` as it may be shown."""
    return MASK if is_secret(key, value) else value


def masked_key(key: str) -> str:
    """``key`` as it may be shown."""
    return _SALT_IN_NAME.sub(rf"\1{MASK}", key)


def scrubbed(text: str, *configs: Mapping[str, str]) -> str:
    """``text``, which somebody else wrote about ``configs``, without their secrets."""
    hidden = [value for config in configs for key, value in config.items() if is_secret(key, value)]
    hidden += [key[found.end(1) :] for config in configs for key in config if (found := _SALT_IN_NAME.search(key))]
    # The longest first: a secret that contains another one would otherwise be replaced only in part.
    for secret in sorted(hidden, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text
