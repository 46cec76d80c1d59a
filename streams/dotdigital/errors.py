"""Errors of a call, by the remedy.

    DotdigitalError
    ├── ConnectivityError         no response, a 5xx, or an unreadable one: repeat with jitter; the call may have taken effect
    │   ├── NotSentError              no connection: it cannot have taken effect
    │   ├── UnavailableError          a code that says that this part of the API cannot work now
    │   └── TransientError            a code that asks to send this very request again later
    ├── ThrottledError            a limit is reached, named by ``scope``: wait, until ``reset_at`` if that is known
    ├── AccessError               no such call works until a person acts: permissions, quotas, a wrong URL
    │   ├── CredentialsError          401
    │   └── RegionError               403: another region, or no permission
    └── DataError                 the request itself is refused: park it under ``code``
        ├── ContactExistsError        a contact with that identifier already exists
        ├── MissingError              it depends on something that does not exist (yet): contact, collection, field, list
        └── NotFoundError             the requested object does not exist

Messages contain Dotdigital's code, never its description: descriptions quote the data. ``streams.dotdigital.codes`` gives the
class and the remedy of each code.
"""

from enum import StrEnum


class Limit(StrEnum):
    """The limit that throttles a call."""

    RATE = "rate"
    """The tier's calls per minute."""
    FLAT = "flat"
    """The calls per hour of accounts with the old limit."""
    CONTACT_IMPORTS = "contact-imports"
    INSIGHT_IMPORTS = "insight-imports"
    BULK_DELETES = "bulk-deletes"
    ENROLMENTS = "enrolments"
    """20 calls per hour over all programmes."""


class DotdigitalError(Exception):
    """Base of every failed call.

    ``operation`` names the call. ``not_applied`` is True if the call cannot have taken effect. If it is False, the outcome is
    unknown, and a repeated call must be safe.
    """

    not_applied = True

    def __init__(self, operation: str, message: str) -> None:
        super().__init__(f"{operation}: {message}")
        self.operation = operation


class ConnectivityError(DotdigitalError):
    """No usable response. ``reason`` is short and stable, fit for a metric label."""

    not_applied = False

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(operation, reason)
        self.reason = reason


class NotSentError(ConnectivityError):
    """No connection could be made, so nothing was sent."""

    not_applied = True


class UnavailableError(ConnectivityError):
    """Dotdigital answered with a code, its ``reason``: no such call works at the moment."""

    not_applied = True


class TransientError(ConnectivityError):
    """Dotdigital answered with a code, its ``reason``, that this request may work later: the connection works."""

    not_applied = True


class ThrottledError(DotdigitalError):
    """A limit is reached: ``scope``. It is lifted at ``reset_at`` (UTC epoch seconds), if Dotdigital reports that."""

    def __init__(self, operation: str, reset_at: float | None = None, scope: Limit = Limit.RATE) -> None:
        super().__init__(operation, f"used up: {scope}")
        self.reset_at = reset_at
        self.scope = scope


class AccessError(DotdigitalError):
    """Access is denied, to the account or to this call. ``code`` is Dotdigital's, or ``http-...``."""

    def __init__(self, operation: str, code: str, hint: str) -> None:
        super().__init__(operation, f"{code}: {hint}")
        self.code = code


class CredentialsError(AccessError):
    """User or password are wrong."""

    def __init__(self, operation: str) -> None:
        hint = "the API user or its password is wrong: check OWDD_DOTDIGITAL_USER and OWDD_DOTDIGITAL_PASSWORD"
        super().__init__(operation, "http-401", hint)


class RegionError(AccessError):
    """The host does not serve the account, or the user lacks a permission. ``endpoint``: the account's endpoint, if known."""

    def __init__(self, operation: str, endpoint: str | None = None) -> None:
        hint = (
            "the account lives in another region, or the API user lacks a permission: set OWDD_DOTDIGITAL_URL to auto"
            if endpoint is None
            else f"the account is served at {endpoint}: set OWDD_DOTDIGITAL_URL to that or to auto, or give the user permission"
        )
        super().__init__(operation, "http-403", hint)
        self.endpoint = endpoint


class DataError(DotdigitalError):
    """The request is refused for its content; ``code`` is Dotdigital's.

    ``shape``: for an unknown code, the members of the response and their types, to find out its meaning.
    """

    def __init__(self, operation: str, code: str, shape: str = "") -> None:
        super().__init__(operation, code)
        self.code = code
        self.shape = shape


class ContactExistsError(DataError):
    """A contact with that identifier exists already."""


class MissingError(DataError):
    """The request depends on something that does not exist: deliver that first, then try again."""


class NotFoundError(DataError):
    """The requested object does not exist."""
