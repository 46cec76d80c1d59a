"""What one sandbox account looks like before the first call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar

from pydantic import ConfigDict

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The wall clock; tests pass their own `Clock`."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """The account behind the sandbox.

    `data_fields` maps a name to one of String, Numeric, Date, Boolean and adds to the built-in fields.
    `lists` maps the ids of the lists that exist at the start to their names.
    `most_lists` bounds the lists that can be created; no published number does.
    `programs` maps program ids to a status: Draft, Active, Deactivated or ReadOnly.
    `tiers` maps lowCallRate, mediumCallRate or highCallRate to calls a minute, and `flat_limit` is calls a rolling hour
    (2000 on old accounts); without either no call is counted.
    `import_seconds` is how long an import or another asynchronous job takes.
    `most_import_bytes` bounds the body of an import (50 MB, Dotdigital's import pages; read as the smaller of its senses).
    `faults` is what an admin call to `faults` would take, in force from the start.
    `custom_identifiers` names the identifiers allowed beside contactId, email and mobileNumber.
    `bin_days` is how long a deleted contact can be revived (about 30 days, Dotdigital's right-to-be-forgotten page).
    `seed` starts the fault generator, so that the same calls in the same order meet the same faults.
    `log_size` bounds the request log, in requests.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", hide_input_in_errors=True)

    user: str
    password: str = field(repr=False)
    data_fields: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[int, str] = field(default_factory=dict)
    most_lists: int | None = None
    programs: Mapping[int, str] = field(default_factory=dict)
    tiers: Mapping[str, int] = field(default_factory=dict)
    flat_limit: int | None = None
    import_seconds: float = 1.0
    most_import_bytes: int = 50_000_000
    faults: Mapping[str, object] = field(default_factory=dict)
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
