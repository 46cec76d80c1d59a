"""The API user. Dotdigital refuses a login or a password with a blank around it, so blanks are removed, with a warning."""

from dataclasses import dataclass, field
from typing import Self

import httpx

from streams.dotdigital.config import ClientConfig


@dataclass(frozen=True, slots=True)
class Credentials:
    """The login for HTTP Basic. ``blanks``: the settings that had blanks around them, by the names of their variables."""

    auth: httpx.BasicAuth = field(repr=False)
    blanks: tuple[str, ...]

    @classmethod
    def of(cls, config: ClientConfig) -> Self:
        """The credentials of ``config``, trimmed."""
        given = {
            "OWDD_DOTDIGITAL_USER": config.user,
            "OWDD_DOTDIGITAL_PASSWORD": config.password,
        }
        user, password = (text.strip() for text in given.values())
        return cls(httpx.BasicAuth(user, password), tuple(name for name, text in given.items() if text != text.strip()))

    @property
    def warning(self) -> str | None:
        """A warning for the operator, or None."""
        return f"blanks around {' and '.join(self.blanks)} are ignored; remove them" if self.blanks else None
