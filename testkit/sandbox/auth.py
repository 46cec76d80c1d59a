"""HTTP Basic for one API user, the only scheme that Dotdigital offers."""

from __future__ import annotations

import base64
import binascii
import secrets


class BasicAuth:
    """Accepts exactly one user and password."""

    __slots__ = ("_expected", "_header")

    def __init__(self, user: str, password: str) -> None:
        self._expected = f"{user}:{password}".encode()
        self._header = b"Basic " + base64.b64encode(self._expected)

    def accepts(self, header: bytes | None) -> bool:
        """Whether an `Authorization` header value carries the credentials; the scheme's case does not matter."""
        if header is None:
            return False
        if secrets.compare_digest(header, self._header):
            return True
        scheme, _, token = header.partition(b" ")
        if scheme.lower() != b"basic":
            return False
        try:
            decoded = base64.b64decode(token.strip(), validate=True)
        except binascii.Error:
            return False
        return secrets.compare_digest(decoded, self._expected)
