"""The API user. A blank around user or password is the most common reason for a 401: it is removed, and said."""

from dataclasses import dataclass, field
from typing import Self

import httpx

from streams.dotdigital.config import ClientConfig


@dataclass(frozen=True, slots=True)
class Credentials:
    """``blanks``: the settings that had blanks around them, by the names that an operator knows."""

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
        """What to tell the operator, if anything."""
        return f"blanks around {' and '.join(self.blanks)} are ignored; remove them" if self.blanks else None
