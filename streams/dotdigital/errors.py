"""What can go wrong with a call, by what to do about it.

    DotdigitalError
    ├── ConnectivityError     no answer, a 5xx, or an answer that is no JSON: repeat with jitter; the call may have worked
    ├── ThrottledError        the account's budget is used up: wait until ``reset_at``
    ├── AccessError           401 or 403: credentials, region or permissions; nothing works until a person acts
    └── DataError             the request itself is refused: park it under ``code``
        └── ContactExistsError    409 ``contacts:idAlreadyExists``

Messages carry Dotdigital's code, never its description: descriptions quote the data.
"""


class DotdigitalError(Exception):
    """Base of every failed call; ``operation`` names the call."""

    def __init__(self, operation: str, message: str) -> None:
        super().__init__(f"{operation}: {message}")
        self.operation = operation


class ConnectivityError(DotdigitalError):
    """No usable answer. ``reason`` is short and stable, fit for a metric label."""

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(operation, reason)
        self.reason = reason


class ThrottledError(DotdigitalError):
    """The published budget is used up; ``reset_at`` is when it returns (UTC epoch seconds), if Dotdigital said so."""

    def __init__(self, operation: str, reset_at: float | None) -> None:
        super().__init__(operation, "call budget used up")
        self.reset_at = reset_at


class AccessError(DotdigitalError):
    """Dotdigital does not let us in."""


class DataError(DotdigitalError):
    """The request is refused for what it says; ``code`` is Dotdigital's."""

    def __init__(self, operation: str, code: str) -> None:
        super().__init__(operation, code)
        self.code = code


class ContactExistsError(DataError):
    """A contact with that identifier exists already."""
