"""Every call that we make, and the tier whose budget it uses.

Dotdigital publishes the tiers (low for bulk, medium, high for light single calls, unlimited for polling and sends), each with
a budget of its own per account and minute ("API call rate limits" in its documentation). It does not publish the tier of each
call: this table is our reading, and the sandbox's. A response names its tier in ``X-RateLimit-Scope``, which takes precedence.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from streams.core.lanes import Lane


class Tier(StrEnum):
    """A budget of calls, by its name in ``X-RateLimit-Scope``."""

    LOW = "lowCallRate"
    MEDIUM = "mediumCallRate"
    HIGH = "highCallRate"
    UNLIMITED = "unlimited"

    @classmethod
    def of_scope(cls, scope: str | None) -> "Tier | None":
        """The tier that a response names, in any casing; None for an unpublished name."""
        return next((tier for tier in cls if scope is not None and tier.casefold() == scope.strip().casefold()), None)


class Operation(StrEnum):
    """A call, by its name in metrics and errors, and its tier."""

    tier: Tier

    def __new__(cls, name: str, tier: Tier) -> Self:
        """A member whose value is its name, so that an operation can be used as a metric's label."""
        made = str.__new__(cls, name)
        made._value_ = name
        made.tier = tier
        return made

    ACCOUNT_INFO = "account-info", Tier.UNLIMITED

    GET_CONTACT = "get-contact", Tier.HIGH
    CREATE_CONTACT = "create-contact", Tier.HIGH
    PATCH_CONTACT = "patch-contact", Tier.HIGH
    CHANGE_CONTACT = "change-contact", Tier.HIGH
    DELETE_CONTACT = "delete-contact", Tier.HIGH
    LIST_CONTACTS = "list-contacts", Tier.MEDIUM
    IMPORT_CONTACTS = "import-contacts", Tier.LOW
    CONTACT_IMPORT = "contact-import", Tier.UNLIMITED

    GET_RECORD = "get-record", Tier.HIGH
    PUT_RECORD = "put-record", Tier.HIGH
    DELETE_RECORD = "delete-record", Tier.HIGH
    DELETE_RECORDS = "delete-records", Tier.LOW
    LIST_RECORDS = "list-records", Tier.MEDIUM
    IMPORT_RECORDS = "import-records", Tier.LOW
    INSIGHT_IMPORT = "insight-import", Tier.UNLIMITED
    LIST_COLLECTIONS = "list-collections", Tier.MEDIUM
    CREATE_COLLECTION = "create-collection", Tier.MEDIUM
    GET_SCHEMA = "get-schema", Tier.MEDIUM

    LIST_LISTS = "list-lists", Tier.MEDIUM
    CREATE_LIST = "create-list", Tier.MEDIUM
    LEAVE_LIST = "leave-list", Tier.HIGH

    LIST_PROGRAMS = "list-programs", Tier.MEDIUM
    ENROL = "enrol", Tier.LOW
    ENROLMENT = "enrolment", Tier.UNLIMITED
    ENROLMENT_FAULTS = "enrolment-faults", Tier.UNLIMITED

    IMPORT_EVENTS = "import-events", Tier.LOW

    UNSUBSCRIBE = "unsubscribe", Tier.HIGH
    RESUBSCRIBE = "resubscribe", Tier.HIGH
    SUPPRESS = "suppress", Tier.LOW
    UNSUBSCRIBED_SINCE = "unsubscribed-since", Tier.MEDIUM
    SUPPRESSED_SINCE = "suppressed-since", Tier.MEDIUM

    LIST_DATA_FIELDS = "list-data-fields", Tier.MEDIUM
    CREATE_DATA_FIELD = "create-data-field", Tier.MEDIUM


@dataclass(frozen=True, slots=True)
class Call:
    """One finished call; ``status`` is the HTTP status or ``no-answer``."""

    operation: Operation
    tier: Tier
    status: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The state of a tier in a response: calls per minute, calls left, and the time of renewal (UTC epoch seconds)."""

    limit: int
    remaining: int
    reset: float


class Budget(Protocol):
    """Decides when a lane may make a call."""

    async def acquire(self, tier: Tier, lane: Lane) -> None:
        """Return once ``lane`` may make a call of ``tier``; awaited before a connection is taken."""

    def record_response(self, tier: Tier, rate: RateLimit | None, throttled: bool) -> None:
        """Called once for every acquired call, also without a response; otherwise the call would count as in flight for ever.

        Args:
            tier: the tier that was acquired.
            rate: the state of that tier in the response; None if the response has none, or names another tier.
            throttled: the call was refused for the calls per minute, or for the flat calls per hour (``rate`` is None then).
        """


class Unbounded:
    """A budget without a limit: for tools that make few calls."""

    async def acquire(self, tier: Tier, lane: Lane) -> None:
        """Never waits."""

    def record_response(self, tier: Tier, rate: RateLimit | None, throttled: bool) -> None:
        """Does nothing."""
