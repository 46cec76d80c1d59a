"""What one sandbox account looks like before the first call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The wall clock; tests pass their own `Clock`."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """The account behind the sandbox.

    `data_fields` maps a name to one of String, Numeric, Date, Boolean and adds to the built-in fields.
    `lists` maps list ids to names; None accepts any id, a mapping makes unknown ids a 400.
    `custom_identifiers` names the identifiers allowed beside contactId, email and mobileNumber.
    `bin_days` is how long a deleted contact can be revived (about 30 days, Dotdigital's right-to-be-forgotten page).
    `seed` starts the fault generator, so that the same calls in the same order meet the same faults.
    `log_size` bounds the request log, in requests.
    """

    user: str
    password: str = field(repr=False)
    data_fields: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[int, str] | None = None
    custom_identifiers: frozenset[str] = frozenset()
    enforce_double_opt_in: bool = False
    bin_days: float = 30.0
    seed: int = 0
    log_size: int = 100_000

    def __post_init__(self) -> None:
        """Trim the credentials, as a trailing blank is a known cause of failed log-ins; refuse empty ones."""
        object.__setattr__(self, "user", self.user.strip())
        object.__setattr__(self, "password", self.password.strip())
        if not self.user or not self.password:
            raise ValueError("the sandbox needs a user and a password: set both before starting it")
